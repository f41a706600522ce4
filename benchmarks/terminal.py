"""What the workbench costs on a terminal: first frame, keys among 5,000 runs, bytes and processor while a run streams.

uv run python benchmarks/terminal.py [--quick] [--only first,open,keys,stream,idle]

Each app is a process of its own on a pseudo-terminal. Subjects take turns. Times are from the start of the process, or
from the writing of a key, to the last byte before 250 ms of silence; the silence is not counted. Bytes are those that
a link has to carry. The terminal says that it can hold frames together, as most do, and never tells its background.

The last line is JSON; what was left out is null.

first_paint_ratio_to_empty_app  first text of the workbench on an empty store, in first texts of an empty Textual app
open_5000_runs_ms               from the first text to the newest run's name, the index being there
key_to_paint_p95_ms_5000_runs   of all keys: moving, sorting, filtering letter by letter
stream_bytes_per_s_SIZE         Live while a run writes four events a second, the log closed
stream_cpu_percent              of a core, at the size that takes more
plotext_bytes_per_s_SIZE        plain plots of the same curves, drawn as often
idle_bytes_per_s, idle_cpu_percent   5,000 finished runs, no key
"""

import argparse
import contextlib
import fcntl
import hashlib
import inspect
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))

import demo
import msgspec
from rich.console import Console
from rich.table import Table

from pipeline.runs.index import Index
from pipeline.runs.store import RunStore
from tests.workbench.terminals import Terminal
from workbench import screens
from workbench.settings import Settings

root = Path(__file__).resolve().parents[1]
RUNS = 5000
NEWEST = "newest"
"""Name of the run that was launched last."""
QUIET_S = 0.25
BUSY_CORES = 0.25
"""More than this spent by others makes a note below the table."""
SIZES = ((80, 24), (160, 48))
helper = str(Path(__file__).with_name("_terminal.py"))
console = Console(width=110, highlight=False)
parts = ("first", "open", "keys", "stream", "idle")
result: dict[str, float | None] = dict.fromkeys(
    (
        "first_paint_ratio_to_empty_app", "stream_bytes_per_s_80x24", "stream_bytes_per_s_160x48",
        "stream_cpu_percent", "key_to_paint_p95_ms_5000_runs", "open_5000_runs_ms", "idle_bytes_per_s",
        "idle_cpu_percent", "plotext_bytes_per_s_80x24", "plotext_bytes_per_s_160x48",
    )
)  # fmt: skip
notes: list[str] = []


class Bench:
    """Folders that the parts share, and how often each is repeated."""

    def __init__(self, scratch: Path, *, is_quick: bool) -> None:
        self.scratch = scratch
        self.rounds = 5 if is_quick else 15
        self.presses = 6 if is_quick else 15
        self.stream_s = 6.0 if is_quick else 20.0
        self.idle_s = 4.0 if is_quick else 10.0
        self.environment = {
            # Modules compiled once, as an installation has them, whatever this shell says.
            "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(scratch / "compiled"),
            "PYTHONPATH": str(root), "HOME": str(scratch / "home"), "PQD_WORKBENCH_CONFIG": str(scratch / "config"),
            "XDG_STATE_HOME": "", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": "", "PQD_WORKBENCH_STORE": "",
        }  # fmt: skip
        self.many = many_runs()
        self.none = scratch / "none"
        self.few = demo.fill(scratch / "few", 40).folder

    def app(self, store: Path, size: tuple[int, int] = (80, 24)) -> Terminal:
        """Start the workbench, with nothing remembered of what was done before."""
        state = {"PQD_WORKBENCH_STATE": tempfile.mkdtemp(dir=self.scratch)}
        return Terminal.workbench(store, size=size, environment=self.environment | state, answers=True)

    def other(self, *arguments: str, size: tuple[int, int] = (80, 24)) -> Terminal:
        """Start one of the helpers."""
        command = [sys.executable, helper, *arguments]
        return Terminal(command, size=size, environment=self.environment, answers=True)


def many_runs() -> Path:
    """Give a store of 5,000 runs; made once for each version of what makes it."""
    source = hashlib.sha256(
        b"".join((root / name).read_bytes() for name in ("docs/demo.py", "pipeline/events.py"))
        + inspect.getsource(many_runs).encode()
    )
    folder = Path(tempfile.gettempdir()) / f"pqd-workbench-{RUNS}-runs-{source.hexdigest()[:8]}"
    if not folder.exists():
        console.print(f"making {RUNS:,} runs in {folder}")
        building = Path(tempfile.mkdtemp(dir=folder.parent))
        store = demo.fill(building, RUNS - 1, epochs=3, records=1)
        of = msgspec.structs.replace(demo.recipe_of("PQ", "resnet18", 0.5, 0, 3), name=NEWEST)
        story = demo.Story(of, demo.NOW_S, RUNS, records=1)
        demo.add(store, story, RUNS, list(story.tell()), of.to_toml())
        building.rename(folder)
    return folder


def first_paint(bench: Bench) -> None:
    """Time from the start of the process to the first text of the app."""
    Index(RunStore(bench.many)).look()
    subjects: dict[str, tuple[Callable[[], Terminal], str]] = {
        "an empty Textual app": (lambda: bench.other("empty"), "nothing here"),
        "the workbench, empty store": (lambda: bench.app(bench.none), "1 Runs"),
        f"the workbench, {RUNS:,} runs": (lambda: bench.app(bench.many), "1 Runs"),
    }
    times: dict[str, list[float]] = {name: [] for name in subjects}
    for turn in range(bench.rounds + 1):
        for name, (start, wanted) in subjects.items():
            with start() as terminal:
                terminal.until(wanted)
                if turn:
                    times[name].append(terminal.last_byte_s - terminal.started_s)
    base, *ours = times.values()
    ratios = [[mine / his for mine, his in zip(each, base, strict=True)] for each in ours]
    result["first_paint_ratio_to_empty_app"] = round(statistics.median(ratios[0]), 2)
    cells = ["1.00", *(f"{statistics.median(each):.2f}" for each in ratios)]
    rows = [[name, *spread(times[name]), cell] for name, cell in zip(times, cells, strict=True)]
    show("first text on the screen", ["", "median ms", "quartiles", "p95", "times the empty app"], rows)


def opening(bench: Bench) -> None:
    """Time from the first text to the newest run's name, with and without what the index kept."""
    times: dict[str, list[float]] = {"with the index": [], "the first time": []}
    Index(RunStore(bench.many)).look()
    for name, kept in times.items():
        for turn in range(bench.rounds if name == "with the index" else 3):
            if name == "the first time":
                (bench.many / "index.sqlite").unlink(missing_ok=True)
            with bench.app(bench.many) as terminal:
                terminal.until("1 Runs")
                first_s = terminal.last_byte_s
                terminal.until(NEWEST)
                if turn or name != "with the index":
                    kept.append(terminal.last_byte_s - first_s)
    Index(RunStore(bench.many)).look()
    result["open_5000_runs_ms"] = round(1e3 * statistics.median(times["with the index"]), 0)
    rows = [[name, *spread(kept)] for name, kept in times.items()]
    show(f"{RUNS:,} runs, from the first text to the newest one's name", ["", "median ms", "quartiles", "p95"], rows)


def keys(bench: Bench) -> None:
    """Time from a key to the last byte that it brings, among 5,000 runs."""
    Index(RunStore(bench.many)).look()
    found: dict[str, list[float]] = {}

    def press(name: str, *pressed: str) -> None:
        for key in pressed:
            terminal.settle(QUIET_S)
            start_s = time.perf_counter()
            terminal.press(key)
            if terminal.read(5.0):
                terminal.settle(QUIET_S)
                found.setdefault(name, []).append(terminal.last_byte_s - start_s)

    with bench.app(bench.many) as terminal:
        terminal.until(NEWEST)
        terminal.settle(1.0, most_s=60.0)
        for _ in range(bench.presses):
            press("down", "down")
            press("page down", "page_down")
            press("end", "end")
            press("home", "home")
        press("sort", *[key_of("order")] * bench.presses)
        press("order round", *[key_of("reverse")] * bench.presses)
        terminal.press(key_of("filter"))
        for _ in range(max(1, bench.presses // 6)):
            press("filter letters", *"resnet", *["backspace"] * 6)
    all_times = [seconds for times in found.values() for seconds in times]
    result["key_to_paint_p95_ms_5000_runs"] = round(1e3 * p95(all_times), 1)
    rows = [[name, *spread(times), str(len(times))] for name, times in found.items()]
    show(f"key to paint, {RUNS:,} runs, 80x24", ["key", "median ms", "quartiles", "p95", "presses"], rows)


def key_of(identity: str) -> str:
    """Give the key of what the list does, by the id of its binding, as a terminal sends it."""
    screen = screens.found()["runs"].make()
    keys = [key for key, all_of in screen._bindings.key_to_bindings.items() for each in all_of if each.id == identity]
    return {"slash": "/"}.get(keys[0], keys[0])


def stream(bench: Bench) -> None:
    """Bytes and processor while a run writes four events a second."""
    rows, shares = [], []
    beat = f"every {Settings().redraw_s:g} s"
    for columns, lines in SIZES:
        size, name = (columns, lines), f"{columns}x{lines}"
        with writing(bench) as (store, run_id):
            with bench.app(store, size) as terminal:
                terminal.until("> base")
                terminal.press("3")
                terminal.until("loss")
                ours = flow(terminal, bench.stream_s)
                terminal.press("L")
                logged = flow(terminal, bench.stream_s / 2)
            count = "2" if columns < 110 else "4"
            with bench.other("plots", str(store), run_id, count, str(Settings().redraw_s), size=size) as terminal:
                theirs = flow(terminal, bench.stream_s / 2)
        result[f"stream_bytes_per_s_{name}"] = ours.bytes_per_s
        result[f"plotext_bytes_per_s_{name}"] = theirs.bytes_per_s
        shares.append(ours.percent)
        subjects = {"Live": ours, "Live and its log": logged, f"{count} PlotextPlot, {beat}": theirs}
        rows += [[subject, name, *found.cells()] for subject, found in subjects.items()]
    result["stream_cpu_percent"] = max(shares)
    show("a run at work, 4 events a second", ["", "size", *Flow.headers], rows)


@contextlib.contextmanager
def writing(bench: Bench) -> Iterator[tuple[Path, str]]:
    """Keep a run going on in a store of its own; gives the store and the run's id."""
    store = Path(tempfile.mkdtemp(dir=bench.scratch))
    command = [sys.executable, helper, "write", str(store), str(8 * bench.stream_s + 60)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | bench.environment) as writer:
        assert writer.stdout is not None
        try:
            yield store, writer.stdout.readline().strip()
        finally:
            writer.kill()


def idle(bench: Bench) -> None:
    """Bytes and processor while nothing happens."""
    Index(RunStore(bench.many)).look()
    rows = []
    with bench.app(bench.many) as terminal:
        terminal.until(NEWEST)
        found = flow(terminal, bench.idle_s)
        result["idle_bytes_per_s"], result["idle_cpu_percent"] = found.bytes_per_s, found.percent
        rows.append([f"{RUNS:,} finished runs", *found.cells()])
    of = demo.recipe_of("PQ", "resnet18", 0.5, 0, 3)
    run, lock = RunStore(bench.few).create(of)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with bench.app(bench.few) as terminal:
        terminal.until("resnet18")
        rows.append(["40 finished runs, one waits", *flow(terminal, bench.idle_s).cells()])
    os.close(lock)
    shutil.rmtree(run.folder)
    show("no key", ["", *Flow.headers], rows)


@dataclass
class Flow:
    """What an app sent and used, in pieces of equal length."""

    headers = ("bytes/s", "least to most", "% of a core", "least to most")
    sent: list[float]
    """Bytes a second."""
    used: list[float]
    """Percent of a core."""

    @property
    def bytes_per_s(self) -> float:
        """The mean: what is sent comes in bursts."""
        return round(statistics.mean(self.sent))

    @property
    def percent(self) -> float:
        """The mean: the system counts in hundredths of a second."""
        return round(statistics.mean(self.used), 1)

    def cells(self) -> list[str]:
        """Write both with their spread."""
        return [
            f"{self.bytes_per_s:,}", f"{min(self.sent):,.0f} to {max(self.sent):,.0f}",
            f"{self.percent}", f"{min(self.used):.1f} to {max(self.used):.1f}",
        ]  # fmt: skip


def flow(terminal: Terminal, seconds: float, pieces: int = 4) -> Flow:
    """Count for so long, once what was asked for stands."""
    terminal.settle(0.4, most_s=3.0)
    found = Flow([], [])
    for _ in range(pieces):
        sent, spent_s, start_s = terminal.num_bytes, terminal.cpu_s(), time.perf_counter()
        while (left_s := start_s + seconds / pieces - time.perf_counter()) > 0:
            terminal.read(left_s)
            assert terminal.process.poll() is None, f"it ended:\n{terminal.screen.text}"
        took_s = time.perf_counter() - start_s
        found.sent.append((terminal.num_bytes - sent) / took_s)
        found.used.append(100 * (terminal.cpu_s() - spent_s) / took_s)
    return found


def p95(times: list[float]) -> float:
    """Give the time that 95 of 100 do not exceed."""
    return statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]


def spread(times: list[float]) -> list[str]:
    """Write median, quartiles and the 95th percentile, milliseconds."""
    low, middle, high = statistics.quantiles(times, n=4, method="inclusive")
    return [f"{1e3 * middle:,.1f}", f"{1e3 * low:,.1f} to {1e3 * high:,.1f}", f"{1e3 * p95(times):,.1f}"]


def show(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table."""
    table = Table(title=title, title_justify="left")
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def spent_s() -> tuple[float, float]:
    """Give the processor time that everybody spent since the machine started, and that we did, seconds."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:]
    everybody = sum(int(field) for place, field in enumerate(fields[:8]) if place not in (3, 4))
    return everybody / os.sysconf("SC_CLK_TCK"), sum(os.times()[:4])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repeats: to see whether it works, not to quote")
    parser.add_argument("--only", metavar="PARTS", default=",".join(parts), help=f"some of {','.join(parts)}")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",")
    if unknown := [name for name in chosen if name not in parts]:
        parser.error(f"there is no part {unknown[0]!r}; known: {', '.join(parts)}")
    steps = dict(zip(parts, (first_paint, opening, keys, stream, idle), strict=True))
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), is_quick=arguments.quick)
        with bench.app(bench.none) as terminal:
            terminal.until("1 Runs")
        (everybody, ours), start_s, load = spent_s(), time.perf_counter(), os.getloadavg()[0]
        for name in chosen:
            try:
                steps[name](bench)
            except AssertionError as error:
                notes.append(f"The part {name!r} gave no number: {str(error).splitlines()[0]}")
        after, ours_after = spent_s()
        others = max(0.0, (after - everybody) - (ours_after - ours)) / (time.perf_counter() - start_s)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {load:.2f} before; "
        f"others kept {others:.2f} cores busy" + (": TOO BUSY, do not quote" if others > BUSY_CORES else ""),
        soft_wrap=True,
    )
    for note in notes:
        console.print(note, soft_wrap=True, markup=False)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()

"""Take the pictures of all screens and main dialogs: ``uv run python docs/screenshots.py [STORE [RUN]]``.

Without a store they show the one of ``docs/demo.py``, with two runs at work, under a clock that stands still: the same
program draws the same pictures. Each is the SVG that the app itself draws, at 140x40 and, with the size in its name, at
80x24. ``docs/screens.md`` lists them. RUN is the one that the screens are about.
"""

import asyncio
import contextlib
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from textual.pilot import Pilot

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

import demo

from pipeline import processor
from pipeline.runs.store import RunStore
from workbench import machine, screens
from workbench.app import Workbench
from workbench.widgets.machine_strip import MachineStrip

folder = Path(__file__).parent / "screens"
page = Path(__file__).parent / "screens.md"
sizes = ((140, 40), (80, 24))
dialogs: dict[str, tuple[str, tuple[str, ...], str]] = {
    "help": ("runs", ("question_mark",), "every key of a screen"),
    "export": ("runs", ("e",), "what is written, where, in which formats"),
    "delete": ("runs", ("d",), "deleting asks first"),
    "stop": ("runs", ("s",), "stopping a run asks how"),
    "filter": ("runs", ("slash", *"size<5"), "narrowing the list"),
    "presets": ("compose", ("p",), "recipes to begin with"),
    "launch": ("compose", ("L",), "what a launch will cost"),
}
"""By name of the picture: the screen, what is pressed there, and what it shows."""
first: dict[str, tuple[str, ...]] = {"frontier": ("up", "up"), "compose": ("down", "down", "down"), "live": ("L",)}
"""What is pressed on a screen before its own picture is taken."""
usage = machine.Usage(
    cpu_percent=23, load=4.1, cores=32, used_gib=41.2, total_gib=256.0, run_percent=312, run_gib=6.4,
    gpus=(machine.Gpu(percent=87, used_gib=9.1, total_gib=80.0),),
)  # fmt: skip
"""Of the machine that the demo runs on."""
finished = ("delete", "export", "frontier")
"""Pictures of a run that is over."""
SETTLED_S = 0.7
"""The feed looks and draws twice in that time."""


def pictures() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """List all pictures: every screen, then the dialogs."""
    found = {name: (name, first.get(name, ()), entry.question) for name, entry in screens.found().items()}
    return {**found, **dialogs}


async def take(store: RunStore, run: str | None, name: str, size: tuple[int, int]) -> None:
    """Open the app, press what leads to the picture, and save it."""
    screen, keys, _ = pictures()[name]
    with tempfile.TemporaryDirectory() as saved:
        app = Workbench(store, Path(saved))
        async with app.run_test(size=size) as pilot:
            while app.shelf.rows is None or not app.shelf.is_complete:
                await pilot.pause(0.02)
            if run is not None:
                app.select(run)
            elif name in finished:
                app.select(next(row.id for row in app.shelf.visible if row.is_finished and not row.pinned))
            elif name == "compare":
                compared = [row.id for row in app.shelf.visible if row.is_finished and row.backbone == "resnet18"]
                app.shelf.marked |= set(compared[2:5])
            await pilot.press(screens.found()[screen].key)
            await _settle(pilot)
            await pilot.press(*keys)
            await _settle(pilot)
            picture = app.export_screenshot()
    # Written once the app has ended: one that crashed raises here at the latest.
    (folder / f"{name}{suffix(size)}.svg").write_text(picture, encoding="utf-8")


async def _settle(pilot: Pilot[None]) -> None:
    await pilot.pause(SETTLED_S)
    while any(not strip.plain_text().strip() for strip in pilot.app.screen.query(MachineStrip)):
        await pilot.pause(0.1)
    await pilot.wait_for_scheduled_animations()


def suffix(size: tuple[int, int]) -> str:
    """Say what stands behind the name of a picture; nothing for the large one."""
    return "" if size == sizes[0] else f"-{size[0]}x{size[1]}"


def text() -> str:
    """Write the page that lists the pictures."""
    lines = [
        "# Screens",
        "",
        "Made by `docs/screenshots.py` from the store of `docs/demo.py`: nothing was trained.",
        "",
    ]
    for name, (_, _, question) in pictures().items():
        lines += [f"## {name}", "", f"{question[0].upper()}{question[1:]}", ""]
        lines += [f"![{name}, {w}x{h}](screens/{name}{suffix((w, h))}.svg)" for w, h in sizes] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


@contextlib.contextmanager
def demo_store() -> Iterator[RunStore]:
    """Make the demo and stand still at its time, on a machine called ``demo``."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    with (
        tempfile.TemporaryDirectory(prefix="pqd-") as scratch,
        mock.patch.object(time, "time", return_value=demo.NOW_S),
        mock.patch.object(platform, "node", return_value="demo"),
        mock.patch.object(machine.Sampler, "look", return_value=usage),
        mock.patch.object(processor, "instruction_set", return_value="avx512_vnni"),
    ):
        store = demo.fill(Path(scratch) / "store")
        with demo.going_on(store):
            yield store


async def main(store: RunStore, run: str | None) -> list[str]:
    """Take all pictures; gives those that could not be taken, with the reason."""
    folder.mkdir(exist_ok=True)
    failed = []
    for name in pictures():
        for size in sizes:
            try:
                await take(store, run, name, size)
            except Exception as error:  # one broken screen must not cost the others their pictures
                failed.append(f"{name}, {size[0]}x{size[1]}: {type(error).__name__}: {error}")
    page.write_text(text(), encoding="utf-8")
    return failed


if __name__ == "__main__":
    given = RunStore(Path(sys.argv[1])) if len(sys.argv) > 1 else None
    chosen = given.open(sys.argv[2]).id if given is not None and len(sys.argv) > 2 else None
    with demo_store() if given is None else contextlib.nullcontext(given) as shown:
        problems = asyncio.run(main(shown, chosen))
    sys.exit("\n".join(problems) if problems else 0)

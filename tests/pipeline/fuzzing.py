"""Bad input by the thousand, read in a process with little memory: ``python -m tests.pipeline.fuzzing WHAT CASES``.

Every case is an error of ours, which is one short sentence, or a valid result. Anything else ends the process.
"""

import contextlib
import hashlib
import io
import random
import resource
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pipeline import events as e
from pipeline import presets, recipe
from pipeline.errors import PipelineError
from pipeline.report import Accuracy, CheckpointSize, LayerWork, Paired, TensorSize
from pipeline.results import Deployed, StageFolder, StageResult
from pipeline.runs import description, wording
from pipeline.runs.state import RunState
from pipeline.runs.store import Run
from tests.workbench import fakes
from workbench.cli import reporting

MEMORY = 2 << 30
DRAWN = 8
"""One case of so many is drawn, too."""
NOTHING = hashlib.sha256(b"").hexdigest()
LONGEST_SENTENCE = 4000
"""Some of ours list every known name; nothing that was read may make them longer."""

PIECES = [
    b"0", b"-1", b"1e308", b"1e999", b"9007199254740992", b"9" * 30, b"9" * 5000, b"0x" + b"f" * 5000,
    b"nan", b"inf", b"-inf", b"null", b"true", b'""', b'"' + b"a" * 100_000 + b'"', b'"\\u0000"', b'"\\ud800"',
    b'"~nobody-at-all/x"', b"\xff", b"\x00", b"[" * 5000, b"{" * 5000, b'{"a":' * 3000, b"[]", b"{}", b"[[1]]",
    b"\n", b"\r", b",", b'"', b"=", b".", b"a." * 3000, b"1979-05-27T07:32:00Z", b"'''", b"# ", b"../../x",
    b"os:system", b"deployed", b"baseline", b"\xf0\x9f\x92\xa9",
]  # fmt: skip


def mutated(seeds: list[bytes], random_: random.Random) -> bytes:
    """Take one of the seeds and cut, repeat, overwrite or insert in up to four places."""
    content = bytearray(random_.choice(seeds))
    for _ in range(random_.randint(1, 4)):
        start = random_.randrange(len(content) + 1)
        end = min(len(content), start + random_.choice((0, 1, 1, 3, 12, 80)))
        match random_.randrange(6):
            case 0:
                del content[start:]
            case 1:
                del content[start:end]
            case 2:
                content[start:start] = content[start:end] * random_.randint(1, 20)
            case 3:
                content[start:end] = random_.randbytes(end - start)
            case 4:
                content[start:end] = random_.choice(PIECES)
            case _:
                replace_value(content, start, random_)
    return bytes(content)


def replace_value(content: bytearray, start: int, random_: random.Random) -> None:
    """Put a piece where a value stands: this is what gets past the grammar."""
    begin = max(content.find(mark, start) for mark in (b":", b"= "))
    if begin >= 0:
        ends = [place for mark in b",}]\n" if (place := content.find(mark, begin + 1)) >= 0]
        content[begin + 1 : min(ends, default=len(content))] = random_.choice(PIECES)


def read_recipe(content: bytes, folder: Path, *, draw: bool) -> None:
    text = content.decode("utf-8", errors="replace")
    found = recipe.loads(text, source="recipe.toml", folder=folder)
    assert recipe.loads(found.to_toml(), source="again", folder=folder) == found
    for stage in found.stages:
        wording.stage_words(stage)


def read_log(content: bytes, folder: Path, *, draw: bool) -> None:
    run = Run(folder / "runs" / "one")
    run.events_path.write_bytes(content)
    state = RunState()
    run.history()
    for event in run.events()[0]:
        state = state.after(event)
        wording.log_line(event, state)
    show(run, draw=draw)


def read_report(content: bytes, folder: Path, *, draw: bool) -> None:
    (folder / "report.json").write_bytes(content)
    description.load(folder / "report.json")


def read_summary(content: bytes, folder: Path, *, draw: bool) -> None:
    run = Run(folder / "runs" / "one")
    run.summary_path.write_bytes(content)
    show(run, draw=draw)


def read_results(content: bytes, folder: Path, *, draw: bool) -> None:
    place = StageFolder(folder, "stage")
    if not place.folder.exists():
        place.deployed_folder.mkdir(parents=True)
        place.weights_path.write_bytes(b"")
        (place.deployed_folder / "model.onnx").write_bytes(b"")
    (place.folder / "result.json").write_bytes(content)
    (place.deployed_folder / "deployed.json").write_bytes(content)
    place.deployed()
    place.result()


def show(run: Run, *, draw: bool) -> None:
    """Everything that is derived and drawn from a state must stand it, too."""
    state = run.state()
    state.eta_s(0.0)
    msgspec.json.encode(run.describe())
    if draw:
        with contextlib.redirect_stdout(io.StringIO()):
            reporting.report(run, state, store=None)
            reporting.ending(run, state, store=None)


def events_of(size: CheckpointSize) -> list[e.AnyEvent]:
    """A finished run in which everything happened that can happen."""
    *happened, last = fakes.whole(fakes.recipe_of(stages="PQ", epochs=1), reused=(1,))
    paired = Paired(total=1000, gained=7, lost=9)
    accuracy = Accuracy(correct=9, total=10, runtime="openvino", version="1", agreement=0.99, versus_baseline=paired)
    latency = msgspec.structs.replace(
        fakes.latency(2.0, "torch"), precision={"int8": 2}, roof_ms=0.1, busy_elsewhere=0.5
    )
    more = [
        e.Waited(reason="another run"),
        e.Downloaded(done=1, total=4),
        e.Noted(text="a note"),
        e.ModelLowered(subject="deployed", operators={"QLinearConv": 2}),
        e.ArtifactWritten(subject="deployed", kind="onnx", path="runs/one/model.onnx", bytes=3, sha256="ab"),
        e.Measuring(what="accuracy"),
        e.AccuracyMeasured(subject="deployed", accuracy=accuracy),
        e.SizeMeasured(subject="deployed", size=size),
        e.LatencyMeasured(subject="baseline", latency=latency),
    ]
    return [*happened, *(msgspec.structs.replace(event, time_s=last.time_s) for event in more), last]


def seeds_of(what: str, folder: Path) -> list[bytes]:
    """Valid documents, which the cases are mutations of: byte for byte the same each time, but for names of folders."""
    if what == "recipe":
        return [path.read_bytes() for path in presets.presets().values()]
    tensor = TensorSize(name="a.weight", shape=(2, 5), dtype="int8", num_nonzero=5, coded_bytes=9, bound_bytes=8.5)
    size = CheckpointSize(
        size_bytes=430, num_parameters=100, num_nonzero=50, dense_bytes=740, float_bytes=400, bound_bytes=40.5,
        tensors=(tensor,),
    )  # fmt: skip
    if what != "results":
        run = Run(folder / "runs" / "one")
        fakes.write(run, events_of(size))
        made = {"log": run.events_path.read_bytes, "report": lambda: msgspec.json.encode(run.describe()),
                "summary": lambda: msgspec.json.encode(run.state())}[what]()  # fmt: skip
        return [made, *made.splitlines(keepends=True)]
    facts: dict[str, Any] = {"metrics": {"top1": 1.0}, "layer_sparsity": {"a": 0.5}, "seconds": 1.0, "history": ()}
    return [
        msgspec.json.encode(StageResult(stage="prune", sha256=NOTHING, **facts)),
        msgspec.json.encode(
            Deployed(
                operators={"a": 1}, size=size, layers=(LayerWork(num_weights=9, uses=4),), sha256={"onnx": NOTHING}
            )
        ),
    ]


READERS: dict[str, Callable[..., None]] = {
    "recipe": read_recipe, "log": read_log, "report": read_report, "summary": read_summary, "results": read_results,
}  # fmt: skip


def main(what: str, cases: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    random_ = random.Random(f"{what} 0")
    refused = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = folder / "runs" / "one"
        one.mkdir(parents=True)
        (one / "recipe.toml").write_text('name = "one"\nbackbone = "tiny"\ndataset = "digits"\n')
        seeds = seeds_of(what, folder)
        for case in range(cases):
            content = mutated(seeds, random_)
            try:
                READERS[what](content, folder, draw=case % DRAWN == 0)
            except PipelineError as error:
                refused += 1
                sentence = str(error)
                assert sentence.endswith("."), sentence[-200:]
                assert len(sentence) < LONGEST_SENTENCE, f"{len(sentence)}: {sentence[:200]}"
            except BaseException:
                print(f"case {case}: {content[:2000]!r}", file=sys.stderr)
                raise
    print(f"{refused} of {cases} were refused")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

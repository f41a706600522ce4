"""One run as a document for programs: ``show --json``, ``run --json`` and the report.json of an export.

Whatever follows from the facts stands in it, too, so that no reader has to know a formula. ``docs/report.md`` lists
every field. Fields are only ever added while ``format`` stays what it is.
"""

from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from pipeline import decoding
from pipeline.errors import CorruptRun
from pipeline.report import Accuracy, CheckpointSize, Latency, Paired, Report
from pipeline.runs.state import RunState, StageState, Status

R = TypeVar("R", bound=Struct)

FORMAT = 1
"""Version of the document."""
LARGEST_BYTES = 64 << 20
"""A report.json of more bytes is not read."""


class PairedNumbers(Paired, frozen=True, kw_only=True):
    """The deployed file against the baseline on the same test samples, sample by sample (McNemar's test)."""

    points: float
    """Percentage points of top-1 above the baseline."""
    margin: float
    """Half of the 95 % interval around ``points``, in points (Agresti and Min 2005)."""
    p_value: float
    """Chance (0 to 1) of so uneven a split, or a more uneven one, if both were equally good."""


class AccuracyNumbers(Accuracy, frozen=True, kw_only=True):
    """How many test samples a file answers rightly in one runtime."""

    top1: float
    """Percent of the samples answered rightly."""
    interval: tuple[float, float]
    """The 95 % interval of ``top1`` in percent (Wilson score interval)."""
    versus_baseline: PairedNumbers | None
    """The same samples answered by the baseline in the same runtime; None for the baseline itself."""


class LatencyNumbers(Latency, frozen=True, kw_only=True):
    """Time of one call of a file in one runtime, in a fresh process, interleaved with the baseline."""

    contended: bool
    """Something else used the processor meanwhile: measure again before you trust the numbers."""
    of_roof: float | None
    """How many times as long as ``roof_ms`` a call takes; None where that is not known."""


class Numbers(Struct, frozen=True, kw_only=True):
    """What was measured of one network, as far as it has been."""

    accuracies: dict[str, AccuracyNumbers]
    """By name of the runtime, in the order of the recipe."""
    size: CheckpointSize | None
    """None until weighed."""
    latency: dict[str, LatencyNumbers]
    """By condition: name of the runtime, with ``, batch N`` and ``, N threads`` unless N is 1."""


class Stage(Struct, frozen=True, kw_only=True):
    """One entry of the plan: the baseline, a stage or a teacher."""

    stage: str
    """``baseline``, ``teacher`` or the name of the stage."""
    key: str
    """Content key of the result in the store."""
    status: str
    """``pending``, ``running``, ``finished`` or ``reused``."""
    reused: bool
    """The result was taken from the store."""
    epochs: int
    """Passes over the training images."""
    seconds: float | None
    """Wall time of the training; of the earlier one when reused; None until it is over."""
    top1: float | None
    """Percent of the validation images answered rightly; None until measured."""
    sparsity: float | None
    """Zeros (0 to 1) of the weights that can be pruned; None until known."""
    metrics: dict[str, float | None]
    """The newest value of each metric by name: losses, ``images_per_s``, ``tflops``, ``percent_of_peak``, ..."""
    layer_sparsity: dict[str, float]
    """Zeros (0 to 1) of every layer that can be pruned, by its name."""


class File(Struct, frozen=True, kw_only=True):
    """A file of the result."""

    subject: str
    """``baseline`` or ``deployed``."""
    kind: str
    """``onnx``, ``checkpoint``, ``samples`` or ``weights``."""
    path: str
    """Where it lies: from the root, in an export from the store."""
    bytes: int
    """Size of the file."""
    sha256: str
    """Checksum of the file, in hexadecimal."""


class Description(Struct, frozen=True, kw_only=True):
    """A run, whole."""

    format: int = FORMAT
    """Version of the document."""
    id: str
    """Name of the run's folder: date, time, the recipe's name and four random letters."""
    name: str
    """What the recipe is called."""
    status: Status
    """``queued``, ``running``, ``finished``, ``failed``, ``stopped`` or ``lost``."""
    recipe: dict[str, Any]
    """The recipe, as its TOML file would read; ``docs/options.md`` lists its keys."""
    stages: tuple[Stage, ...]
    """The entries of the plan in order: the baseline first, what is deployed last."""
    baseline: Numbers
    """The FP32 start, lowered and measured like the result."""
    deployed: Numbers
    """The result: the file that leaves."""
    size_ratio: float | None
    """How many times smaller than the baseline's the file of the result is; None until both are weighed."""
    speedup: dict[str, float]
    """How many times faster than the baseline the result is, by the medians, in each condition."""
    artifacts: tuple[File, ...]
    """The files, those of the result first."""
    operators: dict[str, dict[str, int]]
    """Operators of the ONNX graph by type, of ``baseline`` and of ``deployed``."""
    notes: tuple[str, ...]
    """What a person should know: warnings, choices that were made."""
    failure: str
    """Why the run failed, in one sentence; empty where it did not."""
    device: str
    """Where it trained: ``cpu`` or ``cuda:0``; empty before it began."""
    started_s: float | None
    """When its process took up its work, in seconds since 1970; None before."""
    ended_s: float | None
    """When it was over, in seconds since 1970; None before."""
    folder: str
    """Where the run lies: from the root, in an export from the store."""


def of(state: RunState, *, folder: Path, recipe: dict[str, Any]) -> Description:
    """Describe a run.

    Args:
        state: where it is.
        folder: where it lies.
        recipe: its recipe as plain values.
    """
    versus, store = state.deployed.versus(state.baseline), folder.parent.parent
    return Description(
        id=folder.name,
        name=recipe["name"],
        status=state.status,
        recipe=recipe,
        stages=tuple(map(_stage, state.stages)),
        baseline=_numbers(state.baseline),
        deployed=_numbers(state.deployed),
        size_ratio=versus.size_ratio,
        speedup=versus.speedup,
        artifacts=tuple(
            File(**msgspec.structs.asdict(artifact) | {"path": str(store / artifact.path)})
            # What was asked for comes before what it is compared with.
            for artifact in sorted(state.artifacts, key=lambda artifact: artifact.subject != "deployed")
        ),
        operators=state.operators,
        notes=state.notes,
        failure=state.failure,
        device=state.device,
        started_s=state.started_s,
        ended_s=state.ended_s,
        folder=str(folder),
    )


def load(path: Path) -> Description:
    """Read the report.json of an exported run.

    Raises:
        CorruptRun: the file is absent, too large, of a later format, or not what ``docs/report.md`` says.
    """
    try:
        with path.open("rb") as opened:
            content = opened.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CorruptRun(f"the report {str(path)!r} cannot be read: {reason}.") from None
    if len(content) > LARGEST_BYTES:
        raise CorruptRun(f"the report {str(path)!r} has more than {LARGEST_BYTES >> 20} MiB; it is none of ours.")
    try:
        found = decoding.json(content, _versions)
        if found.format != FORMAT:
            raise CorruptRun(
                f"the report {str(path)!r} has the format {found.format}; this version reads {FORMAT}: "
                "install a newer pqd-workbench."
            )
        return decoding.json(content, _decoder)
    except msgspec.DecodeError as error:
        raise CorruptRun(f"{str(path)!r} is no report of a run: {error}.") from None


class _Version(Struct):
    format: int


_versions = msgspec.json.Decoder(_Version)
_decoder = msgspec.json.Decoder(Description)


def _stage(state: StageState) -> Stage:
    kept = {name: getattr(state, name) for name in Stage.__struct_fields__ if name != "sparsity"}
    return Stage(**kept, sparsity=state.metrics.get("sparsity"))


def _numbers(report: Report) -> Numbers:
    return Numbers(
        accuracies={name: _accuracy(found) for name, found in report.accuracies.items()},
        size=report.size,
        latency={name: _with(LatencyNumbers, found) for name, found in report.latency.items()},
    )


def _accuracy(found: Accuracy) -> AccuracyNumbers:
    paired = found.versus_baseline
    return _with(AccuracyNumbers, found, versus_baseline=paired and _with(PairedNumbers, paired))


def _with(record: type[R], facts: Struct, **instead: Struct | None) -> R:
    """Write out, beside the facts, what follows from them."""
    return record(**{name: getattr(facts, name) for name in record.__struct_fields__} | instead)

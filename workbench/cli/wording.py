"""How the verbs write numbers: always with unit, and with spread where there is one."""

import math

from pipeline.report import Accuracy, CheckpointSize, Latency
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run

MIB = 1024 * 1024
NOTHING = "-"
"""Stands where no number is known."""


def number(value: float | None, form: str) -> str:
    """Write a number whose unit stands in the header."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:{form}}"


def percent(value: float | None, digits: int = 2) -> str:
    """Write a number that is in percent already."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f} %"


def points(value: float | None) -> str:
    """Write a difference of two percentages."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:+.2f} points"


def times(ratio: float | None, better: str, worse: str) -> str:
    """Write a ratio with the word that fits it: ``3.90x smaller``, ``1.20x larger``."""
    if ratio is None or ratio <= 0:
        return NOTHING
    return f"{ratio:.2f}x {better}" if ratio >= 1 else f"{1 / ratio:.2f}x {worse}"


def ratio(value: float | None) -> str:
    """Write a ratio alone, where the header says of what."""
    return NOTHING if value is None else f"{value:.2f}x"


def mib(size_bytes: int | None, *, unit: bool = True) -> str:
    """Write bytes in MiB; four decimals where two would leave nothing."""
    if size_bytes is None:
        return NOTHING
    value = size_bytes / MIB
    return f"{value:.{2 if value >= 1 else 4}f}{' MiB' if unit else ''}"


def milliseconds(value: float | None, *, unit: bool = True) -> str:
    """Write a latency."""
    return NOTHING if value is None else f"{value:.{3 if value < 10 else 2}f}{' ms' if unit else ''}"


def accuracy(found: Accuracy | None) -> str:
    """Write top-1 with its 95 % interval."""
    if found is None:
        return NOTHING
    low, high = found.interval
    return f"{percent(found.top1)} [{low:.1f}, {high:.1f}]"


def agreement(found: Accuracy | None) -> str:
    """Write the share of samples with the same answer as the trained network."""
    return NOTHING if found is None or found.agreement is None else percent(100 * found.agreement)


def size(found: CheckpointSize | None) -> str:
    """Write a checkpoint's size in MiB and in bytes."""
    return NOTHING if found is None else f"{mib(found.size_bytes)} ({found.size_bytes:,} bytes)"


def latency(found: Latency | None) -> str:
    """Write the median and the 90th percentile."""
    if found is None:
        return NOTHING
    return f"{milliseconds(found.median_ms)} median, {milliseconds(found.p90_ms)} p90"


def duration(seconds: float | None) -> str:
    """Write a span of time with its two largest units."""
    if seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def status(state: RunState) -> str:
    """Write the status word, and how far a run at work is."""
    if state.status is not Status.RUNNING:
        return state.status.value
    return f"{state.status.value} {100 * state.progress:.0f} %"


def stage_name(state: RunState, index: int) -> str:
    """Name an entry of the plan, with its place: ``baseline``, ``1 prune``."""
    if not 0 <= index < len(state.stages):
        return str(index)
    return state.stages[index].stage if index == 0 else f"{index} {state.stages[index].stage}"


def pipeline_of(run: Run) -> str:
    """Say what a recipe does in one line.

    Raises:
        RecipeError: the recipe does not fit this version.
    """
    recipe = run.recipe()
    stages = " -> ".join(stage.name for stage in recipe.stages) or "no stages"
    return f"{recipe.name}: {recipe.backbone} on {recipe.dataset.name}, {stages}"

"""Runs in words: numbers with their unit, and their spread where there is one; events as lines of a log."""

import math
import time
from typing import TYPE_CHECKING

from pipeline import events as e
from pipeline.report import CONTENDED_CORES, CONTENDED_RATIO, Accuracy, CheckpointSize, Latency, Paired
from pipeline.runs.state import RunState, Status

if TYPE_CHECKING:
    from pipeline.protocols import Stage
    from pipeline.runs.store import Run

MIB = 1024 * 1024
NOTHING = "-"
"""Stands where no number is known."""
SIGNIFICANT = 0.05
"""Two networks whose difference has a larger p-value are not told apart."""
EAGER = "torch"
"""Runtime that executes the baseline as most people do."""


def number(value: float | None, form: str) -> str:
    """Write a number whose unit stands in the header."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:{form}}"


def percent(value: float | None, digits: int = 2) -> str:
    """Write a number that is in percent already."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:.{digits}f} %"


def rate(value: float | None) -> str:
    """Write a number of images a second."""
    return NOTHING if value is None or not math.isfinite(value) else f"{value:,.0f}"


def points(value: float | None, paired: Paired | None = None, digits: int = 2) -> str:
    """Write a difference of two percentages; with half of its 95 % interval where samples were compared in pairs."""
    if value is None or not math.isfinite(value):
        return NOTHING
    margin = "" if paired is None else f" ± {paired.margin:.{digits}f}"
    return f"{value:+.{digits}f}{margin}"


def p_value(value: float) -> str:
    """Write a probability."""
    return "p < 0.001" if value < 0.001 else f"p = {value:.2g}"


def versus_baseline(found: Accuracy) -> str:
    """Say whether top-1 is really another than the baseline's; empty where samples were not compared in pairs."""
    paired = found.versus_baseline
    if paired is None or not paired.total:
        return ""
    change = "equal"
    if paired.points:
        change = f"{'larger' if paired.points > 0 else 'smaller'} by {abs(paired.points):.2f}"
    by = f"{change} ± {paired.margin:.2f} points ({p_value(paired.p_value)})"
    if paired.p_value < SIGNIFICANT:
        return f"{by} on {paired.total:,} samples"
    return f"{by}: not distinguishable from the baseline on {paired.total:,} samples"


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


def bytes_of(value: float | None) -> str:
    """Write bytes: as such while they are few, else in MiB."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.0f} bytes" if value < MIB else f"{value / MIB:.2f} MiB"


def latency(found: Latency | None) -> str:
    """Write the median and the 90th percentile."""
    if found is None:
        return NOTHING
    return f"{milliseconds(found.median_ms)} median, {milliseconds(found.p90_ms)} p90"


def precision(found: Latency) -> str:
    """Write how many products were executed in which precision: ``int8 21, float32 1``; empty where not known."""
    return ", ".join(f"{name} {count:,}" for name, count in found.precision.items())


def contention(found: Latency) -> str:
    """Say why a latency is not to be trusted; empty where it is."""
    if not found.contended:
        return ""
    reasons = []
    if found.median_ms > CONTENDED_RATIO * found.min_ms > 0:
        reasons.append(f"the median is {found.median_ms / found.min_ms:.2f} times the fastest call")
    if found.busy_elsewhere is not None and found.busy_elsewhere > CONTENDED_CORES:
        reasons.append(f"something else kept {found.busy_elsewhere:.1f} cores busy")
    return " and ".join(reasons) or "the machine was not quiet"


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


def stopping(when: e.StopWhen | None) -> str:
    """Say when a run ends that was asked to stop; empty where nobody did."""
    words = {"now": "stops at its next step", "epoch": "stops after this epoch", "stage": "stops after this stage"}
    return "" if when is None else words[when]


def stage_name(state: RunState, index: int) -> str:
    """Name an entry of the plan, a stage with its place in the recipe: ``baseline``, ``1 prune``, ``teacher``."""
    if not 0 <= index < len(state.stages):
        return str(index)
    plain = ("baseline", "teacher")
    name = state.stages[index].stage
    place = sum(entry.stage not in plain for entry in state.stages[: index + 1])
    return name if name in plain else f"{place} {name}"


def pipeline_of(run: "Run") -> str:
    """Say what a recipe does in one line.

    Raises:
        RecipeError: the recipe does not fit this version.
    """
    recipe = run.recipe()
    stages = " -> ".join(stage.name for stage in recipe.stages) or "no stages"
    return f"{recipe.name}: {recipe.backbone} on {recipe.dataset.name}, {stages}"


def stage_words(stage: "Stage") -> str:
    """Name a stage with its main options: the first two, its epochs, and what is not as it is by default."""
    from pipeline.options import options_of

    listed = options_of(type(stage))
    shown = [
        f"{option.name} {value(getattr(stage, option.name))}"
        for place, option in enumerate(listed)
        if place < 2 or option.name == "epochs" or getattr(stage, option.name) != option.default
    ]
    return f"{stage.name}: {', '.join(shown)}" if shown else stage.name


def value(found: object) -> str:
    """Write the value of an option."""
    match found:
        case bool():
            return "yes" if found else "no"
        case float():
            return f"{found:g}"
        case dict():
            return ", ".join(f"{key} {value(inner)}" for key, inner in found.items()) or "none"
        case tuple() | list():
            return " ".join(map(value, found)) or "none"
        case _:
            return str(found)


def log_line(event: e.AnyEvent, state: RunState) -> str:
    """Put an event into one line with its time of day; empty for one that a log need not repeat."""
    words = describe(event, state)
    return words and f"{time.strftime('%H:%M:%S', time.localtime(event.time_s))} {words}"


def describe(event: e.AnyEvent, state: RunState) -> str:
    """Put an event into one line; empty for one that a log need not repeat."""
    match event:
        case e.RunStarted():
            return f"started on {event.host}, training on {event.device}: {len(event.plan)} entries in the plan"
        case e.Waited() if state.status is Status.QUEUED:
            return event.reason
        case e.Waited():
            return f"waiting: {event.reason}"
        case e.Downloaded():
            return f"downloading: {mib(event.done)}" + (f" of {mib(event.total)}" if event.total else "")
        case e.StageStarted():
            stage = state.stages[event.index]
            return f"{stage_name(state, event.index)}: begins, {stage.epochs} epochs, {event.steps:,} steps"
        case e.StageResumed():
            return f"{stage_name(state, event.index)}: resumed after epoch {event.epoch}, {event.step:,} steps"
        case e.StageReused():
            name = stage_name(state, event.index)
            return f"{name}: reused, {_metrics(event.metrics)} (cost {duration(event.seconds)} then)"
        case e.EpochFinished() if state.stages[event.index].status == "running":
            name, epochs = stage_name(state, event.index), state.stages[event.index].epochs
            left = state.eta_s(event.time_s)
            rest = "" if left is None else f", {duration(left)} left"
            return f"{name}: epoch {event.epoch}/{epochs}, {_metrics(event.metrics)}{rest}"
        case e.StageFinished():
            name = stage_name(state, event.index)
            return f"{name}: finished in {duration(event.seconds)}, {_metrics(event.metrics)}"
        case e.Noted():
            return f"note: {event.text}"
        case e.ModelLowered():
            return f"lowered: {event.subject}, {sum(event.operators.values())} operators"
        case e.Measuring():
            return f"measuring {event.what}"
        case e.AccuracyMeasured():
            return f"top-1 of {event.subject} in {event.accuracy.runtime}: {accuracy(event.accuracy)}"
        case e.SizeMeasured():
            return f"checkpoint of {event.subject}: {size(event.size)}"
        case e.LatencyMeasured():
            return f"latency of {event.subject} in {event.latency.condition}: {latency(event.latency)}"
        case e.StopRequested():
            return stopping(event.when) or "goes on: the wish to stop was withdrawn"
        case e.RunFinished() | e.RunFailed() | e.RunStopped():
            return state.status.value
        case _:
            return ""


def _metrics(metrics: dict[str, float | None]) -> str:
    speed = metrics.get("images_per_s")
    sparsity = metrics.get("sparsity")
    # While training the loss of the training images, at the end of a stage that of the validation images.
    losses = (("loss", metrics.get("loss")), ("validation loss", metrics.get("validation_loss")))
    parts = [
        *[f"{name} {loss:.4g}" for name, loss in losses if loss is not None][:1],
        f"top-1 {percent(metrics.get('top1'))}",
        "" if not sparsity else f"{100 * sparsity:.1f} % zeros",
        "" if speed is None else f"{speed:,.0f} images/s",
    ]
    return ", ".join(part for part in parts if part)

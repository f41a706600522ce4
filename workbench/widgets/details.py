"""Everything about one run in a few lines: its numbers beside the baseline's, what each stage gave, what went wrong."""

from rich.text import Text

from pipeline.runs.rows import Row, Step
from pipeline.runs.state import Status
from workbench.widgets import words


def head(row: Row, width: int) -> Text:
    """Say what the run is: name, backbone, dataset, seed."""
    about = f"  {row.backbone} on {row.dataset}, seed {row.seed}" if row.letters != "?" else ""
    text = Text(words.cut(row.name, max(12, width - len(about))), style="bold", no_wrap=True)
    text.append(about, style="not bold dim")
    return text


def comparison(row: Row, *, short: bool = False) -> Text:
    """Set the deployed network beside the baseline, three lines with one header."""
    text = Text(no_wrap=True)
    text.append(f"{'':9}{'top1 %':>8}{'MiB':>9}{'ms':>9}\n", style="dim")
    text.append(f"{'baseline':9}{_numbers(row.baseline_top1, row.baseline_bytes, row.baseline_ms)}\n", style="dim")
    text.append(f"{'deployed':9}{_numbers(row.top1, row.size_bytes, row.median_ms)}\n", style="bold")
    text.append(f"{'':9}{words.number(row.points, signed=True):>8}")
    text.append(f"{_times(row.size_ratio):>9}{_times(row.speedup):>9}")
    if row.runtime is not None and not short:
        text.append(f"  {row.runtime}{', contended' if row.contended else ''}", style="dim")
    return text


def _numbers(top1: float | None, size_bytes: int | None, median_ms: float | None) -> str:
    return f"{words.number(top1):>8}{words.mib(size_bytes):>9}{words.milliseconds(median_ms):>9}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1f}x"


def stages(row: Row, width: int) -> Text:
    """Say what each stage gave: ``baseline 94.6 | prune 94.4 reused | quantize 12/20``; wrapped to the width."""
    text = Text()
    for place, step in enumerate(row.steps):
        if place:
            text.append(" | ", style="dim")
        text.append(f"{step.stage} ")
        text.append(*_step_result(step))
    if not row.steps and row.letters != "?":
        text.append(" | ".join(row.stages) or "baseline only", style="dim")
    return text


def _step_result(step: Step) -> tuple[str, str]:
    result = words.number(step.top1)
    if step.status == "reused":
        return f"{result} reused", ""
    if step.status == "finished":
        return f"{result} ok", ""
    if step.status == "running":
        return f"> {step.epoch}/{step.epochs}", "bold"
    return "waits", "dim"


def outcome(row: Row, now_s: float) -> Text:
    """Say what matters most now: the failure, the problem, the time that is left, or how long it took."""
    if row.problem:
        return Text(f"?? {row.problem}", style="bold")
    if row.failure:
        return Text(f"x {row.failure}", style="bold")
    if row.status is Status.LOST:
        return Text("!! Its process died without a word; log.txt in its folder may tell why.")
    if row.is_running:
        return Text(f"> {running_words(row, now_s)}")
    seconds = None if row.started_s is None or row.ended_s is None else row.ended_s - row.started_s
    return Text("" if seconds is None else f"took {words.duration(seconds)}", style="dim")


def running_words(row: Row, now_s: float) -> str:
    """Say how long a run still takes and how fast it goes."""
    if row.index is None or row.activity:
        return row.activity or ("waiting for its process" if not row.steps else "between two stages")
    left = words.duration(left_s(row.stage_ends_s, now_s))
    parts = [
        f"{words.step_words(row.steps[row.index])}, {left} left",
        f"run {words.duration(left_s(row.ends_s, now_s))} left",
    ]
    if row.images_per_s is not None:
        parts.append(f"{words.number(row.images_per_s, 0)} images/s")
    if row.device:
        parts.append(row.device)
    return ", ".join(parts)


def left_s(ends_s: float | None, now_s: float) -> float | None:
    """Tell how many seconds are left until a time; None where it is not known."""
    return None if ends_s is None else max(0.0, ends_s - now_s)

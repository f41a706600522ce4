"""Everything about one run in a few lines: its numbers beside the baseline's, what each stage gave, what went wrong."""

from rich.text import Text

from pipeline.runs import wording
from pipeline.runs.rows import Row, Step
from pipeline.runs.state import Status
from pipeline.runs.wording import SIGNIFICANT
from workbench.widgets import words


def head(row: Row, width: int) -> Text:
    """Say what the run is: name, backbone, dataset, seed."""
    about = f"  {row.backbone} on {row.dataset}, seed {row.seed}" if row.letters != "?" else ""
    text = Text(words.cut(row.name, max(12, width - len(about))), style="bold", no_wrap=True)
    text.append(about, style="not bold dim")
    return text


def comparison(row: Row, *, short: bool = False) -> Text:
    """Set the deployed network beside the baseline, lines of 42 cells with one header; with intervals of 95 %.

    Args:
        row: the run.
        short: four lines; else two more with the conditions.
    """
    text = Text(no_wrap=True)
    measured = (row.baseline_top1, row.baseline_bytes, row.baseline_ms, row.top1, row.size_bytes, row.median_ms)
    if all(number is None for number in measured):
        return text.append("measured once its last stage is done" if row.is_running else "", style="dim")
    text.append(f"{'':9}{'top1 %':>6}{'95 %':>12}{'MiB':>8}{'ms':>7}\n", style="dim")
    text.append(f"{'baseline':9}{_numbers(row.baseline_top1, '', row.baseline_bytes, row.baseline_ms)}\n", style="dim")
    text.append(f"{'deployed':9}{_numbers(row.top1, _interval(row), row.size_bytes, row.median_ms)}\n", style="bold")
    text.append(f"{'change':9}{words.number(row.points, signed=True):>6}{_margin(row):>12}")
    text.append(f"{_times(row.size_ratio):>8}{_times(row.speedup):>7}")
    if not short:
        text.append(f"\n{conditions(row)}\n{extras(row)}", style="dim")
    return text


def _numbers(top1: float | None, interval: str, size_bytes: int | None, median_ms: float | None) -> str:
    return f"{words.number(top1):>6}{interval:>12}{words.mib(size_bytes):>8}{words.milliseconds(median_ms):>7}"


def _interval(row: Row) -> str:
    return "" if row.top1_low is None else f"{row.top1_low:.1f}..{words.number(row.top1_high)}"


def _margin(row: Row) -> str:
    if row.points_margin is None:
        return ""
    return f"±{row.points_margin:.1f}{'' if is_significant(row) else ' ns'}"


def is_significant(row: Row) -> bool:
    """Tell whether the top-1 is another than the baseline's, by what is on record of the paired comparison."""
    if row.p_value is not None:
        return row.p_value < SIGNIFICANT
    return abs(row.points or 0.0) > (row.points_margin or 0.0)


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1f}x"


def conditions(row: Row) -> str:
    """Say under which conditions the latency was measured, and whether to trust it."""
    if row.condition is None:
        return ""
    return f"latency in {row.condition}{'; not a quiet machine' if row.contended else ''}"


def extras(row: Row) -> str:
    """Name the numbers that have no column of their own."""
    parts = []
    if row.sparsity is not None:
        parts.append(f"{row.sparsity:.1f} % zeros")
    if row.agreement is not None:
        parts.append(f"{100 * row.agreement:.2f} % as trained")
    if row.of_roof is not None:
        parts.append(f"{row.of_roof:.2f}x the roof")
    return "   ".join(parts)


def stages(row: Row, width: int) -> Text:
    """Say what each stage gave: ``baseline 94.6 ok | prune 94.4 reused | quantize > 12/20``; wrapped to the width."""
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
        return Text(words.clean(f"?? {row.problem}"), style="bold")
    if row.failure:
        return Text(words.clean(f"x {row.failure}"), style="bold")
    if row.status is Status.LOST:
        return Text("!! Its process died without a word; log.txt in its folder may tell why.")
    if row.is_running:
        return Text(f"> {running_words(row, now_s)}")
    seconds = None if row.started_s is None or row.ended_s is None else row.ended_s - row.started_s
    parts = [f"took {words.duration(seconds)}"] if seconds is not None else []
    parts += [row.device] if row.device else []
    return Text(", ".join(parts), style="dim")


def running_words(row: Row, now_s: float) -> str:
    """Say how long a run still takes and how fast it goes, or when it ends early."""
    ending = f"{wording.stopping(row.stopping)}; " if row.stopping is not None else ""
    if row.index is None or row.activity:
        return ending + (row.activity or ("waiting for its process" if not row.steps else "between two stages"))
    left = words.duration(left_s(row.stage_ends_s, now_s))
    parts = [
        f"{words.step_words(row.steps[row.index])}, {left} left",
        f"run {words.duration(left_s(row.ends_s, now_s))} left",
    ]
    if row.images_per_s is not None:
        parts.append(f"{words.number(row.images_per_s, 0)} images/s")
    if row.device:
        parts.append(row.device)
    return ending + ", ".join(parts)


def remarks(row: Row, first_note: str) -> Text:
    """Give what a person wrote, then what the run itself noted, in one line; the keys to write where there is nothing.

    Args:
        row: the run.
        first_note: the first warning on record; empty where it is not known.
    """
    parts = [("^ pinned", "")] if row.pinned else []
    if row.tags:
        parts.append((" ".join(f"#{tag}" for tag in row.tags), "bold"))
    if row.note.strip():
        parts.append((words.clean(row.note.strip().partition("\n")[0]), ""))
    if row.note_count:
        more = f" (and {row.note_count - 1} more)" if row.note_count > 1 and first_note else ""
        parts.append((f"run notes: {words.clean(first_note) or row.note_count}{more}", ""))
    if not parts:
        parts.append(("i all about it   t tags   N note", "dim"))
    text = Text("   ").join(Text(*part) for part in parts)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def left_s(ends_s: float | None, now_s: float) -> float | None:
    """Tell how many seconds are left until a time; None where it is not known."""
    return None if ends_s is None else max(0.0, ends_s - now_s)

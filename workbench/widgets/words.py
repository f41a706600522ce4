"""How numbers, times and states are written: one way for every screen.

What a person or another program named is only ever put into ``rich.text.Text`` or ``textual.content.Content``, which
take it letter by letter; brackets in it are no markup.
"""

import math

from rich.text import Text

from pipeline.report import Report
from pipeline.runs.state import StageState, Status
from pipeline.runs.wording import MIB
from workbench.messages import RunView

marks = {
    Status.QUEUED: ("..", ""),
    Status.RUNNING: (">", "primary"),
    Status.FINISHED: ("ok", "success"),
    Status.FAILED: ("x", "error"),
    Status.STOPPED: ("--", "dim"),
    Status.LOST: ("!!", "warning"),
}
"""Glyph and colour of each status; the word always stands beside them."""


def number(value: float | None, digits: int = 1, *, signed: bool = False) -> str:
    """Write a number with fixed decimals, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:+.{digits}f}" if signed else f"{value:,.{digits}f}"


def compact(value: float | None) -> str:
    """Write a number in at most about seven letters, whatever its size."""
    if value is None or not math.isfinite(value):
        return "-"
    size = abs(value)
    if size and (size < 1e-2 or size >= 1e7):
        return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e")
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def mib(value: int | None) -> str:
    """Write bytes in MiB, without the unit, which stands in the header."""
    return _three_digits(None if value is None else value / MIB)


def milliseconds(value: float | None) -> str:
    """Write a latency in ms, without the unit, which stands in the header."""
    return _three_digits(value)


def _three_digits(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "-"
    return number(value, 1 if value >= 100 else 2 if value >= 0.1 else 4)


def duration(seconds: float | None) -> str:
    """Write a span of time as ``12:40`` or ``1:02:40``."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def status_words(view: RunView) -> str:
    """Say in a few words where a run is: ``> prune 12/20``, ``ok finished``, ``!! lost``."""
    if view.problem:
        return "?? unreadable"
    state = view.state
    glyph, _ = marks[state.status]
    if state.status is not Status.RUNNING:
        return f"{glyph} {state.status.value}"
    if state.index is not None and state.index < len(state.stages) and not state.activity:
        return f"{glyph} {stage_words(state.stages[state.index])}"
    return f"{glyph} {state.activity or 'working'}"


def stage_words(stage: StageState) -> str:
    """Say how far a stage at work is: ``prune 12/20``."""
    if stage.epochs <= 1:
        return f"{stage.stage} {stage.progress:.0%}"
    return f"{stage.stage} {stage.epoch}/{stage.epochs}"


def status_color(view: RunView) -> str:
    """Name the colour for a run's status (see ``palette``); empty for the ordinary one."""
    return "error" if view.problem else marks[view.state.status][1]


def letters(view: RunView) -> str:
    """Write the stages as ``P Q D``, closer together where they are many."""
    return " ".join(view.letters) if len(view.letters) <= 3 else view.letters


def top1(report: Report) -> float | None:
    """Percent of the test images that the deployed file answers rightly; None until measured."""
    return None if report.accuracy is None else report.accuracy.top1


def size_bytes(report: Report) -> int | None:
    """Bytes of the checkpoint; None until weighed."""
    return None if report.size is None else report.size.size_bytes


def median_ms(report: Report) -> float | None:
    """Median latency in the fastest runtime; None until measured."""
    return None if report.fastest is None else report.fastest.median_ms


def cut(text: str, width: int) -> str:
    """Shorten a text to a number of terminal cells, ending in an ellipsis."""
    piece = Text(text.replace("\n", " "))
    piece.truncate(max(1, width), overflow="ellipsis")
    return piece.plain


def bar(share: float, width: int) -> str:
    """Draw a progress bar of plain letters."""
    filled = min(width, max(0, round(share * width)))
    return "#" * filled + "-" * (width - filled)

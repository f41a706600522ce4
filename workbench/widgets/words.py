"""How numbers, times and states are written: one way for every screen.

What a person or another program named is only ever put into ``rich.text.Text`` or ``textual.content.Content``, which
take it letter by letter; brackets in it are no markup.
"""

import math

from rich.text import Text

from pipeline.events import StopWhen
from pipeline.runs.rows import Row, Step
from pipeline.runs.state import Status
from pipeline.runs.wording import MIB

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
    # What rounds to zero has no sign of its own.
    value = round(value, digits) + 0.0
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


def status_words(row: Row) -> str:
    """Say in a few words where a run is: ``> prune 12/20``, ``> stops after epoch``, ``.. waits (2)``, ``!! lost``."""
    if row.problem:
        return "?? unreadable"
    glyph, _ = marks[row.status]
    if row.stopping is not None:
        return f"{glyph} {_endings[row.stopping]}"
    if row.queued_at is not None:
        return f"{glyph} waits ({row.queued_at})"
    if row.status is not Status.RUNNING:
        return f"{glyph} {row.status.value}"
    if row.index is not None and row.index < len(row.steps) and not row.activity:
        return f"{glyph} {step_words(row.steps[row.index])}"
    return f"{glyph} {row.activity or 'working'}"


_endings: dict[StopWhen, str] = {"now": "stops now", "epoch": "stops after epoch", "stage": "stops after stage"}


def step_words(step: Step) -> str:
    """Say how far a stage at work is: ``prune 12/20``."""
    if step.epochs <= 1:
        return f"{step.stage} {step.progress:.0%}"
    return f"{step.stage} {step.epoch}/{step.epochs}"


def status_color(row: Row) -> str:
    """Name the colour for a run's status (see ``palette``); empty for the ordinary one."""
    return "error" if row.problem else marks[row.status][1]


def letters(row: Row) -> str:
    """Write the stages as ``P Q D``, closer together where they are many."""
    return " ".join(row.letters) if len(row.letters) <= 3 else row.letters


def stage_marks(row: Row) -> str:
    """Write the stages with how far each is: bare letters are done, ``P Q▸D·`` one at work and one to come.

    Where no stage was done the letters wait, all of them; those of a run that ended early stay as they were.
    """
    steps = [step for step in row.steps if step.stage not in ("baseline", "teacher")]
    if not steps:
        return row.letters if row.letters == "?" else "".join(f"{letter}·" for letter in row.letters) or "base"
    marked = [step.stage[:1].upper() + _step_marks.get(step.status, " ") for step in steps]
    packed = marked if len(marked) <= 3 else [mark.strip() for mark in marked]
    return "".join(packed).rstrip()


_step_marks = {"pending": "·", "running": "▸"}


def cut(text: str, width: int) -> str:
    """Shorten a text to a number of terminal cells, ending in an ellipsis."""
    piece = Text(clean(text.replace("\n", " ")))
    piece.truncate(max(1, width), overflow="ellipsis")
    return piece.plain


def clean(text: str) -> str:
    """Replace what would steer the terminal instead of being shown on it."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def bar(share: float, width: int) -> str:
    """Draw a progress bar of plain letters."""
    filled = min(width, max(0, round(share * width)))
    return "#" * filled + "-" * (width - filled)

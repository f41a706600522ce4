"""One line per run: every stage with how far it is, and the time that is left."""

import time

from rich.text import Text

from pipeline.runs.rows import Row, Step
from workbench.widgets import details, palette, words
from workbench.widgets.rows import Line

QUIET_S = 60.0
"""A stage at work that says nothing for so long is worth a word."""


class StageStrip(Line):
    """The plan of a run as a row of small boxes."""

    DEFAULT_CSS = "StageStrip { height: 1; }"

    def show_row(self, row: Row, now_s: float) -> None:
        """Draw the stages of a run; nothing is sent where nothing changed."""
        text = Text(" ", no_wrap=True)
        for piece, style in self._parts_of(row, now_s):
            text.append(piece, style=style if style in ("bold", "dim", "") else palette.style(self.app, style))
        self.show(text)

    def _parts_of(self, row: Row, now_s: float) -> list[tuple[str, str]]:
        is_wide = self.size.width >= 110
        parts: list[tuple[str, str]] = []
        for place, step in enumerate(row.steps):
            if place:
                parts.append(("  ", ""))
            parts += _stage(step, wide=is_wide)
        if row.is_running and row.index is not None:
            parts += [("   " if row.steps else "", ""), *_left(row, now_s)]
        return parts


def _left(row: Row, now_s: float) -> list[tuple[str, str]]:
    """Say when it is done, or why that is not known now."""
    if row.activity:
        return [(row.activity, "bold")]
    if row.updated_s is not None and now_s - row.updated_s > QUIET_S:
        return [(f"no news for {words.duration(now_s - row.updated_s)}", "warning")]
    if row.stage_ends_s is None or row.ends_s is None:
        return [("time left not known yet", "dim")]
    stage = words.duration(_rough(details.left_s(row.stage_ends_s, now_s)))
    found = [(f"{stage} left", "bold")]
    if any(step.status == "pending" for step in row.steps):
        found.append((f" of {words.duration(_rough(details.left_s(row.ends_s, now_s)))}", "bold"))
    # On the minute, so that it does not move with every event.
    return [*found, (f", done {clock(row.ends_s, now_s)}", "dim")]


def _rough(seconds: float | None) -> float | None:
    """Round an estimate to what it is worth, so that it does not move every second."""
    if seconds is None or seconds < 60:
        return seconds
    unit = 10 if seconds < 600 else 60
    return round(seconds / unit) * unit


def clock(time_s: float, now_s: float) -> str:
    """Write a time of day, with the date where it is not today's."""
    then, now = time.localtime(time_s), time.localtime(now_s)
    return time.strftime("%H:%M" if then[:3] == now[:3] else "%a %d %b %H:%M", then)


def _stage(step: Step, *, wide: bool) -> list[tuple[str, str]]:
    is_working = step.status == "running"
    name = step.stage if wide or is_working else step.stage[:1].upper()
    if step.status == "reused":
        return [(f"{name} ", ""), ("reused", "success")]
    if step.status == "finished":
        return [(f"{name} ", ""), ("ok", "success")]
    if not is_working:
        return [(f"{name} ..", "dim")]
    width = 20 if wide else 10
    drawn = words.bar(step.progress, width)
    filled = drawn.count("#")
    count = f" {step.epoch}/{step.epochs}" if step.epochs else ""
    return [(f"{name} ", "bold"), (drawn[:filled], "primary"), (drawn[filled:], "dim"), (count, "bold")]

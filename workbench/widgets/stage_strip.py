"""One line per run: every stage with how far it is, and the time that is left."""

from rich.text import Text
from textual.widget import Widget

from pipeline.runs.rows import Row, Step
from workbench.widgets import details, palette, words


class StageStrip(Widget):
    """The plan of a run as a row of small boxes."""

    DEFAULT_CSS = "StageStrip { height: 1; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[tuple[str, str], ...] = ()

    def show(self, row: Row, now_s: float) -> None:
        """Draw the stages of a run; nothing is sent where nothing changed."""
        parts = tuple(self._parts_of(row, now_s))
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def render(self) -> Text:
        """Draw the row."""
        text = Text(no_wrap=True, overflow="ellipsis")
        for piece, style in self._parts:
            text.append(piece, style=style if style in ("bold", "dim", "") else palette.style(self.app, style))
        return text

    def _parts_of(self, row: Row, now_s: float) -> list[tuple[str, str]]:
        parts: list[tuple[str, str]] = []
        for place, step in enumerate(row.steps):
            if place:
                parts.append(("  ", ""))
            parts += _stage(step, wide=self.size.width >= 110)
        if row.is_running and row.stage_ends_s is not None:
            parts.append((f"   {words.duration(details.left_s(row.stage_ends_s, now_s))} left", "bold"))
            if any(step.status == "pending" for step in row.steps):
                parts.append((f" of {words.duration(details.left_s(row.ends_s, now_s))}", "dim"))
        return parts


def _stage(step: Step, *, wide: bool) -> list[tuple[str, str]]:
    name = "base" if step.stage == "baseline" and not wide else step.stage
    if step.status == "reused":
        return [(f"{name} ", ""), ("reused" if wide else "re", "success")]
    if step.status == "finished":
        return [(f"{name} ", ""), ("ok", "success")]
    if step.status != "running":
        return [(f"{name} ..", "dim")]
    width = 20 if wide else 10
    drawn = words.bar(step.progress, width)
    filled = drawn.count("#")
    count = f" {step.epoch}/{step.epochs}" if step.epochs else ""
    return [(f"{name} ", "bold"), (drawn[:filled], "primary"), (drawn[filled:], "dim"), (count, "bold")]

"""One line per run: every stage with how far it is, and the time that is left."""

from rich.text import Text
from textual.widget import Widget

from pipeline.runs.state import StageState
from workbench.messages import RunView
from workbench.widgets import palette, words


class StageStrip(Widget):
    """The plan of a run as a row of small boxes."""

    DEFAULT_CSS = "StageStrip { height: 1; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._parts: tuple[tuple[str, str], ...] = ()

    def show(self, view: RunView, now_s: float) -> None:
        """Draw the stages of a run; nothing is sent where nothing changed."""
        parts = tuple(self._parts_of(view, now_s))
        if parts != self._parts:
            self._parts = parts
            self.refresh()

    def render(self) -> Text:
        """Draw the row."""
        text = Text(no_wrap=True, overflow="ellipsis")
        for piece, style in self._parts:
            text.append(piece, style=style if style in ("bold", "dim", "") else palette.style(self.app, style))
        return text

    def _parts_of(self, view: RunView, now_s: float) -> list[tuple[str, str]]:
        state = view.state
        parts: list[tuple[str, str]] = []
        for place, stage in enumerate(state.stages):
            if place:
                parts.append(("  ", ""))
            parts += _stage(stage, wide=self.size.width >= 110)
        eta = state.eta_s(now_s)
        if view.is_running and eta is not None:
            parts.append((f"   {words.duration(state.stage_eta_s(now_s))} left", "bold"))
            if any(stage.status == "pending" for stage in state.stages):
                parts.append((f" of {words.duration(eta)}", "dim"))
        return parts


def _stage(stage: StageState, *, wide: bool) -> list[tuple[str, str]]:
    name = "base" if stage.stage == "baseline" and not wide else stage.stage
    if stage.is_over:
        return [(f"{name} ", ""), ("reused" if stage.reused and wide else "re" if stage.reused else "ok", "success")]
    if stage.status != "running":
        return [(f"{name} ..", "dim")]
    width = 20 if wide else 10
    drawn = words.bar(stage.progress, width)
    filled = drawn.count("#")
    count = f" {stage.epoch}/{stage.epochs}" if stage.epochs else ""
    return [(f"{name} ", "bold"), (drawn[:filled], "primary"), (drawn[filled:], "dim"), (count, "bold")]

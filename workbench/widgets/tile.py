"""One chart of the live screen: its title with the newest numbers, and the curves of one metric."""

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click

from pipeline.runs.state import Status
from workbench.settings import Marker
from workbench.widgets import curves as drawing
from workbench.widgets import palette, words
from workbench.widgets.chart import Chart
from workbench.widgets.curves import Axis, Metric, Shown, View, Window
from workbench.widgets.rows import Line

WIDE = 44
"""Cells of a tile whose title spells out the names of its curves."""


class Tile(Vertical, can_focus=True):
    """Draws one metric of one or several runs."""

    DEFAULT_CSS = """
    Tile { height: 1fr; width: 1fr; }
    Tile Line { background: $panel; }
    Tile:focus Line { background: $primary 30%; text-style: bold; }
    """

    def __init__(self, marker: Marker) -> None:
        super().__init__()
        self.metric: Metric = drawing.known[0]
        """What is drawn."""
        self.view = View()
        """How."""
        self.chart = Chart(marker=marker)
        """The picture."""
        self._line = Line()
        self._runs: Sequence[Shown] = ()
        self._window = Window()
        self._x: float | None = None
        self._drawn: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        """Put the title above the chart."""
        yield self._line
        yield self.chart

    def show(self, metric: Metric, view: View, runs: Sequence[Shown], window: Window, x: float | None) -> None:
        """Draw a metric; nothing is sent for what stays as it was.

        Args:
            metric: what.
            view: how.
            runs: whose; the first one gives the axis.
            window: which part of the axis.
            x: where the cursor stands; None where there is none.
        """
        self.metric, self.view, self._runs, self._window, self._x = metric, view, runs, window, x
        self._draw()

    def on_resize(self) -> None:
        """Thin the curves to what the new size can show."""
        self.call_after_refresh(self._draw)

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse points."""
        self.focus()

    def _draw(self) -> None:
        if not self._runs or not self.is_attached:
            return
        chart = self.chart
        if not chart.size.area:
            return
        size = (chart.size.width, chart.size.height)
        # Most of what becomes known of a run concerns other charts.
        wanted = (size, self.app.theme, *self._inputs())
        if wanted == self._drawn:
            return
        self._drawn = wanted
        chart.show(drawing.picture(self.metric, self._runs, self.view, self._window, size, _wait(self._runs[0])))
        chart.point_at(self._x)
        self._line.show(self._title())

    def _inputs(self) -> tuple[object, ...]:
        """Gather all that decides what is drawn; curves that did not grow are the same objects."""
        names, is_time = [name for name, _ in self.metric.lines], self._window.axis == "time"
        runs = [
            (
                run.letter, run.color, run.curves.borders, run.curves.clock if is_time else (),
                [(run.curves.series.get(name), run.curves.bad.get(name)) for name in names],
                [(stage.stage, stage.epochs, stage.steps) for stage in run.detail.state.stages],
            )
            for run in self._runs
        ]  # fmt: skip
        started_s = self._runs[0].detail.state.started_s
        return self.metric, self.view, self._window, self._x, _wait(self._runs[0]), started_s, runs

    def _title(self) -> Text:
        is_wide = self.size.width >= WIDE
        title = self.metric.title if is_wide or len(self._runs) == 1 else self.metric.short or self.metric.title
        text = Text(f" {title}", no_wrap=True, style="bold")
        limits = drawing.limits_of(self._window, Axis(self._window.axis, self._runs[0]))
        slack = (limits[1] - limits[0]) / max(1, self.chart.size.width - 8)
        for trace in drawing.traces(self.metric, self._runs, self.view, self._window):
            value = trace.newest if self._x is None else trace.at(self._x, slack)
            color = "" if trace.color == "dim" else trace.color
            name = trace.name if is_wide else trace.letter
            text.append(f"  {name}", style=palette.style(self.app, color) if color else "not bold dim")
            text.append(f" {words.compact(value)}" if name else words.compact(value), style="not bold")
        for badge in self._badges():
            text.append(f"  {badge}", style="not bold dim")
        bad = sum(run.curves.bad.get(name, 0) for run in self._runs for name, _ in self.metric.lines)
        if bad:
            text.append(f"  {bad:,} NaN", style=palette.style(self.app, "warning", bold=True))
        return text

    def _badges(self) -> list[str]:
        view, found = self.view, []
        if view.log:
            found.append("log")
        if view.smoothing:
            found.append(f"~{view.smoothing:g}")
        if view.clips:
            found.append("1-99%")
        if view.y is not None:
            found.append(f"y={view.y[0]:g}:{view.y[1]:g}")
        return found


def _wait(run: Shown) -> str:
    """Say why there is nothing to draw."""
    detail = run.detail
    if detail.problem:
        return detail.problem
    if detail.curves is None:
        return "reading..."
    if detail.state.status is Status.QUEUED:
        return "waiting for its process"
    if detail.state.status.is_over:
        return "this run recorded none"
    return detail.state.activity or "no numbers yet"

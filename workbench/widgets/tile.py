"""One chart of the live screen: its title with the newest numbers, and the curves of one metric."""

import math
from collections.abc import Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.events import Click
from textual.message import Message

from pipeline.runs.state import Status
from workbench.settings import Marker
from workbench.widgets import curves as drawing
from workbench.widgets import palette, words
from workbench.widgets.axis import Axis, Shown, Window, limits_of, scaled
from workbench.widgets.chart import Chart, Picture
from workbench.widgets.curves import Metric, View
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

    class Pointed(Message):
        """The mouse was pressed on a place of the axis."""

        def __init__(self, x: float) -> None:
            super().__init__()
            self.x = x
            """In the unit of the axis."""

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
        self._picture = Picture()
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

    @on(Chart.Resized)
    def _fit(self, event: Chart.Resized) -> None:
        """Thin the curves to what the new size can show; a new chart gets its size later than its tile."""
        event.stop()
        self._draw()

    def on_click(self, event: Click) -> None:
        """Put the cursor where the mouse points."""
        self.focus()
        canvas, at = self.chart.canvas, event.screen_offset - self.chart.region.offset
        if canvas is not None and canvas.contains_point(at):
            self.post_message(self.Pointed(self.beside(-math.inf, at.x - canvas.x)))

    def beside(self, x: float, columns: int) -> float:
        """Give the place of the axis that stands so many columns beside another; both within what is seen of it."""
        low, high = self._picture.x_limits
        cells = 1 if self.chart.canvas is None else self.chart.canvas.width
        start = min(max(scaled(x, log=self.view.log_x), low), high)
        place = min(max(start + columns * (high - low) / max(1, cells - 1), low), high)
        return 10.0**place if self.view.log_x else place

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
        wait = _wait(self._runs[0])
        self._picture = drawing.picture(self.metric, self._runs, self.view, self._window, size, wait)
        chart.show(self._picture)
        chart.point_at(None if self._x is None else scaled(self._x, log=self.view.log_x))
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
        for part in [*self._values(is_wide=is_wide), *self._badges()]:
            # A number that is cut would be another number.
            if text.cell_len + part.cell_len > self.size.width:
                return text.append(" …" if text.cell_len + 2 <= self.size.width else "")
            text.append_text(part)
        return text

    def _values(self, *, is_wide: bool) -> list[Text]:
        limits = limits_of(self._window, Axis(self._window.axis, self._runs[0]))
        slack = (limits[1] - limits[0]) / max(1, self.chart.size.width - 8)
        found = []
        for trace in drawing.traces(self.metric, self._runs, self.view, self._window):
            value = trace.newest if self._x is None else trace.at(self._x, slack)
            color = "" if trace.color == "dim" else trace.color
            name = trace.name if is_wide else trace.letter
            part = Text(f"  {name}", style=palette.style(self.app, color) if color else "not bold dim")
            found.append(part.append(f" {words.compact(value)}" if name else words.compact(value), style="not bold"))
        return found

    def _badges(self) -> list[Text]:
        view, found = self.view, []
        bad = sum(run.curves.bad.get(name, 0) for run in self._runs for name, _ in self.metric.lines)
        if bad:
            found.append(Text(f"  {bad:,} NaN", style=palette.style(self.app, "warning", bold=True)))
        logs = ", ".join(name for name, is_log in (("x", view.log_x), ("y", view.log_y)) if is_log)
        badges = {
            f"log {logs}": bool(logs),
            f"~{view.smoothing:g}": view.smoothing > 0.0,
            "1-99%": view.clips and view.y is None and self._picture.is_cut,
            f"y={view.y[0]:g}:{view.y[1]:g}" if view.y is not None else "": view.y is not None,
        }
        return found + [Text(f"  {badge}", style="not bold dim") for badge, is_shown in badges.items() if is_shown]


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

"""The grid of charts: which metrics are shown, how each is drawn, and the cursor that they share."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Vertical
from textual.events import DescendantFocus
from textual.geometry import Size
from textual.message import Message

from workbench.widgets import axis as axes
from workbench.widgets.axis import Axis, Shown, Window
from workbench.widgets.curves import SMOOTHEST, Metric, View, offered
from workbench.widgets.limits import LimitsLine
from workbench.widgets.rows import Sized
from workbench.widgets.tile import Tile

if TYPE_CHECKING:
    from workbench.app import Workbench

TILE = Size(38, 13)
"""About as small as a tile gets before there are fewer of them."""
MOST_COLUMNS = 4
REPLAY_S = 0.1
"""Seconds for which a replay stands on one column."""
logs = ((False, False), (False, True), (True, False), (True, True))
"""Which of the axes x and y are logarithmic, in the order in which a key goes through them."""
smoothings = (0.0, 0.3, 0.6, 0.8, 0.9, 0.95, 0.98, SMOOTHEST)


class Tiles(Sized, Vertical):
    """Charts of one or several runs."""

    DEFAULT_CSS = """
    Tiles { height: 1fr; }
    Tiles Grid { height: 1fr; grid-gutter: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "full", "full", id="live-full", tooltip="Show this chart alone, or all again"),
        Binding("right_square_bracket", "page(1)", "more", key_display="[ ]", id="live-more",
                tooltip="The next charts; with one alone the next one"),
        Binding("left_square_bracket", "page(-1)", "before", show=False, id="live-before",
                tooltip="The charts before"),
        Binding("l", "log", "log", id="live-log-axes", show=False,
                tooltip="Logarithmic y, x, both or neither, for this chart"),
        Binding("x", "axis", "x axis", id="live-axis", show=False, tooltip="Epochs, steps or minutes on the x axis"),
        Binding("plus,equals_sign", "smooth(1)", "smooth", key_display="+ -", id="live-smooth", show=False,
                tooltip="Smooth this chart more; the raw curve stays below, dim"),
        Binding("minus", "smooth(-1)", "smooth less", id="live-smooth-less", show=False,
                tooltip="Smooth this chart less"),
        Binding("h", "clip", "outliers", id="live-outliers", show=False,
                tooltip="Leave the lowest and the highest percent of this chart's values out, or not"),
        Binding("z", "limits", "limits", id="live-limits", show=False, tooltip="Type limits: x=0:50 y=90:95"),
        Binding("w", "stage(1)", "stage", id="live-stage", show=False,
                tooltip="Look at one stage alone; after the last at all"),
        Binding("W", "stage(-1)", "stage before", id="live-stage-back", show=False,
                tooltip="The stage before alone"),
        Binding("left", "move(-1)", "cursor", id="live-cursor-left", show=False,
                tooltip="Read the values one column to the left"),
        Binding("right", "move(1)", "cursor", id="live-cursor-right", show=False,
                tooltip="Read the values one column to the right"),
        Binding("up", "app.focus_previous", "chart", id="live-chart-up", show=False, tooltip="The chart before"),
        Binding("down", "app.focus_next", "chart", id="live-chart-down", show=False, tooltip="The next chart"),
        Binding("shift+left", "move(-10)", "cursor", id="live-cursor-far-left", show=False,
                tooltip="Read ten columns to the left"),
        Binding("shift+right", "move(10)", "cursor", id="live-cursor-far-right", show=False,
                tooltip="Read ten columns to the right"),
        Binding("home", "move(-100000)", "cursor", id="live-cursor-first", show=False, tooltip="Read the first values"),
        Binding("end", "move(100000)", "cursor", id="live-cursor-last", show=False, tooltip="Read the last values"),
        Binding("P", "replay", "replay", id="live-replay", show=False,
                tooltip="Let the cursor run along the curves, or hold it"),
    ]  # fmt: skip

    class Looked(Message):
        """Another place, another part or other charts are looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.cursor: float | None = None
        """Where the values are read, in the unit of the axis; None where there is no cursor."""
        self.full: str | None = None
        """Key of the metric that is shown alone; None to show all."""
        self._runs: Sequence[Shown] = ()
        self._slots: list[Tile] = []
        self._metric = ""
        self._is_replaying = False

    def compose(self) -> ComposeResult:
        """Make room for the charts and the line of limits."""
        yield Grid()
        yield LimitsLine()

    def on_mount(self) -> None:
        """Remember the last session's view."""
        memory = self._workbench.memory
        axis = memory.get("live.axis", "epochs")
        self.window = Window(axis=axis if axis in axes.axis_names else "epochs")
        self._first = memory.get("live.first", "")
        self._clock = self.set_interval(REPLAY_S, self._replay, pause=True)

    @property
    def _workbench(self) -> "Workbench":
        return cast("Workbench", self.app)

    @property
    def metrics(self) -> list[Metric]:
        """What can be drawn."""
        return offered(self._runs)

    @property
    def charted(self) -> list[Metric]:
        """What is drawn."""
        metrics = self.metrics
        alone = [metric for metric in metrics if metric.key == self.full]
        if alone:
            return alone
        columns, rows = self._shape()
        first = self._page_of(metrics)
        return metrics[first : first + columns * rows]

    @property
    def hidden(self) -> int:
        """How many metrics are on other pages."""
        return len(self.metrics) - len(self.charted)

    def _page_of(self, metrics: Sequence[Metric]) -> int:
        columns, rows = self._shape()
        keys = [metric.key for metric in metrics]
        first = keys.index(self._first) if self._first in keys else 0
        return max(0, min(first, len(metrics) - columns * rows))

    def _shape(self) -> tuple[int, int]:
        """Tell how many columns and rows of tiles fit, as evenly as they go."""
        count = len(self.metrics)
        columns = max(1, min(MOST_COLUMNS, self.size.width // TILE.width, count))
        rows = max(1, min(self.size.height // TILE.height, -(-count // columns)))
        return min(columns, -(-count // rows)), rows

    def show(self, runs: Sequence[Shown], *, anew: bool = False) -> None:
        """Draw runs.

        Args:
            runs: the first one gives the axis and the borders of the stages.
            anew: they are other runs than before: the cursor and the part of the axis are given up.
        """
        if anew:
            self.cursor, self._is_replaying = None, False
            self.window = msgspec.structs.replace(self.window, x=None, stage=None)
        self._runs = runs
        self.draw()

    def draw(self) -> None:
        """Bring the tiles up to date."""
        if not self._runs or not self.size.area:
            return
        wanted = self.charted
        grid = self.query_one(Grid)
        if len(wanted) != len(self._slots):
            self._arrange(grid, len(wanted))
        self._share_width(grid)
        for tile, metric in zip(self._slots, wanted, strict=True):
            tile.show(metric, self.view_of(metric), self._runs, self.window, self.cursor)

    def _share_width(self, grid: Grid) -> None:
        """Let the tiles of each row share its whole width, also where the last row has fewer of them."""
        count = len(self._slots)
        columns = min(count, self._shape()[0])
        last = count % columns or columns
        parts = math.lcm(columns, last)
        if grid.styles.grid_size_columns != parts:
            grid.styles.grid_size_columns = parts
        for place, tile in enumerate(self._slots):
            span = parts // (last if place >= count - last else columns)
            if tile.styles.column_span != span:
                tile.styles.column_span = span

    def _arrange(self, grid: Grid, count: int) -> None:
        had_focus = any(tile.has_focus for tile in self._slots)
        for tile in self._slots[count:]:
            tile.remove()
        kept = self._slots[:count]
        fresh = [Tile(self._workbench.marker) for _ in range(count - len(kept))]
        self._slots = [*kept, *fresh]
        if fresh:
            grid.mount(*fresh)
            self.call_after_refresh(self._look)
        if had_focus:
            self.call_after_refresh(self.focus_tile)

    def on_resize(self) -> None:
        """Show as many charts as fit."""
        self.call_after_refresh(self.draw)

    def focus_tile(self) -> None:
        """Focus the chart that was focused last, else the first one."""
        tile = next((tile for tile in self._slots if tile.metric.key == self._metric), None)
        if tile is not None or self._slots:
            (tile or self._slots[0]).focus()

    @on(DescendantFocus)
    def _remember(self) -> None:
        tile = self.chosen
        if tile is not None:
            self._metric = tile.metric.key

    @property
    def chosen(self) -> Tile | None:
        """The chart that keys act on."""
        return next((tile for tile in self._slots if tile.has_focus), None)

    # How each metric is drawn

    def view_of(self, metric: Metric) -> View:
        """Give how a metric is drawn, as remembered."""
        memory, key = self._workbench.memory, f"live.{metric.key}"
        y: list[float] = memory.get(f"{key}.y", [])
        return View(
            log_x=memory.get(f"{key}.log_x", False),
            log_y=memory.get(f"{key}.log_y", metric.log),
            smoothing=min(SMOOTHEST, max(0.0, memory.get(f"{key}.smoothing", 0.0))),
            clips=memory.get(f"{key}.clips", metric.clips),
            y=(float(y[0]), float(y[1])) if len(y) == 2 else None,
        )

    @property
    def _acted(self) -> Tile | None:
        """The chosen chart; the first one where none is."""
        return self.chosen or (self._slots[0] if self._slots else None)

    def _change(self, **values: object) -> None:
        tile = self._acted
        if tile is not None:
            for name, value in values.items():
                self._workbench.memory.put(f"live.{tile.metric.key}.{name}", value)
            self._look()

    def _look(self) -> None:
        self.draw()
        self.post_message(self.Looked())

    def _view(self) -> View:
        return self._acted.view if self._acted else View()

    def action_log(self) -> None:
        """Change which axes are logarithmic."""
        view = self._view()
        log_x, log_y = logs[(logs.index((view.log_x, view.log_y)) + 1) % len(logs)]
        self._change(log_x=log_x, log_y=log_y)

    def action_clip(self) -> None:
        """Leave outliers out of the picture, or not."""
        self._change(clips=not self._view().clips)

    def action_smooth(self, by: int) -> None:
        """Smooth more or less."""
        now = self._view().smoothing
        place = min(range(len(smoothings)), key=lambda p: abs(smoothings[p] - now))
        self._change(smoothing=smoothings[min(max(0, place + by), len(smoothings) - 1)])

    def action_limits(self) -> None:
        """Ask for limits."""
        tile = self._acted
        if tile is not None:
            self._metric = tile.metric.key
            self.query_one(LimitsLine).ask(tile.metric.title, self.window.x, self.view_of(tile.metric).y)

    @on(LimitsLine.Given)
    def _limit(self, message: LimitsLine.Given) -> None:
        self.window = msgspec.structs.replace(self.window, x=message.x, stage=None)
        self._workbench.memory.put(f"live.{self._metric}.y", list(message.y or ()))
        self.focus_tile()
        self._look()

    @on(LimitsLine.Left)
    def _leave_limits(self) -> None:
        self.focus_tile()

    # What is looked at

    def action_full(self) -> None:
        """Show the focused chart alone, or all again."""
        tile = self.chosen
        self.full = None if self.full or tile is None else tile.metric.key
        self._look()

    def action_page(self, by: int) -> None:
        """Show the next or the previous charts."""
        metrics = self.metrics
        keys = [metric.key for metric in metrics]
        if self.full in keys:
            self.full = self._metric = keys[(keys.index(self.full) + by) % len(keys)]
        else:
            count = len(self.charted)
            first = self._page_of(metrics)
            last = max(0, len(metrics) - count)
            wrapped = (0 if by > 0 else last) if (first == last if by > 0 else first == 0) else first + by * count
            self._first = keys[min(max(0, wrapped), last)]
            self._workbench.memory.put("live.first", self._first)
        self._look()

    def action_axis(self) -> None:
        """Put epochs, steps or minutes on the x axis."""
        names = axes.axis_names
        axis = names[(names.index(self.window.axis) + 1) % len(names)]
        self._workbench.memory.put("live.axis", axis)
        self.window = Window(axis=axis, stage=self.window.stage)
        self.cursor = None
        self._look()

    def action_stage(self, by: int) -> None:
        """Look at one stage alone, or at all."""
        stages = self._runs[0].detail.state.stages if self._runs else ()
        places = [None, *(place for place, stage in enumerate(stages) if stage.epochs)]
        now = places.index(self.window.stage) if self.window.stage in places else 0
        self.window = msgspec.structs.replace(self.window, x=None, stage=places[(now + by) % len(places)])
        self.cursor = None
        self._look()

    # The cursor

    def action_move(self, columns: int) -> None:
        """Move the cursor by columns of the chosen chart; the first move puts it on the newest values."""
        tile = self._acted
        if tile is not None and tile.chart.canvas is not None:
            start = self.cursor if self.cursor is not None else self._newest if columns < 0 else None
            self._stand(self._newest if start is None else tile.beside(start, columns))

    def _stand(self, x: float) -> None:
        """Put the cursor at a place; none lies beyond the newest values."""
        self.cursor = min(x, self._newest)
        self._look()

    @property
    def _newest(self) -> float:
        """Where the newest values within the picture lie."""
        tile = self._acted
        ends = [
            Axis(self.window.axis, run).place(xs[-1])
            for run in self._runs
            for xs, _ in run.curves.series.values()
            if xs
        ]
        return tile.beside(max(ends, default=0.0), 0) if tile else 0.0

    @on(Tile.Pointed)
    def _point(self, message: Tile.Pointed) -> None:
        self._is_replaying = False
        self._stand(message.x)

    def action_replay(self) -> None:
        """Let the cursor run along the curves, or hold it."""
        self._is_replaying = not self._is_replaying
        if self._is_replaying:
            self.action_move(-100000)
            self._clock.resume()

    def _replay(self) -> None:
        if self._is_replaying and self.is_on_screen:
            before = self.cursor
            self.action_move(1)
            self._is_replaying = self.cursor != before
        if not self._is_replaying:
            self._clock.pause()

    def leave(self) -> bool:
        """Leave one layer: the cursor, then the single chart; tells whether there was one."""
        if self.cursor is not None:
            self.cursor, self._is_replaying = None, False
        elif self.full is not None:
            self.full = None
        else:
            return False
        self._look()
        return True

    @property
    def reading(self) -> str:
        """Say where the cursor stands, as in ``epoch 12.5, prune``; empty where there is none."""
        if self.cursor is None or not self._runs:
            return ""
        stage = Axis(self.window.axis, self._runs[0]).stage_at(self.cursor)
        digits = 0 if self.window.axis == "steps" else 1
        return f"{axes.units[self.window.axis]} {self.cursor:,.{digits}f}{f', {stage.stage}' if stage else ''}"

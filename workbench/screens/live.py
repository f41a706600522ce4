"""3 Live: is it learning, when is it done, should I stop it?"""

import time
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Log, Static

from workbench.messages import Curves, RunChanged, RunView
from workbench.screens._base import WorkbenchScreen
from workbench.widgets import curves as drawing
from workbench.widgets import details, words
from workbench.widgets.chart import Chart
from workbench.widgets.stage_strip import StageStrip


class LogTail(Log, can_focus=False):
    """The end of what a run printed; it never takes the arrows."""


class LiveScreen(WorkbenchScreen):
    """Live: is it learning, when is it done, should I stop it?"""

    DEFAULT_CSS = """
    LiveScreen {
        #about { height: 1; padding: 0 1; }
        #charts { height: 1fr; grid-size: 2; grid-gutter: 0 1; }
        .tile { height: 1fr; width: 1fr; border-top: solid $panel; border-title-color: $foreground; }
        .tile.-second { display: none; }
        &.-wide .tile.-second { display: block; }
        &.-zoomed #charts { grid-size: 1; }
        &.-zoomed .tile, &.-zoomed .tile.-second { display: none; border-title-color: $primary; }
        &.-zoomed #charts .tile.-zoomed { display: block; }
        #numbers { height: 2; padding: 0 1; border-top: solid $panel; }
        #log {
            display: none; height: 7; border-top: solid $panel; background: $background;
            scrollbar-size: 1 1; padding: 0 1;
        }
        &.-log #log { display: block; }
        &.-wide #log { height: 12; }
        #none { display: none; height: 1fr; content-align: center middle; color: $text-muted; text-align: center; }
        &.-none #none { display: block; }
        &.-none #charts, &.-none #numbers, &.-none #about, &.-none StageStrip, &.-none #log { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "tab",
            "zoom(1)",
            "chart",
            id="zoom",
            priority=True,
            tooltip="Show the next metric alone, in the end all again",
        ),
        Binding(
            "shift+tab",
            "zoom(-1)",
            "chart",
            id="zoom-back",
            show=False,
            priority=True,
            tooltip="Show the metric before alone",
        ),
        Binding(
            "left,[", "step(-1)", "run", id="newer", key_display="←→", tooltip="The next newer (←) or older (→) run"
        ),
        Binding("right,]", "step(1)", "older run", id="older", show=False, tooltip="The next older run"),
        Binding("l", "log", "log", id="log", tooltip="Show or hide what the run printed"),
        Binding("space", "pause", "pause", id="pause", tooltip="Hold the picture; the run goes on"),
        Binding("s", "stop", "stop", id="stop", tooltip="Stop this run at its next step (asks first)"),
    ]

    zoomed: reactive[int | None] = reactive(None, init=False)
    """The metric that is shown alone; None to show all."""
    is_paused: reactive[bool] = reactive(False, init=False)
    """Nothing is drawn; the run goes on."""

    def compose_body(self) -> ComposeResult:
        """Build the strip, the charts and the log."""
        marker = self.workbench.settings.marker
        yield Static("No run to watch yet. Press 2 to compose one.", id="none", markup=False)
        yield Static(id="about")
        yield StageStrip()
        with Grid(id="charts"):
            for place in range(len(drawing.metrics)):
                with Vertical(classes="tile -second" if place > 1 else "tile", id=f"tile-{place}"):
                    yield Chart(marker=marker, identity=f"chart-{place}")
        yield LogTail(max_lines=1000, auto_scroll=True, id="log")
        yield Static(id="numbers")

    def on_mount(self) -> None:
        """Listen to the followed run; keep the time that is left up to date."""
        super().on_mount()
        self._curves = Curves()
        self._followed: str | None = None
        self._lines: tuple[object, ...] = ()
        self.workbench.followed_changed.subscribe(self, self._take)
        self.set_interval(1.0, self._tick)

    def on_screen_suspend(self) -> None:
        """Read curves only while they are seen."""
        if self.app.screen_stack and self not in self.app.screen_stack:
            self._forget()

    def on_resize(self) -> None:
        """Place the names of the stages again."""
        self.call_after_refresh(self._draw)

    @property
    def current(self) -> RunView | None:
        """The run that is watched."""
        return self.workbench.view(self.workbench.selected)

    def show_views(self) -> None:
        """Follow the selected run and draw it."""
        view = self.current
        self.set_class(view is None, "-none")
        if view is None:
            self._forget()
            return
        if view.id != self._followed:
            self._forget()
            self._followed = view.id
            self.is_paused = False
            self.workbench.feed.follow(view.id)
        self._tick()
        self._draw()

    def _forget(self) -> None:
        self._followed = None
        self._curves = Curves()
        self.query_one("#log", Log).clear()
        self.workbench.feed.follow(None)

    def _take(self, message: RunChanged) -> None:
        if message.run_id != self._followed:
            return
        if message.lines:
            self.query_one("#log", Log).write_lines(message.lines)
        if message.curves is not None:
            self._curves = message.curves
            self._draw()

    def _tick(self) -> None:
        view = self.current
        if view is None or self.is_paused or self not in self.app.screen_stack:
            return
        now = time.time()
        about = details.head(view, max(20, self.size.width - 32))
        paused = "  PAUSED" if self.is_paused else ""
        numbers = self._numbers(view, now)
        lines = (about.plain, words.status_words(view), numbers, paused)
        self.query_one(StageStrip).show(view, now)
        if lines != self._lines:
            self._lines = lines
            color = words.status_color(view)
            style = "$text-muted" if color == "dim" else f"${color}" if color else ""
            content = Content.assemble((about.plain, "bold"), "   ", (words.status_words(view), style), paused)
            self.query_one("#about", Static).update(content)
            self.query_one("#numbers", Static).update(Content(numbers))

    def _numbers(self, view: RunView, now_s: float) -> str:
        state = view.state
        if not view.is_running:
            over = details.outcome(view, now_s).plain
            if not view.is_finished:
                return over
            better = state.deployed.versus(state.baseline).top1_points
            return (
                f"deployed  top1 {words.number(words.top1(state.deployed))} % "
                f"({words.number(better, signed=True)} pt)  {words.mib(words.size_bytes(state.deployed))} MiB  "
                f"{words.milliseconds(words.median_ms(state.deployed))} ms   {over}"
            )
        if state.index is None or state.activity:
            return details.running_words(state, now_s)
        newest = state.stages[state.index].metrics
        parts = [
            f"lr {words.compact(newest.get('learning_rate'))}",
            f"images/s {words.number(newest.get('images_per_s'), 0)}",
            f"loss {words.compact(newest.get('loss'))}",
            f"top1 {words.number(newest.get('top1'))} %",
        ]
        if newest.get("sparsity") is not None:
            parts.append(f"sparsity {100 * (newest['sparsity'] or 0):.1f} %")
        return "   ".join([*parts, state.device])

    def _draw(self) -> None:
        view = self.current
        if view is None or self.is_paused or view.id != self._followed:
            return
        for place, metric in enumerate(drawing.metrics):
            tile = self.query_one(f"#tile-{place}")
            if tile.display:
                tile.border_title = Content(drawing.title(metric, self._curves))
                chart = self.query_one(f"#chart-{place}", Chart)
                chart.show(drawing.picture(metric, self._curves, view.state))

    def watch_zoomed(self, zoomed: int | None) -> None:
        """Show one chart, or all."""
        self.set_class(zoomed is not None, "-zoomed")
        for place in range(len(drawing.metrics)):
            self.query_one(f"#tile-{place}").set_class(place == zoomed, "-zoomed")
        self.call_after_refresh(self._draw)

    def watch_is_paused(self, is_paused: bool) -> None:
        """Say so, or catch up."""
        if is_paused:
            self.query_one("#numbers", Static).update(
                Content("paused: the picture is held, the run goes on; space continues")
            )
            self._lines = ()
        else:
            self._tick()
            self._draw()

    def action_zoom(self, by: int) -> None:
        """Show the next metric alone; after the last one all again."""
        order: list[int | None] = [None, *range(len(drawing.metrics))]
        self.zoomed = order[(order.index(self.zoomed) + by) % len(order)]

    def action_step(self, by: int) -> None:
        """Watch the next older or newer run."""
        ids = list(self.workbench.views or {})
        if self._followed in ids:
            place = ids.index(self._followed) + by
            if 0 <= place < len(ids):
                self.workbench.selected = ids[place]

    def action_log(self) -> None:
        """Show or hide the log."""
        self.toggle_class("-log")
        self.call_after_refresh(self._draw)

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        self.is_paused = not self.is_paused

    def action_stop(self) -> None:
        """Stop the watched run."""
        self.stop_run(self.current)

    def action_back(self) -> None:
        """Leave the single chart first, then the screen."""
        if self.zoomed is not None:
            self.zoomed = None
        else:
            super().action_back()

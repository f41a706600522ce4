"""What all screens share: the top bar, the footer, and being told what changed only while they are seen."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import Screen

from workbench.failures import Enduring
from workbench.messages import Detail, Interest, LogGrew
from workbench.screens import Entry
from workbench.settings import Marker
from workbench.shelf import Shelf
from workbench.widgets.footer import Footer
from workbench.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from workbench.app import Workbench


class WorkbenchScreen(Enduring, Screen[None]):
    """A screen that a key opens.

    What concerns the chosen runs, whatever the screen, is an action of the app (``workbench.run_actions``): a screen
    binds a key to it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="back", show=False, tooltip="Go back one layer, in the end to Runs"),
    ]

    def __init__(self, entry: Entry) -> None:
        super().__init__()
        self.entry = entry
        """What the screen declares of itself."""

    def _screen_resized(self, size: Size) -> None:
        # Two sizes that wait in the queue would bring each other about for ever: only the newest is laid out.
        super()._screen_resized(self.app.size)

    @property
    def workbench(self) -> "Workbench":
        """The app."""
        return cast("Workbench", self.app)

    @property
    def shelf(self) -> Shelf:
        """The runs, their filter, marks and selection."""
        return self.workbench.shelf

    def compose(self) -> ComposeResult:
        """Frame the body."""
        yield TopBar(self.entry.name, is_read_only=self.workbench.settings.read_only)
        yield from self.compose_body()
        yield Footer(self.offers)

    def compose_body(self) -> ComposeResult:
        """Build what stands between the bars."""
        yield from ()

    def on_mount(self) -> None:
        """Listen to the feed."""
        self.workbench.shelf_changed.subscribe(self, lambda _: self._show_if_seen())
        self.workbench.details_changed.subscribe(self, self._take_details)
        self.workbench.log_grew.subscribe(self, self._take_log)
        self.workbench.marker_changed.subscribe(self, self.use_marker)

    @property
    def unsaved(self) -> str:
        """What would be lost if the app were left now, as in ``the recipe in Compose``; empty when nothing would."""
        return ""

    @property
    def is_seen(self) -> bool:
        """It is on the screen, perhaps below a dialog."""
        return self.is_mounted and self in self.app.screen_stack

    def on_screen_resume(self) -> None:
        """Catch up with what changed while another screen was seen."""
        self._show_if_seen()

    def _show_if_seen(self) -> None:
        if self.is_seen:
            self.query_one(TopBar).show(self.shelf)
            self.workbench.follow(self.interest())
            self.show_shelf()
            self.query_one(Footer).show_keys()

    def _take_details(self, details: Sequence[Detail]) -> None:
        if self.is_seen:
            self.show_details(details)

    def _take_log(self, message: LogGrew) -> None:
        if self.is_seen:
            self.show_log(message)

    def offers(self, binding: Binding) -> bool:
        """Tell of a key whether it is of use now and worth a place in the footer; what is not works all the same."""
        return binding.show

    def interest(self) -> Interest:
        """Say of which runs the details are wanted while the screen is seen."""
        return Interest()

    def show_shelf(self) -> None:
        """Draw what the app knows now: rows, filter, marks, selection."""

    def show_details(self, details: Sequence[Detail]) -> None:
        """Draw what became known of some of the runs of interest; all of them are in ``workbench.details``."""

    def show_log(self, message: LogGrew) -> None:
        """Draw what the run printed whose log is wanted."""

    def use_marker(self, marker: Marker) -> None:
        """Draw every chart with another marker."""
        from workbench.widgets.chart import Chart

        for chart in self.query(Chart):
            chart.use(marker)

    def action_back(self) -> None:
        """Go back to the list of runs."""
        self.app.switch_mode("runs")

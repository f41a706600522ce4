"""What all screens share: the top bar, the footer, and being told what changed only while they are seen."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Footer

from pipeline.errors import PipelineError
from pipeline.runs import process
from workbench.messages import RunView
from workbench.modals.confirm import ConfirmModal
from workbench.widgets.top_bar import TopBar

if TYPE_CHECKING:
    from workbench.app import Workbench


class WorkbenchScreen(Screen[None]):
    """A screen that a number key opens."""

    KEY: ClassVar[str]
    """The key that opens it, and its place in the top bar."""
    TAB: ClassVar[str]
    """Its word in the top bar."""
    QUESTION: ClassVar[str]
    """What it answers, for the help."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", id="back", show=False, tooltip="Go back one layer, in the end to Runs"),
    ]

    @property
    def workbench(self) -> "Workbench":
        """The app."""
        return cast("Workbench", self.app)

    def compose(self) -> ComposeResult:
        """Frame the body."""
        yield TopBar(self.TAB)
        yield from self.compose_body()
        yield Footer(show_command_palette=False, compact=True)

    def compose_body(self) -> ComposeResult:
        """Build what stands between the bars."""
        yield from ()

    def on_mount(self) -> None:
        """Listen to the feed."""
        self.workbench.views_changed.subscribe(self, lambda _: self._show_if_seen())

    def on_screen_resume(self) -> None:
        """Catch up with what changed while another screen was seen."""
        self._show_if_seen()

    def _show_if_seen(self) -> None:
        if self.is_mounted and self in self.app.screen_stack:
            running = sum(view.is_running for view in (self.workbench.views or {}).values())
            self.query_one(TopBar).show(running)
            self.show_views()

    def show_views(self) -> None:
        """Draw what the app knows now."""

    def action_back(self) -> None:
        """Go back to the list of runs."""
        self.app.switch_mode("runs")

    def stop_run(self, view: RunView | None) -> None:
        """Ask, then stop a run at its next step."""
        if view is None or not view.is_running:
            self.workbench.say("Only a run that goes on can be stopped.", is_error=True)
            return

        def stop(answer: bool | None) -> None:
            if not answer:
                return
            try:
                process.stop(view.run)
            except (PipelineError, OSError) as error:
                self.workbench.say(str(error), is_error=True)
            else:
                self.workbench.say(f"{view.name} stops at its next step; its finished stages stay in the store.")

        detail = f"{view.name} ends at its next step.\nFinished stages stay in the store and are reused by later runs."
        self.app.push_screen(ConfirmModal("stop this run?", detail, yes="stop", no="let it run"), stop)

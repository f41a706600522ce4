"""Runs: what do I have, what is going on?"""

import time
from typing import ClassVar

from rich.console import Group
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Static

from pipeline.errors import RunStoreError
from workbench.messages import RunView
from workbench.modals.confirm import ConfirmModal
from workbench.modals.export import ExportModal
from workbench.screens._base import WorkbenchScreen
from workbench.widgets import details
from workbench.widgets.run_table import RunTable

nothing = """No runs yet.

Press 2 to compose a recipe, or p to start from a preset."""


class RunsScreen(WorkbenchScreen):
    """Runs: what do I have, what is going on?"""

    KEY = "1"
    TAB = "Runs"
    QUESTION = "What do I have, what is going on?"
    DEFAULT_CSS = """
    RunsScreen {
        #empty { height: 1fr; content-align: center middle; text-align: center; color: $text-muted; display: none; }
        &.-empty #empty { display: block; }
        &.-empty RunTable, &.-empty #detail { display: none; }
        #detail { height: 7; border-top: solid $panel; padding: 0 1; }
        #about { width: 1fr; height: 6; }
        #numbers { width: 38; height: 4; margin: 0 0 0 1; }
        &.-wide #numbers { width: 56; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "mark", "mark", id="mark", tooltip="Mark for export, or take the mark away"),
        Binding("e", "export", "export", id="export", tooltip="Export the marked runs, or this one"),
        Binding("s", "stop", "stop", id="stop", tooltip="Stop this run at its next step (asks first)"),
        Binding(
            "d", "delete", "delete", id="delete", tooltip="Delete the folder of this run when it is over (asks first)"
        ),
        Binding("p", "presets", "preset", id="presets", tooltip="Compose from a preset"),
    ]

    def compose_body(self) -> ComposeResult:
        """Build the table and the strip below it."""
        yield Static("Reading the store...", id="empty", markup=False)
        yield RunTable()
        with Horizontal(id="detail"):
            yield Static(id="about")
            yield Static(id="numbers")

    def on_mount(self) -> None:
        """Keep the time that is left up to date."""
        super().on_mount()
        self._shown: object = None
        self.set_interval(1.0, self._show_detail)

    def on_resize(self) -> None:
        """Share the width out again."""
        self.call_after_refresh(self.show_views)

    @property
    def current(self) -> RunView | None:
        """The run under the cursor."""
        return self.workbench.view(self.workbench.selected)

    def show_views(self) -> None:
        """Bring the table and the strip up to date."""
        views = self.workbench.views
        self.set_class(not views, "-empty")
        if not views:
            if views is not None:
                self.query_one("#empty", Static).update(nothing)
            return
        self.query_one(RunTable).show(list(views.values()), self.workbench.marked, self.workbench.selected)
        if self.focused is None:
            self.query_one(RunTable).focus()
        self._show_detail()

    def _show_detail(self) -> None:
        view = self.current
        if view is None or not self.is_current:
            return
        about = self.query_one("#about", Static)
        width = about.size.width or 40
        lines = [details.head(view, width), details.stages(view, width), details.outcome(view, time.time())]
        numbers = details.comparison(view.state, short=not self.has_class("-wide"))
        shown = ([(line.plain, line.spans) for line in lines], numbers.plain)
        if shown != self._shown:
            self._shown = shown
            about.update(Group(*lines))
            self.query_one("#numbers", Static).update(numbers)

    @on(DataTable.RowHighlighted)
    def select(self, event: DataTable.RowHighlighted) -> None:
        """Make the run under the cursor the selected one."""
        if event.row_key.value is not None and event.row_key.value in (self.workbench.views or {}):
            self.workbench.selected = event.row_key.value

    @on(DataTable.RowSelected)
    def watch_live(self) -> None:
        """Go to the live view of the run under the cursor."""
        self.app.switch_mode("live")

    def action_mark(self) -> None:
        """Mark the run under the cursor and step down."""
        if self.current is not None:
            self.workbench.toggle_mark(self.current.id)
            ids = list(self.workbench.views or {})
            self.workbench.selected = ids[min(len(ids) - 1, ids.index(self.current.id) + 1)]

    def action_export(self) -> None:
        """Export the marked runs, or the one under the cursor."""
        ExportModal.open(self.workbench)

    def action_stop(self) -> None:
        """Stop the run under the cursor."""
        self.stop_run(self.current)

    def action_presets(self) -> None:
        """Go to Compose and choose a preset there."""
        self.app.switch_mode("compose")
        self.app.call_later(self.app.screen.run_action, "presets")

    def action_delete(self) -> None:
        """Delete the run under the cursor."""
        view = self.current
        if view is None:
            return
        if view.is_running:
            self.workbench.say(f"{view.name} is still going on; stop it first.", is_error=True)
            return

        def delete(answer: bool | None) -> None:
            if not answer:
                return
            try:
                self.workbench.store.delete(view.run)
            except RunStoreError as error:
                self.workbench.say(str(error), is_error=True)
            self.workbench.feed.look()

        detail = (
            f"{view.name}\n{view.run.folder}\nIts folder is removed for good. Stage results that other runs share stay."
        )
        self.app.push_screen(ConfirmModal("delete this run?", detail, yes="delete", no="keep"), delete)

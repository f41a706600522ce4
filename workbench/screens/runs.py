"""1 Runs: what do I have, what is going on?"""

import time
from typing import ClassVar

from rich.console import Group
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import DataTable, Static

from workbench.screens._base import WorkbenchScreen
from workbench.widgets import details
from workbench.widgets.run_table import RunTable

nothing = """No runs yet.

Press 2 to compose a recipe, or p to start from a preset."""


class RunsScreen(WorkbenchScreen):
    """Runs: what do I have, what is going on?"""

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
        Binding("space", "app.mark", "mark", id="mark", tooltip="Mark for export, or take the mark away"),
        Binding("e", "app.export", "export", id="export", tooltip="Export the marked runs, or this one"),
        Binding("s", "app.stop", "stop", id="stop", tooltip="Stop this run at its next step (asks first)"),
        Binding(
            "d",
            "app.delete",
            "delete",
            id="delete",
            tooltip="Delete this run when it is over (asks first)",
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
        self.call_after_refresh(self.show_shelf)

    def show_shelf(self) -> None:
        """Bring the table and the strip up to date."""
        views = self.shelf.rows
        self.set_class(not views, "-empty")
        if not views:
            if views is not None:
                self.query_one("#empty", Static).update(nothing)
            return
        self.query_one(RunTable).show(self.shelf.visible, self.shelf.marked, self.shelf.selected)
        if self.focused is None:
            self.query_one(RunTable).focus()
        self._show_detail()

    def _show_detail(self) -> None:
        view = self.shelf.current
        if view is None or not self.is_current:
            return
        about = self.query_one("#about", Static)
        width = about.size.width or 40
        lines = [details.head(view, width), details.stages(view, width), details.outcome(view, time.time())]
        numbers = details.comparison(view, short=not self.has_class("-wide"))
        shown = ([(line.plain, line.spans) for line in lines], numbers.plain)
        if shown != self._shown:
            self._shown = shown
            about.update(Group(*lines))
            self.query_one("#numbers", Static).update(numbers)

    @on(DataTable.RowHighlighted)
    def select(self, event: DataTable.RowHighlighted) -> None:
        """Make the run under the cursor the selected one."""
        if event.row_key.value is not None and event.row_key.value in (self.shelf.rows or {}):
            self.workbench.select(event.row_key.value)

    @on(DataTable.RowSelected)
    def watch_live(self) -> None:
        """Go to the live view of the run under the cursor."""
        self.app.switch_mode("live")

    def action_presets(self) -> None:
        """Go to Compose and choose a preset there."""
        self.app.switch_mode("compose")
        self.app.call_later(self.app.screen.run_action, "presets")

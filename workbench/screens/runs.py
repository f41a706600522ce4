"""1 Runs: what do I have, what is going on?"""

import time
from collections.abc import Sequence
from typing import ClassVar

from rich.console import Group
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from workbench.columns import columns, shown
from workbench.messages import Detail, Interest
from workbench.screens._base import WorkbenchScreen
from workbench.shelf import groupings
from workbench.widgets import details
from workbench.widgets.filter_line import FilterInput, FilterLine
from workbench.widgets.run_table import RunTable

nothing = """No runs yet.

Press 2 to compose a recipe, or p to start from a preset."""
none_passes = """No run passes the filter.

Press / to change it, or esc to see all runs."""


def _more(keys: str, action: str, name: str, identity: str, tooltip: str) -> Binding:
    """Bind keys that only the help shows."""
    return Binding(keys, action, name, id=identity, show=False, tooltip=tooltip)


class RunsScreen(WorkbenchScreen):
    """Runs: what do I have, what is going on?"""

    AUTO_FOCUS = "RunTable"
    DEFAULT_CSS = """
    RunsScreen {
        #empty { height: 1fr; content-align: center middle; text-align: center; color: $text-muted; display: none; }
        &.-empty #empty, &.-filtered-out #empty { display: block; }
        &.-empty RunTable, &.-empty #detail, &.-empty FilterLine { display: none; }
        &.-filtered-out RunTable { display: none; }
        #detail { height: 7; border-top: solid $panel; padding: 0 1; }
        #head, #remarks { height: 1; }
        #facts { height: 4; }
        #about { width: 1fr; height: 100%; }
        #numbers { width: 42; height: 100%; margin: 0 0 0 1; }
        &.-wide #detail { height: 9; }
        &.-wide #facts { height: 6; }
        &.-wide #numbers { width: 56; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "filter", "filter", key_display="/", id="filter", tooltip="Filter the runs: top1>90 !failed"),
        Binding("space", "mark", "mark", key_display="␣", id="mark", tooltip="Mark this run or group, and go on"),
        Binding("e", "app.export", "export", id="export", tooltip="Export the marked runs, or this one"),
        Binding("c", "app.switch_mode('compare')", "compare", id="compare", tooltip="Set the marked runs side by side"),
        Binding("s", "app.stop", "stop", id="stop", tooltip="Stop: now, after this epoch, after this stage (asks)"),
        _more("r", "app.resume", "resume", "resume", "Go on with a run that did not finish"),
        _more("E,shift+e", "app.edit", "edit recipe", "edit-recipe", "Change this run's recipe in Compose; launch it"),
        _more("d", "app.delete", "delete", "delete", "Put the marked runs into the trash (asks)"),
        _more("u", "app.undo", "undo", "undo", "Bring back what was deleted last"),
        _more("K,shift+k", "app.queue_up", "queue up", "queue-up", "Let the waiting run begin one place earlier"),
        _more("J,shift+j", "app.queue_down", "queue down", "queue-down", "Let the waiting run begin one place later"),
        _more("S,shift+s", "app.start_now", "start now", "start-now", "Let the waiting run begin, whatever goes on"),
        _more("L,shift+l", "app.queue_limit", "queue limit", "queue-limit", "How many runs may go on at once"),
        _more("i", "app.about", "about", "about", "Everything about this run"),
        _more("o", "order", "order", "order", "Sort by the next column, in the end by age"),
        _more("O,shift+o", "reverse", "reverse", "reverse", "Turn the order round"),
        _more("C,shift+c", "columns", "columns", "columns", "Choose, move and sort the columns"),
        _more("g", "group", "group", "group", "Group by the next: backbone, dataset, tag, ..."),
        _more("z", "fold_all", "groups", "fold-all", "Close all groups, or open them"),
        _more("a", "app.mark_all", "all", "mark-all", "Mark all runs that pass the filter"),
        _more("A,shift+a", "app.mark_none", "none", "mark-none", "Take all marks away"),
        _more("I,shift+i", "app.mark_invert", "invert", "mark-invert", "Mark the others"),
        _more("V,shift+v", "mark_range", "range", "mark-range", "Mark everything from the last mark to here"),
        _more("shift+down", "mark_on(1)", "mark on", "mark-down", "Mark this run and the next"),
        _more("shift+up", "mark_on(-1)", "mark on", "mark-up", "Mark this run and the last"),
        _more("P,shift+p", "app.pin", "pin", "pin", "Keep above the others, or let go"),
        _more("t", "app.tags", "tags", "tags", "Words to find the marked runs by"),
        _more("N,shift+n", "app.note", "note", "note", "A text to the marked runs"),
        _more("y", "app.copy", "copy", "copy", "Copy what one needs of this run elsewhere"),
        _more("p", "presets", "preset", "presets", "Compose from a preset"),
    ]  # fmt: skip

    def compose_body(self) -> ComposeResult:
        """Build the filter, the table and the strip below it."""
        yield FilterLine()
        yield Static("Reading the store...", id="empty", markup=False)
        keys = [key for key in self.workbench.memory.get("runs.columns", list(shown)) if key in columns]
        yield RunTable(keys)
        with Vertical(id="detail"):
            yield Static(id="head")
            with Horizontal(id="facts"):
                yield Static(id="about")
                yield Static(id="numbers")
            yield Static(id="remarks")

    def on_mount(self) -> None:
        """Keep the time that is left up to date."""
        self._shown: tuple[object, ...] = ()
        self._last_mark: str | None = None
        self.set_interval(1.0, self._show_detail)

    def on_resize(self) -> None:
        """Share the width out again."""
        self.call_after_refresh(self.show_shelf)

    def offers(self, binding: Binding) -> bool:
        """Offer what can be done with the chosen runs; where there are none, how to get one."""
        shelf = self.shelf
        match binding.id:
            case "compose" | "presets" | "doctor":
                return not shelf.rows
            case "filter":
                return bool(shelf.rows)
            case "watch" | "mark":
                return bool(shelf.visible)
            case "compare":
                return binding.show and len(shelf.rows or ()) > 1
            case "export":
                return any(row.is_finished for row in shelf.chosen)
            case "stop":
                return any(row.is_running for row in shelf.chosen)
            case "start-now":
                return any(row.queued_at is not None for row in shelf.chosen)
            case "resume":
                current = shelf.current
                return current is not None and not current.is_running and not current.is_finished
        return super().offers(binding)

    @property
    def _table(self) -> RunTable:
        return self.query_one(RunTable)

    def interest(self) -> Interest:
        """Ask for the details of a run that has notes, to show the first of them."""
        row = self.shelf.current
        return Interest(ids=(row.id,) if row is not None and row.note_count else ())

    def show_details(self, details: Sequence[Detail]) -> None:
        """Show the first note."""
        self._show_detail()

    def show_shelf(self) -> None:
        """Bring the table and the strip up to date."""
        shelf = self.shelf
        self.set_class(not shelf.rows, "-empty")
        self.set_class(bool(shelf.rows) and not shelf.visible, "-filtered-out")
        empty = self.query_one("#empty", Static)
        if shelf.rows is not None and not shelf.visible:
            empty.update(none_passes if shelf.rows else nothing)
        self._table.show(shelf)
        self.query_one(FilterLine).show(shelf, len(self._table.layout_shown.dropped))
        if shelf.rows and (shelf.current is None or not shelf.filter.matches(shelf.current)):
            self.workbench.select(self._table.nearest())
        if self.focused is None and self.is_current:
            self._table.focus()
        self._show_detail()

    def _show_detail(self) -> None:
        if not self.is_current or not self.shelf.rows:
            return
        row, is_wide = self.shelf.current, self.has_class("-wide")
        about = self.query_one("#about", Static)
        width = about.size.width or 36
        if row is None:
            drawn: tuple[object, ...] = ("", "", "", "")
        else:
            known = self.workbench.details.get(row.id)
            first_note = known.state.notes[0] if known is not None and known.state.notes else ""
            lines = [details.stages(row, width), details.outcome(row, time.time())]
            drawn = (
                details.head(row, self.size.width - 2), Group(*lines), details.comparison(row, short=not is_wide),
                details.remarks(row, first_note),
            )  # fmt: skip
        written = tuple(_plain(part) for part in drawn)
        for name, part, text, before in zip(
            ("#head", "#about", "#numbers", "#remarks"), drawn, written, self._shown or ("",) * 4, strict=True
        ):
            if text != before:
                # Their places are fixed: laying out the screen anew would cost more than all the rest of a key.
                self.query_one(name, Static).update(part, layout=False)  # type: ignore[arg-type]
        self._shown = written

    # -- what the table and the filter say

    @on(RunTable.Opened)
    def watch_live(self) -> None:
        """Go to the live view of the run under the cursor."""
        self.app.switch_mode("live")

    @on(RunTable.Marked)
    def mark_by_mouse(self) -> None:
        """Mark the run whose gutter was clicked."""
        self._last_mark = self.shelf.selected
        self.workbench.action_mark()

    @on(RunTable.SortAsked)
    def sort_by_mouse(self, event: RunTable.SortAsked) -> None:
        """Sort by the column whose header was clicked; turn the order round at the second click."""
        if event.key == self.shelf.order:
            self.action_reverse()
        else:
            self._sort(event.key)

    @on(FilterLine.Changed)
    def narrow(self) -> None:
        """Show the runs that pass."""
        self.workbench.shelf_changed.publish(None)

    @on(FilterLine.Left)
    def leave_filter(self) -> None:
        """Go back to the table."""
        self._table.focus()

    # -- keys

    def action_filter(self) -> None:
        """Write a filter."""
        if self.shelf.rows:
            self.query_one(FilterInput).focus()

    def action_back(self) -> None:
        """See all runs again."""
        if self.shelf.filter.text:
            self.shelf.narrow("")
            self.workbench.shelf_changed.publish(None)
            self._table.focus()

    def action_order(self) -> None:
        """Sort by the next column that is shown; numbers first, in the end by age."""
        keys = [column.key for column in self._table.layout_shown.columns]
        keys = [*(k for k in keys if columns[k].is_number), *(k for k in keys if not columns[k].is_number), ""]
        at = keys.index(self.shelf.order) if self.shelf.order in keys else -1
        self._sort(keys[(at + 1) % len(keys)])

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.shelf.sort(self.shelf.order, is_reversed=not self.shelf.is_reversed)
        self.workbench.shelf_changed.publish(None)

    def _sort(self, key: str) -> None:
        self.shelf.sort(key, is_reversed=bool(key) and columns[key].better == "higher")
        self.workbench.shelf_changed.publish(None)

    def action_columns(self) -> None:
        """Choose columns."""
        from workbench.modals.pick_columns import ColumnsModal, Wanted

        def choose(wanted: Wanted | None) -> None:
            if wanted is not None:
                self._table.choose(wanted.keys)
                self.workbench.memory.put("runs.columns", list(wanted.keys))
                if wanted.order:
                    self._sort(wanted.order)
                self.show_shelf()

        self.app.push_screen(ColumnsModal(self._table.keys), choose)

    def action_group(self) -> None:
        """Group by the next quantity."""
        at = groupings.index(self.shelf.grouping)
        self.shelf.group_by(groupings[(at + 1) % len(groupings)])
        self.workbench.shelf_changed.publish(None)

    def action_fold_all(self) -> None:
        """Close or open all groups."""
        if self.shelf.grouping:
            self._table.fold_all()

    def action_mark(self) -> None:
        """Mark the run under the cursor and go to the next one; on the line of a group all its runs."""
        group = self._table.cursor_group
        if group is None:
            self._last_mark = self.shelf.selected
            self.workbench.action_mark()
            self._table.action_move(1)
            return
        ids = {row.id for row in group.rows}
        marked = self.shelf.marked
        self.workbench.mark(marked - ids if ids <= marked else marked | ids)

    def action_mark_range(self) -> None:
        """Mark everything from the last mark to here."""
        here = self.shelf.selected
        if here is not None:
            self.workbench.mark(self.shelf.marked | {here, *self._table.between(self._last_mark or here, here)})
            self._last_mark = here

    def action_mark_on(self, step: int) -> None:
        """Mark the run under the cursor and its neighbour, and go there."""
        self._last_mark = self._table.neighbour(step) or self.shelf.selected
        both = {run_id for run_id in (self._table.neighbour(0), self._table.neighbour(step)) if run_id is not None}
        self.workbench.mark(self.shelf.marked | both)
        self._table.action_move(step)

    def action_presets(self) -> None:
        """Go to Compose and choose a preset there."""
        self.app.switch_mode("compose")
        self.app.call_later(self.app.screen.run_action, "presets")


def _plain(part: object) -> object:
    """Give what tells two drawings apart: letters and styles."""
    if isinstance(part, Group):
        return tuple(_plain(inner) for inner in part.renderables)
    return (part.plain, tuple(part.spans)) if hasattr(part, "plain") else part  # type: ignore[attr-defined]

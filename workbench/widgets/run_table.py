"""The table of runs: of thousands of lines only those in sight are written, and only those that differ are sent."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from pipeline.runs.rows import Row
from workbench.shelf import Group, Shelf
from workbench.widgets.run_layout import GUTTER, GroupLine, Layout, Line, Pen, layout

if TYPE_CHECKING:
    from workbench.app import Workbench


class RunTable(ScrollView, can_focus=True):
    """Runs, one line each, with a header that stays."""

    DEFAULT_CSS = """
    RunTable {
        height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden;
        scrollbar-gutter: stable; scrollbar-color: $panel; scrollbar-background: $background;
        & > .run-table--cursor { background: $panel; color: $foreground; }
        & > .run-table--focused { background: $primary 35%; color: $foreground; text-style: bold; }
        &:focus { background-tint: transparent; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"run-table--cursor", "run-table--focused"}
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "live", key_display="⏎", id="watch", tooltip="Watch this run; open or close a group"),
        Binding("down,j", "move(1)", "down", id="down", show=False, tooltip="The run below"),
        Binding("up,k", "move(-1)", "up", id="up", show=False, tooltip="The run above"),
        Binding("pagedown", "page(1)", "page down", id="page-down", show=False, tooltip="A page further down"),
        Binding("pageup", "page(-1)", "page up", id="page-up", show=False, tooltip="A page further up"),
        Binding("home", "first", "first", id="top", show=False, tooltip="The first run"),
        Binding("end,G,shift+g", "last", "last", id="bottom", show=False, tooltip="The last run"),
        Binding("left", "fold", "close", id="fold", show=False, tooltip="Close this group"),
        Binding("right", "unfold", "open", id="unfold", show=False, tooltip="Open this group"),
    ]

    class Opened(Message):
        """A run is to be looked at."""

    class Marked(Message):
        """The mark of the run under the cursor is to be put or taken away, by mouse."""

    class SortAsked(Message):
        """The header of a column was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, keys: Sequence[str]) -> None:
        """Make an empty table.

        Args:
            keys: of the columns that are wanted.
        """
        super().__init__()
        self._keys = tuple(keys)
        self._shelf = Shelf()
        self._lines: list[Line] = []
        self._built_from: tuple[object, ...] = ()
        self._folded: set[str] = set()
        """Names of the groups that are closed."""
        self._cursor = 0
        self._longest = 0
        self._layout = Layout(columns=(), widths=(), gap=1, dropped=())
        self._layout_of: tuple[object, ...] = ()
        self._version = 0
        """Counts whatever changes all lines: widths, theme."""
        self._strips: dict[int, tuple[Line, tuple[object, ...], Strip]] = {}
        """What was written of the lines in sight."""
        self._drawn: list[Strip] = []

    @property
    def layout_shown(self) -> Layout:
        """The columns as they stand."""
        return self._layout

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the columns that are wanted."""
        return self._keys

    @property
    def cursor_group(self) -> Group | None:
        """The group whose own line the cursor is on; None on the line of a run."""
        line = self._lines[self._cursor] if self._cursor < len(self._lines) else None
        return line.group if isinstance(line, GroupLine) else None

    def plain_lines(self) -> list[str]:
        """Give what stands there, row by row, without colour."""
        return [strip.text.rstrip() for strip in self._drawn]

    def show(self, shelf: Shelf) -> None:
        """Bring the lines up to date; the cursor stays on the selected run."""
        self._shelf = shelf
        built_from = (shelf.rows, shelf.visible, shelf.grouping, frozenset(self._folded))
        if len(self._built_from) != 4 or not _are_same(built_from, self._built_from):
            if not self._built_from or self._built_from[0] is not shelf.rows:
                self._longest = max((cell_len(row.name) for row in (shelf.rows or {}).values()), default=0)
            self._built_from = built_from
            self._lines = _lines(shelf, self._folded)
            self.virtual_size = Size(1, len(self._lines) + 1)
        self._cursor = self._place_of(shelf.selected)
        self._draw()
        self._keep_in_sight()

    def choose(self, keys: Sequence[str]) -> None:
        """Show other columns."""
        self._keys = tuple(keys)
        self._draw()

    def neighbour(self, step: int) -> str | None:
        """Give the id of the run so many lines away from the cursor; None on a group's line and outside."""
        place = self._cursor + step
        line = self._lines[place] if 0 <= place < len(self._lines) else None
        return line.id if isinstance(line, Row) else None

    def between(self, first: str, last: str) -> list[str]:
        """Give the ids of the runs from one to another, both included; empty if one is hidden."""
        ids = [line.id for line in self._lines if isinstance(line, Row)]
        if first not in ids or last not in ids:
            return []
        low, high = sorted((ids.index(first), ids.index(last)))
        return ids[low : high + 1]

    def nearest(self) -> str | None:
        """Give the id of the run at the cursor's place, where the selected one is hidden; None in an empty table."""
        if not self._lines:
            return None
        return _first(self._lines[min(self._cursor, len(self._lines) - 1)]).id

    def fold_all(self) -> None:
        """Close every group, or open all where all are closed."""
        names = {group.name for group in self._shelf.groups}
        self._folded = set() if names <= self._folded else names
        self.show(self._shelf)

    # -- moving

    def action_move(self, lines: int) -> None:
        """Move the cursor by so many lines."""
        self._go(self._cursor + lines)

    def action_page(self, pages: int) -> None:
        """Move the cursor by so many pages."""
        self._go(self._cursor + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        """Move the cursor to the first line."""
        self._go(0)

    def action_last(self) -> None:
        """Move the cursor to the last line."""
        self._go(len(self._lines) - 1)

    def action_open(self) -> None:
        """Open the run under the cursor; open or close the group."""
        group = self.cursor_group
        if group is not None:
            self._folded ^= {group.name}
            self.show(self._shelf)
        elif self._lines:
            self.post_message(self.Opened())

    def action_fold(self) -> None:
        """Close the group under the cursor; from a run go to its group."""
        group = self.cursor_group
        if group is not None:
            self._folded.add(group.name)
            self.show(self._shelf)
        elif self._shelf.grouping:
            above = (at for at in range(self._cursor, -1, -1) if isinstance(self._lines[at], GroupLine))
            self._go(next(above, 0))

    def action_unfold(self) -> None:
        """Open the group under the cursor."""
        group = self.cursor_group
        if group is not None:
            self._folded.discard(group.name)
            self.show(self._shelf)

    def _go(self, place: int) -> None:
        if not self._lines:
            return
        self._cursor = max(0, min(place, len(self._lines) - 1))
        # At once, not by a message: the next key may already be about this run.
        cast("Workbench", self.app).select(_first(self._lines[self._cursor]).id)
        self._draw()
        self._keep_in_sight()

    def _place_of(self, run_id: str | None) -> int:
        """Find the line of a run: its own, else that of the group that hides it, else the cursor's."""
        here = self._lines[self._cursor] if self._cursor < len(self._lines) else None
        if here is not None and _stands_for(here, run_id):
            return self._cursor
        hidden = None
        for place, line in enumerate(self._lines):
            if isinstance(line, Row):
                if line.id == run_id:
                    return place
            elif hidden is None and not line.is_open and any(row.id == run_id for row in line.group.rows):
                hidden = place
        return hidden if hidden is not None else max(0, min(self._cursor, len(self._lines) - 1))

    def _keep_in_sight(self) -> None:
        rows, top = max(1, self.size.height - 1), self.scroll_offset.y
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False)
        elif self._cursor >= top + rows:
            self.scroll_to(y=self._cursor - rows + 1, animate=False)

    # -- drawing

    def on_mount(self) -> None:
        """Draw again in the colours of another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def on_resize(self) -> None:
        """Share the width out again."""
        self._draw()
        self._keep_in_sight()

    def on_focus(self) -> None:
        """Show the cursor as the one that keys move."""
        self._draw()

    def on_blur(self) -> None:
        """Show the cursor as one at rest."""
        self._draw()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Write the lines that came into sight."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._draw()

    def render_line(self, y: int) -> Strip:
        """Give one row."""
        return self._drawn[y] if y < len(self._drawn) else Strip.blank(self.size.width, self.rich_style)

    def _draw(self) -> None:
        width, height = self.scrollable_content_region.size
        if not width or not height or not self.is_mounted:
            return
        wanted = (self._keys, width, self._longest, self.app.theme)
        if wanted != self._layout_of:
            self._layout_of = wanted
            self._layout = layout(self._keys, width, self._longest)
            self._version += 1
            self._pen = Pen(self.app)
        top = self.scroll_offset.y
        in_sight = range(top, min(top + height - 1, len(self._lines)))
        self._strips = {place: self._written(place) for place in in_sight}
        header = self._pen.header(self._layout, self._shelf.order, is_reversed=self._shelf.is_reversed)
        rows = [self._strip(header, self.rich_style), *(strip for *_, strip in self._strips.values())]
        rows += [Strip.blank(width, self.rich_style)] * (height - len(rows))
        before, self._drawn = self._drawn, rows
        if len(before) != len(rows):
            self.refresh()
            return
        changed = [y for y, row in enumerate(rows) if row is not before[y] and row != before[y]]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def _written(self, place: int) -> tuple[Line, tuple[object, ...], Strip]:
        """Write a line, or take what was written of it before."""
        line, is_cursor = self._lines[place], place == self._cursor
        is_marked = isinstance(line, Row) and line.id in self._shelf.marked
        key = (is_cursor, is_cursor and self.has_focus, is_marked, self._version)
        known = self._strips.get(place)
        if known is not None and known[0] is line and known[1] == key:
            return known
        return line, key, self.write(line, is_marked=is_marked, is_cursor=is_cursor)

    def write(self, line: Line, *, is_marked: bool, is_cursor: bool) -> Strip:
        """Write a line as it stands in the table."""
        if isinstance(line, Row):
            segments = self._pen.row(line, self._layout, is_marked=is_marked, is_cursor=is_cursor)
        else:
            segments = self._pen.group(line, self._layout, self._shelf.grouping, is_cursor=is_cursor)
        style = self.rich_style
        if is_cursor:
            style += self.get_component_rich_style(f"run-table--{'focused' if self.has_focus else 'cursor'}")
        return self._strip(segments, style)

    def _strip(self, segments: list[Segment], style: Style) -> Strip:
        return Strip(segments).adjust_cell_length(self.scrollable_content_region.width).apply_style(style).simplify()

    # -- the mouse

    def on_click(self, event: events.Click) -> None:
        """Move the cursor; sort by a header; mark in the gutter; open by a double click."""
        if event.y == 0:
            column = self._layout.at(event.x)
            if column is not None:
                self.post_message(self.SortAsked(column.key))
            return
        place = self.scroll_offset.y + event.y - 1
        if place >= len(self._lines):
            return
        self._go(place)
        if isinstance(self._lines[place], GroupLine) or (event.chain == 2 and event.x >= GUTTER):
            self.action_open()
        elif event.x < GUTTER:
            self.post_message(self.Marked())


def _lines(shelf: Shelf, closed: set[str]) -> list[Line]:
    if not shelf.grouping:
        return list(shelf.visible)
    lines: list[Line] = []
    for group in shelf.groups:
        is_open = group.name not in closed
        lines.append(GroupLine(group=group, is_open=is_open))
        lines += group.rows if is_open else ()
    return lines


def _first(line: Line) -> Row:
    return line if isinstance(line, Row) else line.group.rows[0]


def _stands_for(line: Line, run_id: str | None) -> bool:
    if isinstance(line, Row):
        return line.id == run_id
    if line.group.rows[0].id == run_id:
        return True
    return not line.is_open and any(row.id == run_id for row in line.group.rows)


def _are_same(these: tuple[object, ...], those: tuple[object, ...]) -> bool:
    """Compare lists by identity, since equal ones of thousands of rows take long to tell."""
    return these[0] is those[0] and these[1] is those[1] and these[2:] == those[2:]

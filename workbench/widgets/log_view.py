"""What a run printed: follows its end, is searched and filtered, and sends only the cells that changed."""

import re
from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import ClassVar

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.events import MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input, Static

from workbench.tail import Earlier
from workbench.widgets import palette, words
from workbench.widgets.rows import Line, Rows

_trouble = re.compile(
    r"(?P<error>\b(?:error|exception|traceback|critical|fatal)\b|Error\b)|\b(?:warn|warning|nan)\b|Warning\b",
    re.IGNORECASE,
)
"""What a line of the level error or warning holds; what stands there first decides."""


class Level(IntEnum):
    """How bad what a line says is."""

    ALL = 0
    WARNING = 1
    ERROR = 2


shown = {Level.ALL: "all levels", Level.WARNING: "warnings and errors", Level.ERROR: "errors"}
"""What is shown from each level on."""
_colors = {Level.WARNING: "warning", Level.ERROR: "error"}
_Row = tuple[str, Level]


class LogView(Rows, can_focus=True):
    """The lines."""

    DEFAULT_CSS = "LogView { height: 1fr; padding: 0; }"

    class Moved(Message):
        """What is shown, found or filtered is another."""

    def __init__(self, most: int) -> None:
        """Begin without lines.

        Args:
            most: lines that are kept; older ones are in the file.
        """
        super().__init__()
        self._most = most
        self._lines: deque[_Row] = deque()
        self._rowed: list[_Row] = []
        """The lines that pass the filter, broken where they are wrapped."""
        self._top = 0
        self._left = 0
        self.follows = True
        """The newest line stays in sight."""
        self.wraps = False
        """Long lines go on in the next row instead of beyond the edge."""
        self.level = Level.ALL
        """The least level that is shown; an indented line has that of the line above it."""
        self.wanted = ""
        """What is searched for, in any case of letters; empty for nothing."""
        self.earlier = Earlier()
        """What stands in the file before the lines that are kept."""

    def begin(self, earlier: Earlier) -> None:
        """Forget every line; those that come next stand after these."""
        self._lines.clear()
        self.earlier = earlier
        self._top = self._left = 0
        self.follows = True
        self._lay()

    def add(self, lines: Sequence[str]) -> None:
        """Put new lines at the end."""
        level = self._lines[-1][1] if self._lines else Level.ALL
        fresh: list[_Row] = []
        for line in lines:
            level = level if line[:1].isspace() and level else _level(line)
            fresh.append((line, level))
        self._lines.extend(fresh)
        self._rowed += self._passing(fresh)
        self._drop(len(self._lines) - self._most)
        self._draw()

    def _drop(self, count: int) -> None:
        """Forget the oldest lines; what is in sight stays where it is."""
        if count <= 0:
            return
        gone = len(self._passing([self._lines.popleft() for _ in range(count)]))
        del self._rowed[:gone]
        known, head = self.earlier.lines, len(self._head)
        self.earlier = Earlier(self.earlier.size_bytes, None if known is None else known + count)
        self._top = max(0, self._top - gone + len(self._head) - head)

    def on_resize(self) -> None:
        """Break lines at the new width."""
        self._lay()

    def lay(self) -> None:
        """Draw what came while the log was hidden: not every showing makes an event of a resize."""
        self._lay()

    @property
    def count(self) -> int:
        """Lines that are kept."""
        return len(self._lines)

    @property
    def _head(self) -> list[_Row]:
        """What stands above the lines that are kept: that there are earlier ones."""
        if self.earlier.lines == 0:
            return []
        lines, size = self.earlier.lines, self.earlier.size_bytes
        much = f"{words.mib(size)} MiB of earlier lines" if lines is None else f"{lines:,} earlier lines"
        return [(f"… {much}: v opens the whole log", Level.ALL)]

    @property
    def found(self) -> list[int]:
        """The rows that hold what is searched for."""
        wanted = self.wanted.casefold()
        rows = enumerate(self._rowed, start=len(self._head))
        return [y for y, (row, _) in rows if wanted in row.casefold()] if wanted else []

    def filter(self, level: Level) -> None:
        """Show the lines of a level and worse ones alone."""
        self.level = level
        self.follows = True
        self._lay()

    def wrap(self, *, wraps: bool) -> None:
        """Break long lines, or cut them."""
        self.wraps, self._left = wraps, 0
        self._lay()

    def scroll_rows(self, rows: int) -> None:
        """Go up (negative) or down; going up ends the following, the end takes it up again."""
        end = self._end
        self._top = min(max(0, (end if self.follows else self._top) + rows), end)
        self.follows = self._top == end if rows > 0 else self.follows and end == 0
        self._draw()

    def scroll_cells(self, cells: int) -> None:
        """Go sideways along lines that are cut."""
        if not self.wraps:
            widest = max((cell_len(row) for row, _ in self._rowed), default=0)
            self._left = min(max(0, self._left + cells), max(0, widest - self.size.width))
            self._draw()

    def follow(self) -> None:
        """Keep the newest line in sight."""
        self.follows = True
        self._draw()

    def seek(self, by: int) -> bool:
        """Go to the next row that holds what is searched for, around the ends; tells whether there is one."""
        found = self.found
        if not found:
            self._draw()
            return False
        here = self._end if self.follows else self._top
        after = [y for y in found if (y > here if by > 0 else y < here)]
        row = (after[0] if by > 0 else after[-1]) if after else found[0 if by > 0 else -1]
        self._top = row
        self.follows = False
        self._draw(keep=True)
        return True

    @property
    def _end(self) -> int:
        return max(0, len(self._head) + len(self._rowed) - self.size.height)

    def _lay(self) -> None:
        self._rowed = self._passing(self._lines)
        self._top = min(self._top, self._end)
        self._draw()

    def _passing(self, lines: Iterable[_Row]) -> list[_Row]:
        width = max(1, self.size.width)
        passing = (row for row in lines if row[1] >= self.level)
        if not self.wraps:
            return list(passing)
        return [
            (line[start : start + width], level) for line, level in passing for start in range(0, len(line) or 1, width)
        ]

    def _draw(self, *, keep: bool = False) -> None:
        if not self.is_mounted or not self.size.area:
            return
        if self.follows:
            self._top = self._end
        elif not keep:
            self._top = min(self._top, self._end)
        rows = [*self._head, *self._rowed][self._top : self._top + self.size.height]
        self.put([self._row(*row) for row in rows] + [Strip.blank(self.size.width)] * (self.size.height - len(rows)))
        self.post_message(self.Moved())

    def _row(self, line: str, level: Level) -> Strip:
        text = Text(line, no_wrap=True)
        if level:
            text.stylize(palette.style(self.app, _colors[level]))
        if self.wanted:
            for match in re.finditer(re.escape(self.wanted), line, re.IGNORECASE):
                text.stylize(Style(reverse=True, bold=True), *match.span())
        strip = Strip(text.render(self.app.console, end=""))
        return strip.crop(self._left, self._left + self.size.width).adjust_cell_length(self.size.width)

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """Go down."""
        event.stop()
        self.scroll_rows(3)

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """Go up."""
        event.stop()
        self.scroll_rows(-3)


def _level(line: str) -> Level:
    found = _trouble.search(line)
    return Level.ALL if found is None else Level.ERROR if found["error"] else Level.WARNING


class LogPane(Vertical):
    """The lines with their state above and the field of the search below."""

    DEFAULT_CSS = """
    LogPane { height: 8; }
    LogPane Line { background: $panel; }
    LogPane:focus-within Line { background: $primary 30%; text-style: bold; }
    LogPane #search { height: 1; display: none; }
    LogPane.-search #search { display: block; }
    LogPane #search Static { width: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "rows(-1)", "up", show=False, id="log-up", tooltip="One line up; the following ends"),
        Binding("down,j", "rows(1)", "down", show=False, id="log-down", tooltip="One line down"),
        Binding("pageup", "pages(-1)", "up", show=False, id="log-page-up", tooltip="A page up"),
        Binding("pagedown", "pages(1)", "down", show=False, id="log-page-down", tooltip="A page down"),
        Binding("home", "rows(-1000000)", "first", show=False, id="log-first", tooltip="The oldest line"),
        Binding("left", "cells(-10)", "left", show=False, id="log-left", tooltip="To the left along long lines"),
        Binding("right", "cells(10)", "right", show=False, id="log-right", tooltip="To the right along long lines"),
        Binding("f,end", "follow", "follow", id="log-follow", key_display="f", tooltip="Follow the newest line again"),
        Binding("slash", "search", "search", key_display="/", id="log-search", tooltip="Search the log"),
        Binding("n", "seek(1)", "next", show=False, id="log-next", tooltip="The next line that was searched for"),
        Binding("N", "seek(-1)", "previous", show=False, id="log-previous", tooltip="The line before that"),
        Binding(
            "w", "filter", "level", id="log-level", tooltip="Warnings and errors alone, errors alone, or all lines"
        ),
        Binding("r", "wrap", "wrap", id="log-wrap", tooltip="Break long lines, or cut them"),
        Binding("enter", "full", "full", id="log-full", tooltip="The log alone, or the charts again"),
    ]

    class Full(Message):
        """The log wants the whole screen, or gives it back."""

    def __init__(self, most: int) -> None:
        """Begin without lines.

        Args:
            most: lines that are kept; older ones are in the file.
        """
        super().__init__()
        self._most = most

    def compose(self) -> ComposeResult:
        """Build the three parts."""
        yield Line()
        yield LogView(self._most)
        with Horizontal(id="search"):
            yield Static("/", markup=False)
            yield Input(compact=True, id="log-search-input", select_on_focus=False)

    @property
    def view(self) -> LogView:
        """The lines."""
        return self.query_one(LogView)

    @on(LogView.Moved)
    def show_state(self) -> None:
        """Say above the lines what is shown of them."""
        view, text = self.view, Text(" log", no_wrap=True, style="bold")
        last = "" if view.earlier.lines == 0 else "last "
        parts = [f"{last}{view.count:,} line{'s' * (view.count > 1)}" if view.count else "nothing printed yet"]
        parts += ["following" if view.follows else "held, f follows", shown[view.level]]
        if view.wanted:
            parts.append(f"/{view.wanted} in {len(view.found)}")
        text.append("  " + "  ".join(parts), style="not bold")
        self.query_one(Line).show(text)

    def action_rows(self, rows: int) -> None:
        """Go up or down."""
        self.view.scroll_rows(rows)

    def action_pages(self, pages: int) -> None:
        """Go a page up or down."""
        self.view.scroll_rows(pages * max(1, self.view.size.height - 1))

    def action_cells(self, cells: int) -> None:
        """Go sideways."""
        self.view.scroll_cells(cells)

    def action_follow(self) -> None:
        """Follow the newest line."""
        self.view.follow()

    def action_filter(self) -> None:
        """Show warnings and errors alone, then errors alone, then all again."""
        self.view.filter(Level((self.view.level + 1) % len(Level)))

    def action_wrap(self) -> None:
        """Break long lines, or cut them."""
        self.view.wrap(wraps=not self.view.wraps)

    def action_seek(self, by: int) -> None:
        """Go to the next line that was searched for."""
        self.view.seek(by)

    def action_full(self) -> None:
        """Ask for the whole screen."""
        self.post_message(self.Full())

    def action_search(self) -> None:
        """Ask what to search for."""
        self.add_class("-search")
        self.query_one("#log-search-input", Input).focus()

    @on(Input.Submitted)
    def _search(self, event: Input.Submitted) -> None:
        event.stop()
        self.view.wanted = event.value.strip()
        self.view.focus()
        self.remove_class("-search")
        self.view.seek(-1)

    def leave(self) -> bool:
        """Leave one layer: the field, then what was searched for; tells whether there was one."""
        view = self.view
        if self.has_class("-search"):
            view.focus()
            self.remove_class("-search")
        elif view.wanted:
            view.wanted = ""
            view.scroll_rows(0)
        else:
            return False
        return True

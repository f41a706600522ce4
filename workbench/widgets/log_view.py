"""What a run printed: follows its end, is searched and filtered, and sends only the cells that changed."""

import re
from collections import deque
from collections.abc import Sequence
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

from workbench.widgets import palette
from workbench.widgets.rows import Line, Rows

MOST_LINES = 5000
"""Lines that are kept; older ones are in the file."""
trouble = re.compile(r"\b(warn(ing)?|error|exception|traceback|critical|fatal|nan)\b|(Error|Warning)\b", re.IGNORECASE)
"""What a line of the levels warning and error holds."""


class LogView(Rows, can_focus=True):
    """The lines."""

    DEFAULT_CSS = "LogView { height: 1fr; padding: 0; }"

    class Moved(Message):
        """What is shown, found or filtered is another."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: deque[str] = deque(maxlen=MOST_LINES)
        self._rowed: list[str] = []
        """The lines that pass the filter, broken where they are wrapped."""
        self._top = 0
        self._left = 0
        self.follows = True
        """The newest line stays in sight."""
        self.wraps = False
        """Long lines go on in the next row instead of beyond the edge."""
        self.only_trouble = False
        """Only warnings and errors, with the indented lines that follow them."""
        self.wanted = ""
        """What is searched for, in any case of letters; empty for nothing."""
        self._was_trouble = False
        self.dropped = 0
        """Lines that are too old to be kept."""

    def clear(self) -> None:
        """Forget every line."""
        self._lines.clear()
        self._top = self._left = self.dropped = 0
        self.follows = True
        self._lay()

    def add(self, lines: Sequence[str]) -> None:
        """Put new lines at the end."""
        self.dropped += max(0, len(self._lines) + len(lines) - MOST_LINES)
        is_over = len(self._lines) + len(lines) > MOST_LINES
        self._lines.extend(lines)
        if is_over:
            self._lay()
            return
        self._rowed += self._passing(lines)
        self._draw()

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
    def has_trouble(self) -> bool:
        """A warning or an error is among the lines."""
        return any(trouble.search(line) for line in self._lines)

    @property
    def found(self) -> list[int]:
        """The rows that hold what is searched for."""
        wanted = self.wanted.casefold()
        return [y for y, row in enumerate(self._rowed) if wanted in row.casefold()] if wanted else []

    def filter(self, *, only_trouble: bool) -> None:
        """Show warnings and errors alone, or all lines."""
        self.only_trouble = only_trouble
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
            widest = max((cell_len(row) for row in self._rowed), default=0)
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
        return max(0, len(self._rowed) - self.size.height)

    def _lay(self) -> None:
        self._was_trouble = False
        self._rowed = self._passing(self._lines)
        self._top = min(self._top, self._end)
        self._draw()

    def _passing(self, lines: Sequence[str] | deque[str]) -> list[str]:
        found: list[str] = []
        for line in lines:
            self._was_trouble = bool(trouble.search(line)) or (self._was_trouble and line[:1].isspace())
            if self.only_trouble and not self._was_trouble:
                continue
            width = max(1, self.size.width)
            if self.wraps and len(line) > width:
                found += [line[start : start + width] for start in range(0, len(line), width)]
            else:
                found.append(line)
        return found

    def _draw(self, *, keep: bool = False) -> None:
        if not self.is_mounted or not self.size.area:
            return
        if self.follows:
            self._top = self._end
        elif not keep:
            self._top = min(self._top, self._end)
        shown = self._rowed[self._top : self._top + self.size.height]
        self.put([self._row(line) for line in shown] + [Strip.blank(self.size.width)] * (self.size.height - len(shown)))
        self.post_message(self.Moved())

    def _row(self, line: str) -> Strip:
        text = Text(line, no_wrap=True)
        if trouble.search(line):
            text.stylize(palette.style(self.app, "warning"))
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
        Binding("w", "filter", "warnings", id="log-level", tooltip="Warnings and errors alone, or all lines"),
        Binding("r", "wrap", "wrap", id="log-wrap", tooltip="Break long lines, or cut them"),
        Binding("enter", "full", "full", id="log-full", tooltip="The log alone, or the charts again"),
    ]

    class Full(Message):
        """The log wants the whole screen, or gives it back."""

    def compose(self) -> ComposeResult:
        """Build the three parts."""
        yield Line()
        yield LogView()
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
        parts = [f"{view.count:,} lines" if view.count else "nothing printed yet"]
        parts.append("following" if view.follows else "held, f follows")
        if view.only_trouble:
            parts.append("warnings and errors only")
        if view.dropped:
            parts.append(f"{view.dropped:,} older ones in the file, v opens it")
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
        """Show warnings and errors alone, or all."""
        self.view.filter(only_trouble=not self.view.only_trouble)

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

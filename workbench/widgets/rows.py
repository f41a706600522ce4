"""Rows of text of which only the cells that changed are sent.

Textual repaints a dirty widget whole. Here the rows are kept; new ones are compared with them, and only the cells
between the first and the last difference of a row are marked dirty.
"""

from collections.abc import Iterator

from rich.style import Style
from rich.text import Text
from textual.events import Resize
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget


class Sized(Widget):
    """A widget that hears of every change of its size.

    The toolkit compares two layouts, and takes the new one for the old one where a widget that was never shown before
    appears meanwhile: those beside it then change without a word.
    """

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        is_other = size != self._size
        told = super()._size_updated(size, virtual_size, container_size, layout)
        if is_other:
            self.post_message(Resize(size, virtual_size, container_size))
        return told


class Rows(Sized):
    """A widget that is a list of rows."""

    def __init__(self, *, identity: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=identity, classes=classes)
        self._rows: list[Strip] = []

    def put(self, rows: list[Strip]) -> None:
        """Show other rows; nothing is sent for what stays as it was."""
        before, self._rows = self._rows, rows
        if len(before) != len(rows):
            self.refresh()
            return
        regions = []
        for y, (old, new) in enumerate(zip(before, rows, strict=True)):
            start, end = difference(old, new)
            if start < end:
                regions.append(Region(start, y, end - start, 1))
        if regions:
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        """Give one row."""
        width, style = self.size.width, self.rich_style
        if y < len(self._rows):
            return self._rows[y].apply_style(style).adjust_cell_length(width, style)
        return Strip.blank(width, style)

    def strip_of(self, text: Text) -> Strip:
        """Make a row of a text, as wide as the widget."""
        text.truncate(max(1, self.size.width), overflow="ellipsis")
        return Strip(text.render(self.app.console, end="")).adjust_cell_length(self.size.width)

    def plain_text(self) -> str:
        """Give the rows as they stand, without colour."""
        return "\n".join(row.text.rstrip() for row in self._rows)


class Line(Rows):
    """One row of text."""

    DEFAULT_CSS = "Line { height: 1; width: 1fr; }"

    def __init__(self, *, identity: str | None = None, classes: str | None = None) -> None:
        super().__init__(identity=identity, classes=classes)
        self._text = Text()

    def show(self, text: Text) -> None:
        """Write another text; what does not fit is cut off."""
        self._text = text
        if self.is_mounted and self.size.width:
            self.put([self.strip_of(text.copy())])

    def on_resize(self) -> None:
        """Cut the text at the new width."""
        self.show(self._text)

    def on_show(self) -> None:
        """Write what was given while the line was hidden."""
        self.show(self._text)


def difference(old: Strip, new: Strip) -> tuple[int, int]:
    """Tell between which cells two rows differ: the first, and the one after the last; equal where they do not."""
    if old is new or old == new:
        return 0, 0
    before, after = list(_cells(old)), list(_cells(new))
    if len(before) != old.cell_length or len(after) != new.cell_length or len(before) != len(after):
        # A letter that takes two cells shifts what follows.
        return (0, 0) if old == new else (0, max(old.cell_length, new.cell_length))
    places = [place for place, (a, b) in enumerate(zip(before, after, strict=True)) if a != b and not _blank(a, b)]
    return (places[0], places[-1] + 1) if places else (0, 0)


def _cells(strip: Strip) -> Iterator[tuple[str, Style | None]]:
    return ((letter, segment.style) for segment in strip for letter in segment.text)


def _blank(one: tuple[str, Style | None], other: tuple[str, Style | None]) -> bool:
    """Tell whether two cells look the same whatever the colour of their letters would be."""
    if one[0] != " " or other[0] != " ":
        return False
    first, second = one[1] or Style.null(), other[1] or Style.null()
    grounds = (first.bgcolor, first.reverse, first.underline), (second.bgcolor, second.reverse, second.underline)
    return grounds[0] == grounds[1]

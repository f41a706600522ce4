"""A plot that sends only the cells that changed: a curve that grows by a point costs some bytes, not kilobytes."""

import math
from collections.abc import Sequence

from msgspec import Struct
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from workbench.settings import Marker
from workbench.widgets import palette
from workbench.widgets.canvas import Canvas, strip
from workbench.widgets.rows import Rows

BLANKS = " \u2800"
"""What shows nothing: the space and the braille sign without dots."""


class Series(Struct, frozen=True, kw_only=True):
    """One curve or one cloud of points."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    color: str
    """A colour of the theme by its variable's name (``primary``), or one of the shades ``dim`` and ``rule``."""
    is_line: bool = True
    """Join the points."""
    marker: str = ""
    """One letter for each point, which are not joined then; empty for the chart's own."""


class Picture(Struct, frozen=True, kw_only=True):
    """Everything that a chart draws; equal pictures are drawn once."""

    series: tuple[Series, ...] = ()
    x_limits: tuple[float, float] = (0.0, 1.0)
    y_limits: tuple[float, float] = (0.0, 1.0)
    x_ticks: tuple[tuple[float, str], ...] = ()
    y_ticks: tuple[tuple[float, str], ...] = ()
    spans: tuple[tuple[float, float, tuple[str, ...]], ...] = ()
    """Names below the x axis, each between two places; of its texts, longest first, the first that fits is written."""
    verticals: tuple[float, ...] = ()
    """Where thin vertical lines stand."""
    is_cut: bool = False
    """Values lie below or above it."""
    empty: str = ""
    """What to say instead of drawing; empty to draw."""


class Chart(Rows):
    """Draws a picture."""

    DEFAULT_CSS = """
    Chart { width: 1fr; height: 1fr; }
    """

    class Resized(Message):
        """The chart has another size: what it draws may be thinned to it."""

    def __init__(self, *, marker: Marker = "braille", identity: str | None = None) -> None:
        super().__init__(identity=identity)
        self._marker = marker
        self._picture = Picture(empty="-")
        self._hairline: int | None = None
        self._drawn: tuple[Picture, Size, str] | None = None
        self._cells: tuple[tuple[float, float], tuple[float, float], int, int] | None = None
        self._canvas: Region | None = None
        self._inked: tuple[dict[str, Style], list[list[tuple[str, str]]], list[Strip]] = ({}, [], [])
        """Styles, cells and strips that were drawn last."""

    def show(self, picture: Picture) -> None:
        """Draw another picture; nothing is sent where it equals the present one."""
        self._picture = picture
        if self.is_mounted and self.size.area:
            self._draw()

    def on_resize(self) -> None:
        """Draw at the new size."""
        self._draw()
        self.post_message(self.Resized())

    def on_show(self) -> None:
        """Draw what was given while the chart was hidden."""
        self._draw()

    def on_mount(self) -> None:
        """Draw again in the colours of another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._draw())

    def use(self, marker: Marker) -> None:
        """Draw with another marker from now on."""
        if self._marker != marker:
            self._marker = marker
            self._drawn = None
            self.show(self._picture)

    def point_at(self, x: float | None) -> None:
        """Stand a hairline at a place of the x axis, or take it away; only its column is sent."""
        cell = None if x is None or self._cells is None else self.cell_of(x, self._cells[1][0])
        self._stand(None if cell is None else cell[0])

    def _stand(self, column: int | None) -> None:
        before, self._hairline = self._hairline, column
        if before != column and self._canvas is not None:
            left, top, _, height = self._canvas
            self.refresh(*(Region(left + c, top, 1, height) for c in (before, column) if c is not None))

    def render_line(self, y: int) -> Strip:
        """Give one row, with its cell of the hairline."""
        row = super().render_line(y)
        if self._hairline is None or self._canvas is None or not self._canvas.y <= y < self._canvas.bottom:
            return row
        cell = self._canvas.x + self._hairline
        before, at, after = row.crop(0, cell), row.crop(cell, cell + 1), row.crop(cell + 1)
        style = palette.style(self.app, "primary", reverse=bool(at.text.strip(BLANKS)))
        return Strip.join([before, Strip([Segment(at.text.strip(BLANKS) or "│", style)]), after])

    def cell_of(self, x: float, y: float) -> tuple[int, int] | None:
        """Tell in which column and row of the canvas a point lies; None outside of it or before it was drawn."""
        if self._cells is None or not (math.isfinite(x) and math.isfinite(y)):
            return None
        (x_low, x_high), (y_low, y_high), columns, rows = self._cells
        if not (x_low <= x <= x_high and y_low <= y <= y_high):
            return None
        return _place(x, x_low, x_high, columns), _place(y, y_low, y_high, rows)

    def point_of(self, column: float, row: float) -> tuple[float, float] | None:
        """Tell which point lies in the middle of a cell of the canvas: the inverse of ``cell_of``.

        Args:
            column: from the left edge of the canvas, from 0.
            row: from the bottom of the canvas, from 0.

        Returns:
            x and y; None outside of the canvas or before it was drawn.
        """
        if self._cells is None:
            return None
        (x_low, x_high), (y_low, y_high), columns, rows = self._cells
        if not (0 <= column < columns and 0 <= row < rows):
            return None
        x = x_low + column / max(1, columns - 1) * (x_high - x_low)
        return x, y_low + row / max(1, rows - 1) * (y_high - y_low)

    @property
    def canvas(self) -> Region | None:
        """Where points are drawn, within the widget; its rows count from the top. None before it was drawn."""
        return self._canvas

    def _draw(self) -> None:
        wanted = (self._picture, self.size, self.app.theme)
        if self._drawn == wanted or not self.size.area:
            return
        self._drawn = wanted
        canvas = self._canvas
        rows = self._message() if self._picture.empty else self._plotted()
        if self._hairline is not None and canvas != self._canvas:
            self._hairline = None
            self.refresh()
        self.put(rows)

    def _message(self) -> list[Strip]:
        width, height = self.size
        self._cells = self._canvas = None
        lines = Text(self._picture.empty, style=palette.style(self.app, "dim"), justify="center")
        wrapped = lines.wrap(self.app.console, width)
        above = max(0, (height - len(wrapped)) // 2)
        body = [Strip(line.render(self.app.console, end="")) for line in wrapped]
        return ([Strip.blank(width)] * above + body + [Strip.blank(width)] * height)[:height]

    def _plotted(self) -> list[Strip]:
        picture, (width, height) = self._picture, self.size
        x_ticks = [*picture.x_ticks, *_fitting(picture, width)]
        left = 1 + max((len(text) for _, text in picture.y_ticks), default=0)
        below = 2 if x_ticks else 1
        canvas = Canvas(width - left, height - below, self._marker)
        self._cells = (picture.x_limits, picture.y_limits, canvas.columns, canvas.rows)
        self._canvas = Region(left, 0, canvas.columns, canvas.rows)
        walls = {_place(x, *picture.x_limits, canvas.columns) for x in picture.verticals}
        for column in walls:
            canvas.vertical(column, "rule")
        for series in picture.series:
            self._add(canvas, series)
        places = [(_place(x, *picture.x_limits, canvas.columns), text) for x, text in x_ticks]
        names = {"", "foreground", "rule", *(series.color for series in picture.series)}
        styles = {name: palette.style(self.app, name or "foreground") for name in names}
        rows = [*self._body(canvas, left), _axis_row(canvas.columns, left, walls, {place for place, _ in places})]
        if x_ticks:
            label_row = _label_row([(left + place, text) for place, text in places], width)
            rows.append([(letter, "") for letter in label_row])
        return self._written(rows[:height], styles)

    def _written(self, rows: list[list[tuple[str, str]]], styles: dict[str, Style]) -> list[Strip]:
        """Turn cells into strips; a row that was drawn before stays the same object."""
        before, self._inked = self._inked, (styles, rows, [])
        for place, row in enumerate(rows):
            is_same = before[0] == styles and place < len(before[1]) and before[1][place] == row
            self._inked[2].append(before[2][place] if is_same else strip(row, styles))
        return [*self._inked[2]]

    def _body(self, canvas: Canvas, left: int) -> list[list[tuple[str, str]]]:
        labels = {_place(y, *self._picture.y_limits, canvas.rows): text for y, text in self._picture.y_ticks}
        found = []
        for row in reversed(range(canvas.rows)):
            label = f"{labels[row]:>{left - 1}}┤" if row in labels else f"{'':{left - 1}}│"
            found.append([*((letter, "") for letter in label), *canvas.cells(row)])
        return found

    def _add(self, canvas: Canvas, series: Series) -> None:
        shares = _shares(series, self._picture)
        if series.is_line:
            for piece in _pieces(shares):
                canvas.line(piece, series.color)
            return
        seen = [(x, y) for x, y in shares if 0.0 <= x <= 1.0 and 0.0 <= y <= 1.0]
        if not series.marker:
            canvas.line(seen, series.color, joined=False)
            return
        for x, y in seen:
            column, row = _place(x, 0.0, 1.0, canvas.columns), _place(y, 0.0, 1.0, canvas.rows)
            canvas.letter(column, row, series.marker, series.color)


def _axis_row(columns: int, left: int, walls: set[int], ticks: set[int]) -> list[tuple[str, str]]:
    signs = ["┴" if place in walls else "┬" if place in ticks else "─" for place in range(columns)]
    return [(letter, "") for letter in " " * (left - 1) + "└" + "".join(signs)]


def _place(value: float, low: float, high: float, cells: int) -> int:
    """Tell in which of so many cells a value lies: the first one holds the low limit, the last one the high one."""
    return math.floor(round(0.5 + (cells - 1) * (value - low) / (high - low), 8)) if high > low else 0


def _label_row(centres: Sequence[tuple[int, str]], width: int) -> str:
    """Write labels under their ticks; one that would touch the label before it is left out."""
    row = ""
    for centre, text in centres:
        start = max(0, min(centre - len(text) // 2, width - len(text)))
        if len(row) < start or not row:
            row = row.ljust(start) + text
    return row.ljust(width)


def _fitting(picture: Picture, width: int) -> list[tuple[float, str]]:
    low, high = picture.x_limits
    columns = width - 1 - max((len(text) for _, text in picture.y_ticks), default=0)
    found = []
    for start, end, texts in picture.spans:
        room = int((end - start) / (high - low) * columns) - 1
        text = next((text for text in texts if len(text) <= room), None)
        if text is not None:
            found.append(((start + end) / 2, text))
    return found


def _shares(series: Series, picture: Picture) -> list[tuple[float, float]]:
    """Give each point in shares of the axes: what is seen lies between 0 and 1."""
    (x_low, x_high), (y_low, y_high) = picture.x_limits, picture.y_limits
    x_span, y_span = (x_high - x_low) or 1.0, (y_high - y_low) or 1.0
    return [
        # Rounded, or what lies on a limit might come out beyond it.
        (round((x - x_low) / x_span, 9), round((y - y_low) / y_span, 9))
        for x, y in zip(series.xs, series.ys, strict=True)
    ]


def _pieces(shares: Sequence[tuple[float, float]]) -> list[list[tuple[float, float]]]:
    """Join points to lines, split where there are gaps; a line that leaves the picture ends at its border."""
    pieces: list[list[tuple[float, float]]] = []
    before: tuple[float, float] | None = None
    for here in shares:
        if not (math.isfinite(here[0]) and math.isfinite(here[1])):
            before = None
            continue
        seen = _seen(before or here, here)
        if seen is not None:
            start, end = seen
            if before is None or not pieces or pieces[-1][-1] != start:
                pieces.append([start])
            pieces[-1].append(end)
        before = here
    return pieces


def _seen(
    start: tuple[float, float], end: tuple[float, float]
) -> tuple[tuple[float, float], tuple[float, float]] | None:
    """Cut a line to what lies between 0 and 1 along both axes; None where nothing does."""
    if 0.0 <= start[0] <= 1.0 and 0.0 <= start[1] <= 1.0 and 0.0 <= end[0] <= 1.0 and 0.0 <= end[1] <= 1.0:
        # Nearly all of them.
        return start, end
    first, last = 0.0, 1.0
    way = end[0] - start[0], end[1] - start[1]
    for at, by in zip(start, way, strict=True):
        if by == 0.0 or not math.isfinite(by):
            if by or not 0.0 <= at <= 1.0:
                return None
            continue
        near, far = sorted((-at / by, (1.0 - at) / by))
        first, last = max(first, near), min(last, far)
    if first > last:
        return None
    cut = [(start[0] + share * way[0], start[1] + share * way[1]) for share in (first, last)]
    return start if first == 0.0 else cut[0], end if last == 1.0 else cut[1]

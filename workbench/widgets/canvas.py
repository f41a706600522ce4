"""Draws lines and letters into terminal cells: several dots a cell where the font has signs for them.

Two curves in one cell would need two colours, which a cell does not have: the one that is drawn last takes it whole.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from workbench.settings import Marker

DOTS: dict[Marker, tuple[int, int]] = {"braille": (2, 4), "block": (2, 2), "ascii": (1, 1)}
"""Dots of a cell: beside and above each other."""
_braille = ((0x40, 0x04, 0x02, 0x01), (0x80, 0x20, 0x10, 0x08))
"""Bit of each dot: of the left and of the right column, from the bottom."""
_quarters = " ▖▘▌▗▄▚▙▝▞▀▛▐▟▜█"
"""By the bits: lower left, upper left, lower right, upper right."""


class Canvas:
    """A field of cells; columns count from the left, rows from the bottom."""

    def __init__(self, columns: int, rows: int, marker: Marker) -> None:
        self.columns = max(1, columns)
        self.rows = max(1, rows)
        self._marker = marker
        self._wide, self._high = DOTS[marker]
        self._bits: dict[tuple[int, int], int] = {}
        self._letters: dict[tuple[int, int], str] = {}
        self._colors: dict[tuple[int, int], str] = {}

    def vertical(self, column: int, color: str) -> None:
        """Draw a line from the bottom to the top."""
        for row in range(self.rows):
            self.letter(column, row, "│" if self._marker != "ascii" else "|", color)

    def letter(self, column: int, row: int, letter: str, color: str) -> None:
        """Put one letter into a cell."""
        cell = column, row
        self._letters[cell], self._colors[cell] = letter, color
        self._bits.pop(cell, None)

    def line(self, points: Sequence[tuple[float, float]], color: str, *, joined: bool = True) -> None:
        """Draw points, given from 0 to 1 along both axes, and join them."""
        across, up = self.columns * self._wide - 1, self.rows * self._high - 1
        # A cell has its dots beside each other: a point lies in the cell that a letter at its place would take.
        dots = [(math.floor(x * across + 0.5), math.floor(y * up + 0.5)) for x, y in points]
        touched: set[tuple[int, int]] = set()
        for place, (x, y) in enumerate(dots):
            before = dots[place - 1] if joined and place else (x, y)
            for dot in _between(before, (x, y)):
                self._dot(dot, color, touched)

    def _dot(self, dot: tuple[int, int], color: str, touched: set[tuple[int, int]]) -> None:
        (column, x), (row, y) = divmod(dot[0], self._wide), divmod(dot[1], self._high)
        cell = column, row
        if cell not in touched:
            touched.add(cell)
            if self._colors.get(cell) != color:
                self._bits[cell] = 0
            self._letters.pop(cell, None)
            self._colors[cell] = color
        bit = _braille[x][y] if self._marker == "braille" else 1 << (self._high * x + y)
        self._bits[cell] = self._bits.get(cell, 0) | bit

    def _sign(self, cell: tuple[int, int]) -> str:
        if cell in self._letters:
            return self._letters[cell]
        bits = self._bits.get(cell, 0)
        if not bits:
            return " "
        if self._marker == "braille":
            return chr(0x2800 + bits)
        return _quarters[bits] if self._marker == "block" else "*"

    def cells(self, row: int) -> list[tuple[str, str]]:
        """Give the signs of a row with the names of their colours."""
        return [(self._sign((column, row)), self._colors.get((column, row), "")) for column in range(self.columns)]


def strip(cells: Iterable[tuple[str, str]], styles: Mapping[str, Style]) -> Strip:
    """Join cells to a row: a blank takes the style of what stands before it, so that there are few pieces.

    Args:
        cells: signs and names of colours.
        styles: what the colours mean.
    """
    pieces: list[tuple[list[str], str]] = []
    for sign, color in cells:
        if pieces and (sign == " " or pieces[-1][1] == color):
            pieces[-1][0].append(sign)
        else:
            pieces.append(([sign], color))
    return Strip([Segment("".join(signs), styles[color]) for signs, color in pieces])


def _between(start: tuple[int, int], end: tuple[int, int]) -> Iterable[tuple[int, int]]:
    """List the dots from one to another, without the first unless they are the same."""
    (x, y), (dx, dy) = start, (end[0] - start[0], end[1] - start[1])
    steps = max(abs(dx), abs(dy))
    if not steps:
        return [end]
    return [(x + _nearest(dx * step, steps), y + _nearest(dy * step, steps)) for step in range(1, steps + 1)]


def _nearest(value: int, by: int) -> int:
    return (2 * value + by) // (2 * by)

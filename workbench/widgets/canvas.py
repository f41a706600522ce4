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
        """By column and row."""
        self._rows: list[dict[int, tuple[str, str]]] = [{} for _ in range(self.rows)]
        """By row and column: signs with the names of their colours."""

    def vertical(self, column: int, color: str) -> None:
        """Draw a line from the bottom to the top."""
        for row in range(self.rows):
            self.letter(column, row, "│" if self._marker != "ascii" else "|", color)

    def letter(self, column: int, row: int, letter: str, color: str) -> None:
        """Put one letter into a cell."""
        if 0 <= row < self.rows and 0 <= column < self.columns:
            self._rows[row][column] = letter, color
            self._bits.pop((column, row), None)

    def line(self, points: Sequence[tuple[float, float]], color: str, *, joined: bool = True) -> None:
        """Draw points, given from 0 to 1 along both axes, and join them."""
        across, up = self.columns * self._wide - 1, self.rows * self._high - 1
        # A cell has its dots beside each other: a point lies in the cell that a letter at its place would take.
        dots = [(math.floor(x * across + 0.5), math.floor(y * up + 0.5)) for x, y in points]
        found: dict[tuple[int, int], int] = {}
        before = None
        for dot in dots:
            for x, y in _between(before, dot) if joined and before is not None else (dot,):
                (column, x), (row, y) = divmod(x, self._wide), divmod(y, self._high)
                bit = _braille[x][y] if self._marker == "braille" else 1 << (self._high * x + y)
                found[column, row] = found.get((column, row), 0) | bit
            before = dot
        for cell, bits in found.items():
            self._put(cell, bits, color)

    def _put(self, cell: tuple[int, int], bits: int, color: str) -> None:
        column, row = cell
        if not (0 <= row < self.rows and 0 <= column < self.columns):
            return
        if self._rows[row].get(column, ("", ""))[1] == color:
            bits |= self._bits.get(cell, 0)
        self._bits[cell] = bits
        self._rows[row][column] = self._sign(bits), color

    def _sign(self, bits: int) -> str:
        if self._marker == "braille":
            return chr(0x2800 + bits)
        return _quarters[bits] if self._marker == "block" else "*"

    def cells(self, row: int) -> list[tuple[str, str]]:
        """Give the signs of a row with the names of their colours."""
        found = [(" ", "")] * self.columns
        for column, cell in self._rows[row].items():
            found[column] = cell
        return found


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

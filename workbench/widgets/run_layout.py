"""Which columns the table of runs has, how wide each is, and how a line is written into them."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.app import App

from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from workbench.columns import Column, columns
from workbench.shelf import Group
from workbench.widgets import palette, words

GUTTER = 3
"""Cells in front of the first column: cursor, mark, pin."""
SHORTEST_NAME = 12
"""Cells that a name of a run gets at least, however many columns there are."""
WIDE = 110
"""From this width on the state has room for a bar, and columns stand two cells apart."""
WIDE_STATE = 26


class GroupLine(Struct, frozen=True, kw_only=True):
    """The line above the runs of a group."""

    group: Group
    is_open: bool
    """Its runs stand below it."""


Line = Row | GroupLine


class Layout(Struct, frozen=True, kw_only=True):
    """Columns that fit, each with its place."""

    columns: tuple[Column, ...]
    widths: tuple[int, ...]
    """Cells of each."""
    gap: int
    """Cells between two."""
    dropped: tuple[Column, ...]
    """Those that do not fit, in their order."""

    def at(self, x: int) -> Column | None:
        """Find the column below a cell; None in front of the first and behind the last."""
        start = GUTTER
        for column, width in zip(self.columns, self.widths, strict=True):
            if start <= x < start + width + self.gap:
                return column
            start += width + self.gap
        return None


def layout(keys: Sequence[str], width: int, longest_name: int) -> Layout:
    """Share a width out: columns are dropped from the right until the names have room.

    Args:
        keys: of the columns that a person wants; the name of the run comes first in any case.
        width: of the table in cells.
        longest_name: cells of the longest name of a run.
    """
    wanted = [columns["run"], *(columns[key] for key in dict.fromkeys(keys) if key in columns and key != "run")]
    gap = 2 if width >= WIDE else 1
    name = max(SHORTEST_NAME, longest_name)
    least = min(name, 28 if width >= WIDE else 20)
    kept = list(wanted)
    while len(kept) > 1 and _room(kept, width, gap) < least:
        kept.pop()
    name = max(1, min(name, _room(kept, width, gap)))
    widths = tuple(_width(column, width) or name for column in kept)
    return Layout(columns=tuple(kept), widths=widths, gap=gap, dropped=tuple(wanted[len(kept) :]))


def _width(column: Column, width: int) -> int:
    return WIDE_STATE if column.key == "state" and width >= WIDE else column.width


def _room(kept: Sequence[Column], width: int, gap: int) -> int:
    return width - GUTTER - sum(_width(column, width) + gap for column in kept if column.width)


class Pen:
    """Writes lines in the colours of a theme."""

    def __init__(self, app: App[object]) -> None:
        self._app = app
        self._styles: dict[str, Style] = {}

    def style(self, name: str) -> Style:
        """Give the style of a colour's name (see ``palette``), looked up once."""
        if name not in self._styles:
            found = Style(bold=True) if name == "bold" else palette.style(self._app, name)
            self._styles[name] = found
        return self._styles[name]

    def header(self, of: Layout, order: str, *, is_reversed: bool) -> list[Segment]:
        """Write the titles; an arrow stands beside the column that is sorted by."""
        arrow = "↓" if is_reversed else "↑"
        found = [Segment(" " * GUTTER)]
        for column, width in zip(of.columns, of.widths, strict=True):
            title, is_sorted = column.title, column.key == order
            if is_sorted:
                title = f"{title}{arrow}" if cell_len(title) < width else f"{title[: width - 1]}{arrow}"
            style = self.style("bold" if is_sorted else "dim")
            found += [Segment(_fitted(title, width, right=column.is_number), style), Segment(" " * of.gap)]
        return found

    def row(self, row: Row, of: Layout, *, is_marked: bool, is_cursor: bool) -> list[Segment]:
        """Write a run."""
        plain = self.style("dim" if row.problem or row.status in _sad else "")
        mark = f"{'>' if is_cursor else ' '}{'*' if is_marked else ' '}{'^' if row.pinned else ' '}"
        found = [Segment(mark, self.style("primary"))]
        for column, width in zip(of.columns, of.widths, strict=True):
            text = state_words(row, width) if column.key == "state" else column.text(row)
            style = self.style(words.status_color(row)) if column.key == "state" else plain
            found += [Segment(_fitted(text, width, right=column.is_number), style), Segment(" " * of.gap)]
        return found

    def group(self, line: GroupLine, of: Layout, key: Literal[""] | str, *, is_cursor: bool) -> list[Segment]:
        """Write a group: what its runs share, how many they are, the best top-1 below its column."""
        group, width = line.group, GUTTER + sum(of.widths) + of.gap * len(of.widths)
        count = f"{len(group.rows):,} run{'s' * (len(group.rows) != 1)}"
        name = words.cut(group.name, max(8, width - 40))
        text = f"{'>' if is_cursor else ' '}{'▾' if line.is_open else '▸'} {name}"
        found = [Segment(text, self.style("bold")), Segment(f"   {columns[key].title}, {count}", self.style("dim"))]
        if group.best_top1 is not None:
            found.append(Segment(f", best top1 {group.best_top1:.1f} %", self.style("dim")))
        return found


_sad = (Status.FAILED, Status.LOST, Status.STOPPED)


def state_words(row: Row, width: int) -> str:
    """Say where a run is as far as there is room: at work with a bar, ended early with the place."""
    text = words.status_words(row)
    if row.stopping is not None:
        # The glyph says that it is at work, which the words say as well.
        return text if cell_len(text) <= width else text.partition(" ")[2]
    if row.problem or row.index is None or row.index >= len(row.steps):
        return text
    step = row.steps[row.index]
    if row.status is Status.RUNNING and not row.activity:
        room = width - cell_len(text) - 1
        return f"{text} {words.bar(step.progress, room)}" if room >= 5 else text
    if row.status in _sad:
        placed = f"{text} at {words.step_words(step)}"
        return placed if cell_len(placed) <= width else text
    return text


def _fitted(text: str, width: int, *, right: bool) -> str:
    text = words.clean(text)
    size = cell_len(text)
    if size > width:
        return set_cell_size(words.cut(text, width), width)
    return " " * (width - size) + text if right else text + " " * (width - size)

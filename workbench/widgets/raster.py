"""A scene of the frontier in the cells of a terminal: the same on the screen and in a text file.

Thousands of points share cells, labels stand among them and intervals have ends.
"""

import math
from collections.abc import Callable, Iterable

from msgspec import Struct

from workbench.settings import Marker
from workbench.widgets import scatter, words
from workbench.widgets.scatter import Axis, Point, Rate, Scene
from workbench.widgets.ticks import linear_ticks, log_ticks, nice_limits

Ticks = tuple[tuple[float, str], ...]
Pen = Callable[[int, int, str, str], None]
"""Puts a letter of a colour into a column and a row of the canvas, rows counted from the bottom."""


class Glyphs(Struct, frozen=True, kw_only=True):
    """What things are drawn with."""

    front: str = "⋄◇◆"
    dominated: str = ".oO"
    baseline: str = "x"
    selected: str = "◉"
    marked: str = "*"
    flat: str = "─"
    upright: str = "│"
    corners: str = "┘┐┌└"
    """Of the stairs: from the left and up, from the left and down, up and to the right, down and to the right."""
    ends: str = "├┤┬┴"
    """Of intervals: left, right, upper, lower."""
    iso: str = "·"
    frame: str = "│┤└┬─"


plain = Glyphs(front="%&#", selected="@", flat="-", upright="|", corners="++++", ends="[]-_", iso=":", frame="|+++-")


boxes = Glyphs(front=plain.front, selected=plain.selected, iso=plain.iso)
"""Where only lines and blocks are beside letters."""


def glyphs(marker: Marker) -> Glyphs:
    """Give the letters for a terminal."""
    return {"ascii": plain, "block": boxes}.get(marker, Glyphs())


class Look(Struct, frozen=True, kw_only=True):
    """What a person chose of how the scene is shown."""

    selected: str | None = None
    """Id of the selected run."""
    marked: frozenset[str] = frozenset()
    has_bars: bool = True
    """Draw the intervals of the selected run and of the front."""
    rate: Rate | None = None
    """Draw the line of equal worth through the selected run."""
    marker: Marker = "braille"

    def barred(self, scene: Scene) -> list[Point]:
        """List the points whose intervals are drawn, the selected one last."""
        chosen = scene.point(self.selected)
        return [*scene.front_points(), *([chosen] if chosen else [])] if self.has_bars else []

    def line(self, scene: Scene, limits: tuple[float, float], count: int) -> list[tuple[float, float]]:
        """Give the line of equal worth (``Rate.drawn``); empty where none is drawn."""
        chosen = scene.point(self.selected)
        return self.rate.drawn(scene, chosen, limits, count) if self.rate is not None and chosen else []


class Frame(Struct, frozen=True, kw_only=True):
    """The axes: limits and ticks as places (see ``Axis.place``)."""

    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    x_ticks: Ticks
    y_ticks: Ticks


class Raster(Struct, frozen=True, kw_only=True):
    """A drawing."""

    rows: tuple[tuple[tuple[str, str], ...], ...]
    """From above; each a series of texts with the name of their colour."""
    frame: Frame
    left: int
    """Columns left of the canvas."""
    columns: int
    """Of the canvas, which begins in the first row."""
    lines: int
    """Rows of the canvas."""

    @property
    def text(self) -> str:
        """Without colours."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self.rows)


def frame(scene: Scene, *, x_most: int, y_most: int) -> Frame:
    """Choose limits and ticks on round numbers.

    Args:
        scene: what has to fit.
        x_most: ticks of the x axis at most.
        y_most: ticks of the y axis at most.
    """
    everything = (*scene.points, *scene.baselines)
    (x_limits, x_ticks), (y_limits, y_ticks) = (
        _scale(axis, [axis.place(value) for value in values], most)
        for axis, values, most in (
            (scene.x, [p.x for p in everything], x_most),
            (scene.y, [p.y for p in everything], y_most),
        )
    )
    return Frame(x_limits=x_limits, y_limits=y_limits, x_ticks=x_ticks, y_ticks=y_ticks)


def _scale(axis: Axis, places: list[float], most: int) -> tuple[tuple[float, float], Ticks]:
    if not axis.is_log:
        limits = nice_limits(places, least=1.0 if axis.key in scatter.in_points else 0.0)
        return limits, linear_ticks(*limits, most=most)
    low, high = min(places), max(places)
    margin = max(0.02, 0.04 * (high - low))
    # On a grid, so that a new point inside leaves the axis where it is.
    limits = (math.floor((low - margin) * 50) / 50, math.ceil((high + margin) * 50) / 50)
    return limits, log_ticks(*limits, most=most)


def draw(scene: Scene, look: Look, width: int, height: int) -> Raster:
    """Draw a scene that has points into so many columns and rows."""
    lines = max(2, height - 2)
    made = frame(scene, x_most=max(3, width // 9), y_most=max(2, min(8, lines // 2)))
    left = max((len(text) for _, text in made.y_ticks), default=0) + 1
    columns = max(2, width - left)
    cells: list[list[tuple[str, str]]] = [[(" ", "")] * columns for _ in range(lines)]

    def pen(column: int, line: int, letter: str, color: str) -> None:
        if 0 <= column < columns and 0 <= line < lines:
            cells[lines - 1 - line][column] = letter, color

    canvas = _Canvas(scene, look, made, columns, lines, pen)
    canvas.draw()
    rows = _rows(cells, made, glyphs(look.marker), left, width)
    return Raster(rows=rows, frame=made, left=left, columns=columns, lines=lines)


def place(value: float, limits: tuple[float, float], cells: int) -> int:
    """Give the cell in which a place lies; outside of 0 to ``cells`` - 1 where it is outside of the limits."""
    low, high = limits
    return math.floor(round(0.5 + (cells - 1) * (value - low) / (high - low), 8)) if high > low else 0


class _Canvas:
    """Draws what is unimportant first: later letters replace earlier ones."""

    def __init__(self, scene: Scene, look: Look, made: Frame, columns: int, lines: int, pen: Pen) -> None:
        self.scene, self.look, self.frame, self.pen = scene, look, made, pen
        self.columns, self.lines = columns, lines
        self.glyphs = glyphs(look.marker)
        self.taken: set[tuple[int, int]] = set()

    def draw(self) -> None:
        scene, look = self.scene, self.look
        chosen = scene.point(look.selected)
        front = scene.front_points()
        self._iso()
        self._stairs()
        for point in look.barred(scene):
            self._bars(point, "foreground" if point is chosen else "rule")
        others = (point for point in scene.points if point.row.id not in scene.front)
        self._points(others, self.glyphs.dominated, "dim" if scene.has_front else "primary")
        for point in scene.baselines:
            self._put(point, self.glyphs.baseline, "foreground")
        self._points(front, self.glyphs.front, "primary")
        for point in scene.points:
            if point.row.id in look.marked:
                self._put(point, self.glyphs.marked, "primary" if point.row.id in scene.front else "foreground")
        if chosen is not None:
            self._put(chosen, self.glyphs.selected, "foreground")
        for point, name in scatter.labels(scene):
            self._label(point, words.cut(name, max(12, self.columns // 2)))

    def _column(self, x: float) -> int:
        return place(self.scene.x.place(x), self.frame.x_limits, self.columns)

    def _line(self, y: float) -> int:
        return place(self.scene.y.place(y), self.frame.y_limits, self.lines)

    def _cell(self, point: Point) -> tuple[int, int]:
        return self._column(point.x), self._line(point.y)

    def _put(self, point: Point, letter: str, color: str) -> None:
        cell = self._cell(point)
        self.taken.add(cell)
        self.pen(*cell, letter, color)

    def _points(self, points: Iterable[Point], letters: str, color: str) -> None:
        best: dict[tuple[int, int], int] = {}
        for point in points:
            cell = self._cell(point)
            best[cell] = max(best.get(cell, 0), self.scene.third(point.z))
        for cell, third in best.items():
            self.taken.add(cell)
            self.pen(*cell, letters[third], color)

    def _stairs(self) -> None:
        for one, other, flat_first in scatter.stairs(self.scene):
            (x, y), (x2, y2) = self._cell(one), self._cell(other)
            flat, upright = (y, x2) if flat_first else (y2, x)
            for column in range(x, x2 + 1):
                self.pen(column, flat, self.glyphs.flat, "rule")
            for line in range(min(y, y2), max(y, y2) + 1):
                self.pen(upright, line, self.glyphs.upright, "rule")
            if x != x2 and y != y2:
                corner = (0 if y2 > y else 1) if flat_first else (2 if y2 > y else 3)
                self.pen(upright, flat, self.glyphs.corners[corner], "rule")

    def _bars(self, point: Point, color: str) -> None:
        column, line = self._cell(point)
        left, right, upper, lower = tuple(self.glyphs.ends)
        if (reach := scatter.spread(point, self.scene.y)) is not None:
            bottom, top = self._line(reach[0]), self._line(reach[1])
            for at in range(max(0, bottom), min(self.lines, top + 1)):
                self.pen(column, at, self.glyphs.upright, color)
            # What reaches beyond the canvas has no end on it.
            self.pen(column, top, upper, color)
            self.pen(column, bottom, lower, color)
        if (reach := scatter.spread(point, self.scene.x)) is not None and not math.isnan(self.scene.x.place(reach[0])):
            start, end = self._column(reach[0]), self._column(reach[1])
            for at in range(max(0, start), min(self.columns, end + 1)):
                self.pen(at, line, self.glyphs.flat, color)
            self.pen(start, line, left, color)
            self.pen(end, line, right, color)

    def _iso(self) -> None:
        for x, y in self.look.line(self.scene, self.frame.x_limits, self.columns):
            self.pen(self._column(x), self._line(y), self.glyphs.iso, "series-2")

    def _label(self, point: Point, name: str) -> None:
        """Write the name beside a baseline where nothing stands; nowhere else."""
        column, beside = self._cell(point)
        for line in (beside, beside - 1, beside + 1):
            for start in (column + 2, column - 1 - len(name)):
                cells = [(start + at, line) for at in range(len(name))]
                is_inside = start >= 0 and start + len(name) <= self.columns and 0 <= line < self.lines
                if is_inside and not self.taken.intersection(cells):
                    for (at, _), letter in zip(cells, name, strict=True):
                        self.pen(at, line, letter, "dim")
                    self.taken.update(cells)
                    return


def _rows(
    cells: list[list[tuple[str, str]]], made: Frame, marks: Glyphs, left: int, width: int
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Put the axes around the canvas."""
    upright, notch, corner, tick, flat = tuple(marks.frame)
    columns, lines = len(cells[0]), len(cells)
    labels = {lines - 1 - place(at, made.y_limits, lines): text for at, text in made.y_ticks}
    rows = []
    for number, row in enumerate(cells):
        label = labels.get(number)
        edge = (label or "").rjust(left - 1) + (upright if label is None else notch)
        rows.append(((edge, ""), *_joined(row)))
    stops = [(place(at, made.x_limits, columns), text) for at, text in made.x_ticks]
    at_stops = {column for column, _ in stops}
    ruler = "".join(tick if column in at_stops else flat for column in range(columns))
    rows.append(((" " * (left - 1) + corner + ruler, ""),))
    below = ""
    for column, text in stops:
        start = max(0, min(left + column - len(text) // 2, width - len(text)))
        if len(below) < start or not below:
            below = below.ljust(start) + text
    rows.append(((below.ljust(width), ""),))
    return tuple(rows)


def _joined(row: list[tuple[str, str]]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for letter, color in row:
        if found and (found[-1][1] == color or letter == " "):
            found[-1] = found[-1][0] + letter, found[-1][1]
        else:
            found.append((letter, color))
    return found


def legend(scene: Scene, marker: Marker) -> list[str]:
    """Say what the marks mean, a line each."""
    marks = glyphs(marker)
    others = " ".join(marks.dominated)
    return [
        f"{' '.join(marks.front)} front   {others} dominated" if scene.has_front else f"{others} runs",
        f"(by {scene.z.column.title}, low to high)",
        f"{marks.selected} selected  {marks.marked} marked  {marks.baseline} baseline",
    ]

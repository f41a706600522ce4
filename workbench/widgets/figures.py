"""The frontier as a file: a figure for a paper (SVG, PNG), the plot and its table as text, or the points as data.

The same runs give the same bytes, whenever and wherever they are written.
"""

import csv as csv_writer
import io
from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import msgspec
from msgspec import Struct

from pipeline.errors import ExportError, MissingDependency
from pipeline.runs.rows import Row
from workbench.widgets import raster, scatter, words
from workbench.widgets.raster import Look
from workbench.widgets.scatter import Axis, Point, Scene

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, HEIGHT = 252.0, 198.0
"""Of a figure in points: a column of a two-column paper is 3.5 inches wide."""
FONT = 7.0
"""Size of the letters in points."""
FRONT, INTERVAL, DOMINATED, BASELINE, WORTH = "#1f6f6f", "#8fb7b7", "#9a9a9a", "#000000", "#b5651d"
names = {
    "top1": "Top-1 accuracy (%)",
    "points": "Change of top-1 accuracy (points)",
    "size": "Checkpoint (MiB)",
    "latency": "Latency (ms)",
    "sparsity": "Sparsity (%)",
}
"""What a paper calls the quantities."""
RADII = (1.5, 2.2, 3.0)
"""Of the marks in points, by the third of the quantity behind them."""
DASH = (2.0, 1.5)
"""Of the line of equal worth: points drawn, points left out."""
LINE_POINTS = 100
"""Places of the line of equal worth."""


class Entry(Struct, frozen=True, kw_only=True):
    """A point in a file of data; what is not known is None."""

    id: str
    run: str
    backbone: str
    dataset: str
    stages: str
    """Initials, in order."""
    seed: int
    on_front: bool
    """None beats it in the quantities of the axes."""
    on_front_of_three: bool
    """None beats it in all three quantities."""
    top1: float | None
    """Percent, deployed."""
    top1_low: float | None
    top1_high: float | None
    """The 95 % interval."""
    points: float | None
    """Percentage points above the run's own baseline."""
    points_margin: float | None
    """Half of the 95 % interval of ``points``."""
    p_value: float | None
    size_bytes: int | None
    median_ms: float | None
    p90_ms: float | None
    contended: bool | None
    condition: str | None
    cpu: str | None
    sparsity: float | None
    """Percent of zeros."""


def entries(scene: Scene) -> list[Entry]:
    """List the points from left to right."""
    plain = set(Entry.__struct_fields__) & set(Row.__struct_fields__) - {"stages"}
    return [
        Entry(
            run=point.row.name, stages=point.row.letters, on_front=point.row.id in scene.front,
            on_front_of_three=point.row.id in scene.deep_front, **{name: getattr(point.row, name) for name in plain},
        )
        for point in scene.points
    ]  # fmt: skip


def csv(scene: Scene) -> bytes:
    """Write the points as a table with a header."""
    text = io.StringIO()
    writer = csv_writer.writer(text, lineterminator="\n")
    writer.writerow(Entry.__struct_fields__)
    writer.writerows(msgspec.structs.astuple(entry) for entry in entries(scene))
    return text.getvalue().encode()


def json(scene: Scene) -> bytes:
    """Write the axes and the points as one document."""
    document = {"x": scene.x.key, "y": scene.y.key, "z": scene.z.key, "runs": entries(scene)}
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def table(scene: Scene) -> str:
    """Write the runs of the front from left to right as plain text."""
    axes = list(dict.fromkeys((scene.y, scene.x, scene.z)))
    lines = [f"{'front':32}" + "".join(f"{axis.column.title:>10}" for axis in axes)]
    for point in scene.front_points():
        name = words.cut(f"{point.row.name} {point.row.letters}".strip(), 31)
        lines.append(f"{name:32}" + "".join(f"{axis.column.text(point.row):>10}" for axis in axes))
    return "\n".join(lines)


def text(scene: Scene, look: Look) -> bytes:
    """Write plot, legend and the table of the front as plain text."""
    drawn = raster.draw(scene, look, 78, 24)
    titles = f"{scene.y.title} over {scene.x.title}"
    return "\n".join([titles, drawn.text, *raster.legend(scene, look.marker), "", table(scene), ""]).encode()


def png(scene: Scene, look: Look) -> bytes:
    """Draw the figure as pixels, 300 to an inch.

    Raises:
        MissingDependency: the extra ``figures`` is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingDependency(
            "a PNG needs matplotlib: pip install 'pqd-workbench[figures]', or name the file .svg, which needs nothing."
        ) from None
    figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=300, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    _plot(axes, scene, look)
    content = io.BytesIO()
    # Without the version of the library in it the file is the same on every machine that has the same one.
    figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _plot(axes: "Axes", scene: Scene, look: Look) -> None:
    frame = raster.frame(scene, x_most=6, y_most=6)
    for one, other, flat_first in scatter.stairs(scene):
        corner = (other.x, one.y) if flat_first else (one.x, other.y)
        axes.plot((one.x, corner[0], other.x), (one.y, corner[1], other.y), color=FRONT, linewidth=0.6, zorder=1)
    if line := look.line(scene, frame.x_limits, LINE_POINTS):
        axes.plot(*zip(*line, strict=True), color=WORTH, linewidth=0.6, dashes=DASH, zorder=1)
    for point in look.barred(scene):
        low, high = scatter.spread(point, scene.y) or (point.y, point.y)
        near, far = scatter.spread(point, scene.x) or (point.x, point.x)
        axes.errorbar(
            [point.x], [point.y], xerr=([point.x - near], [far - point.x]), yerr=([point.y - low], [high - point.y]),
            color=INTERVAL, elinewidth=0.5, capsize=1.5, zorder=2,
        )  # fmt: skip
    for point in scene.points:
        size = (2 * RADII[scene.third(point.z)]) ** 2
        is_front = point.row.id in scene.front
        color, mark = _color(scene, is_front=is_front), "D" if is_front else "o"
        axes.scatter([point.x], [point.y], s=size, color=color, marker=mark, linewidths=0, zorder=3)
    for point in scene.baselines:
        axes.scatter([point.x], [point.y], s=14, color=BASELINE, marker="x", linewidths=0.8, zorder=4)
    for point, name in scatter.labels(scene):
        is_left = scene.x.place(point.x) > sum(frame.x_limits) / 2
        axes.annotate(
            name, (point.x, point.y), (-3 if is_left else 3, 3), textcoords="offset points", fontsize=FONT - 1,
            ha="right" if is_left else "left", parse_math=False,
        )  # fmt: skip
    sides = ((scene.x, axes.xaxis, frame.x_limits, frame.x_ticks), (scene.y, axes.yaxis, frame.y_limits, frame.y_ticks))
    for axis, side, limits, ticks in sides:
        values = [10**at if axis.is_log else at for at in (*limits, *(at for at, _ in ticks))]
        is_x = side is axes.xaxis
        (axes.set_xscale if is_x else axes.set_yscale)("log" if axis.is_log else "linear")
        side.set_ticks(values[2:], [text for _, text in ticks])
        side.set_ticks([], minor=True)
        (axes.set_xlim if is_x else axes.set_ylim)(values[0], values[1])
        side.set_label_text(label(axis), fontsize=FONT)
    axes.tick_params(labelsize=FONT, width=0.5, length=2)
    axes.spines[["top", "right"]].set_visible(False)


def _color(scene: Scene, *, is_front: bool) -> str:
    """Dim what is dominated; where there is no front, nothing is."""
    return FRONT if is_front or not scene.has_front else DOMINATED


def label(axis: Axis) -> str:
    """Name an axis in a figure: what it is, and the unit."""
    return names.get(axis.key) or f"{axis.column.help} ({axis.column.title})"


class _Paper:
    """A drawing in SVG, in points; y counts from above."""

    def __init__(self, scene: Scene, look: Look) -> None:
        self.scene, self.look = scene, look
        self.frame = raster.frame(scene, x_most=6, y_most=6)
        self.left, self.right, self.top, self.bottom = 34.0, WIDTH - 6.0, 6.0, HEIGHT - 37.0
        self.parts: list[str] = []

    def x(self, value: float) -> float:
        low, high = self.frame.x_limits
        return self.left + (self.scene.x.place(value) - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.frame.y_limits
        at = self.bottom - (self.scene.y.place(value) - low) / (high - low) * (self.bottom - self.top)
        return min(max(at, self.top), self.bottom)

    def line(self, *ends: tuple[float, float], color: str, width: float = 0.5, more: str = "") -> None:
        points = " ".join(f"{x:.2f},{y:.2f}" for x, y in ends)
        self.parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="{width}"{more}/>')

    def words(self, x: float, y: float, words: str, *, anchor: str = "middle", more: str = "") -> None:
        self.parts.append(f'<text x="{x:.2f}" y="{y:.2f}" text-anchor="{anchor}"{more}>{_clean(words)}</text>')

    def mark(self, x: float, y: float, third: int, *, is_front: bool, name: str = "") -> None:
        radius, title = RADII[third], f"<title>{_clean(name)}</title>" if name else ""
        if is_front:
            r = radius * 1.2
            path = f"M{x:.2f} {y - r:.2f}L{x + r:.2f} {y:.2f}L{x:.2f} {y + r:.2f}L{x - r:.2f} {y:.2f}Z"
            self.parts.append(f'<path d="{path}" fill="{FRONT}">{title}</path>')
        else:
            color = _color(self.scene, is_front=False)
            self.parts.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius}" fill="{color}">{title}</circle>')

    def cross(self, x: float, y: float) -> None:
        self.line((x - 2, y - 2), (x + 2, y + 2), color=BASELINE, width=0.8)
        self.line((x - 2, y + 2), (x + 2, y - 2), color=BASELINE, width=0.8)

    def axes(self) -> None:
        black = BASELINE
        self.line((self.left, self.top), (self.left, self.bottom), (self.right, self.bottom), color=black)
        for at, name in self.frame.x_ticks:
            x = self.x(10**at if self.scene.x.is_log else at)
            self.line((x, self.bottom), (x, self.bottom + 2), color=black)
            self.words(x, self.bottom + 9, name)
        for at, name in self.frame.y_ticks:
            y = self.y(10**at if self.scene.y.is_log else at)
            self.line((self.left - 2, y), (self.left, y), color=black)
            self.words(self.left - 4, y + 2.4, name, anchor="end")
        self.words((self.left + self.right) / 2, self.bottom + 20, label(self.scene.x))
        middle = (self.top + self.bottom) / 2
        self.words(9, middle, label(self.scene.y), more=f' transform="rotate(-90 9 {middle:.2f})"')

    def front(self) -> None:
        low, high = self.frame.y_limits
        places = self.look.line(self.scene, self.frame.x_limits, LINE_POINTS)
        if line := [(self.x(x), self.y(y)) for x, y in places if low <= self.scene.y.place(y) <= high]:
            self.line(*line, color=WORTH, more=f' stroke-dasharray="{DASH[0]:g} {DASH[1]:g}"')
        for point in self.look.barred(self.scene):
            x, y = self.x(point.x), self.y(point.y)
            if (reach := scatter.spread(point, self.scene.y)) is not None:
                self.line((x, self.y(reach[0])), (x, self.y(reach[1])), color=INTERVAL)
            if (reach := scatter.spread(point, self.scene.x)) is not None:
                ends = [min(max(self.x(end), self.left), self.right) for end in reach]
                self.line((ends[0], y), (ends[1], y), color=INTERVAL)
        for one, other, flat_first in scatter.stairs(self.scene):
            corner = (self.x(other.x), self.y(one.y)) if flat_first else (self.x(one.x), self.y(other.y))
            self.line((self.x(one.x), self.y(one.y)), corner, (self.x(other.x), self.y(other.y)), color=FRONT)

    def points(self) -> None:
        def order(point: Point) -> bool:
            return point.row.id in self.scene.front

        for point in sorted(self.scene.points, key=order):
            name = f"{point.row.name}: {self.scene.y.column.text(point.row)}, {self.scene.x.column.text(point.row)}"
            self.mark(
                self.x(point.x), self.y(point.y), self.scene.third(point.z), is_front=order(point), name=name
            )  # fmt: skip
        for point in self.scene.baselines:
            self.cross(self.x(point.x), self.y(point.y))
        placed: list[tuple[float, float]] = []
        for point, text in scatter.labels(self.scene):
            x, y = self.x(point.x), self.y(point.y)
            is_left = x > (self.left + self.right) / 2
            while any(abs(y - other_y) < FONT and abs(x - other_x) < 80 for other_x, other_y in placed):
                y += FONT
            placed.append((x, y))
            self.words(x - 4 if is_left else x + 4, y - 3, text, anchor="end" if is_left else "start")

    def legend(self) -> None:
        y = HEIGHT - 4.0
        if self.scene.has_front:
            self.mark(self.left, y - 2.4, 1, is_front=True)
            self.words(self.left + 5, y, "front", anchor="start")
        self.mark(self.left + 32, y - 2.4, 1, is_front=False)
        self.words(self.left + 37, y, "dominated" if self.scene.has_front else "run", anchor="start")
        self.cross(self.left + 82, y - 2.4)
        self.words(self.left + 87, y, "baseline", anchor="start")
        for third, radius in enumerate(RADII):
            self.mark(self.left + 128 + 3 * radius * third, y - 2.4, third, is_front=False)
        self.words(self.left + 152, y, f"{self.scene.z.column.title}, low to high", anchor="start")


def svg(scene: Scene, look: Look) -> bytes:
    """Draw the figure as vectors, at the size of a column; needs nothing that is not always there."""
    paper = _Paper(scene, look)
    for part in (paper.axes, paper.front, paper.points, paper.legend):
        part()
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:g}pt" height="{HEIGHT:g}pt" '
        f'viewBox="0 0 {WIDTH:g} {HEIGHT:g}" font-family="Helvetica, Arial, sans-serif" font-size="{FONT:g}">'
    )
    background = f'<rect width="{WIDTH:g}" height="{HEIGHT:g}" fill="white"/>'
    return "\n".join([head, background, *paper.parts, "</svg>", ""]).encode()


def _clean(name: str) -> str:
    return escape("".join(letter if letter.isprintable() else "?" for letter in name))


drawings: dict[str, Callable[[Scene, Look], bytes]] = {".svg": svg, ".png": png, ".txt": text}
tables: dict[str, Callable[[Scene], bytes]] = {".csv": csv, ".json": json}
formats = (*drawings, *tables)
"""Endings of files; they decide what is written."""


def make(scene: Scene, ending: str, look: Look | None = None) -> bytes:
    """Make the content of a file.

    Args:
        scene: the points.
        ending: of the file's name, one of ``formats``.
        look: what is drawn beside them, as on the screen; None for the intervals of the front alone.

    Raises:
        ExportError: there are no points.
        MissingDependency: a PNG is asked for and the extra ``figures`` is not installed.
    """
    if not scene.points:
        raise ExportError("there is no finished run to draw; widen the filter or choose other axes.")
    return drawings[ending](scene, look or Look()) if ending in drawings else tables[ending](scene)

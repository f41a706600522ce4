"""The points of the frontier: which runs stand where, which no other beats, and what a step between two costs."""

import itertools
import math
from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Struct

from pipeline.report import pareto_front
from pipeline.runs.rows import Row
from workbench.columns import Column, columns

changes = {
    "size": ("smaller", "larger"),
    "latency": ("faster", "slower"),
    "ratio": ("larger", "smaller"),
    "speedup": ("slower", "faster"),
}
"""What a lower and a higher value of a quantity is called."""
in_points = ("top1", "points", "sparsity")
"""Quantities in percent: they differ by points."""


class Axis(Struct, frozen=True):
    """A quantity on an axis, or behind the marks."""

    key: str
    """Of ``columns``."""
    is_log: bool = False
    """Draw the logarithm."""

    @property
    def column(self) -> Column:
        """The quantity."""
        return columns[self.key]

    @property
    def title(self) -> str:
        """Name with the unit, and the scale where it is a logarithm: ``MiB, log``."""
        return f"{self.column.title}{', log' if self.is_log else ''}"

    def value(self, row: Row) -> float:
        """Read a run, in the unit of the title; NaN where it is not known or has no place on the axis."""
        found = self.column.value(row)
        value = float(found) if isinstance(found, int | float) else math.nan
        return value if math.isfinite(value) and not (self.is_log and value <= 0) else math.nan

    def place(self, value: float) -> float:
        """Tell where on the axis a value lies: the value itself, or its log10."""
        if not self.is_log:
            return value
        return math.log10(value) if value > 0 else math.nan

    def cost(self, value: float) -> float:
        """Turn a value so that lower is better; 0 where no direction is."""
        return {"higher": -value, "lower": value, "": 0.0}[self.column.better]

    def change(self, before: float, after: float) -> str:
        """Say what a step is: ``-0.4 pt``, ``2.1x smaller``; empty for a ratio that is none."""
        if self.key in in_points:
            return f"{after - before:+.1f} pt"
        if not (self.column.spans_powers or self.key in changes) or before <= 0 or after <= 0:
            return f"{after - before:+.3g} {self.column.title}"
        lower, higher = changes.get(self.key, ("lower", "higher"))
        ratio = f"{max(after / before, before / after):.3g}"
        return "" if ratio == "1" else f"{ratio}x {lower if after < before else higher}"


def numeric() -> list[Column]:
    """List what can stand on an axis."""
    return [column for column in columns.values() if column.is_number]


def axis(key: str, *, is_log: bool | None = None) -> Axis:
    """Make an axis, logarithmic where the quantity spans powers unless said otherwise."""
    return Axis(key, columns[key].spans_powers if is_log is None else is_log)


class Point(Struct, frozen=True, kw_only=True):
    """One run, or a baseline of some; numbers in the units of the axes."""

    row: Row
    x: float
    y: float
    z: float
    """NaN where it is not known."""

    @property
    def id(self) -> str:
        """The run's id."""
        return self.row.id


class Scene(Struct, frozen=True, kw_only=True):
    """All points of one picture."""

    x: Axis
    y: Axis
    z: Axis
    """Shown by the size of the marks."""
    points: tuple[Point, ...] = ()
    """Runs that have both coordinates, from left to right."""
    baselines: tuple[Point, ...] = ()
    """Each baseline once."""
    front: frozenset[str] = frozenset()
    """Ids of the runs that none beats in what is on the axes."""
    deep_front: frozenset[str] = frozenset()
    """Ids of the runs that none beats in all three quantities."""
    left_out: int = 0
    """Runs that lack a coordinate."""
    thirds: tuple[float, float] = (math.nan, math.nan)
    """Where the lowest third of the values behind the marks ends, and the middle one."""

    @property
    def has_front(self) -> bool:
        """Both axes have a better direction."""
        return bool(self.x.column.better and self.y.column.better)

    def point(self, run_id: str | None) -> Point | None:
        """Find a run's point; None when it has none here."""
        return next((point for point in self.points if point.row.id == run_id), None)

    def front_points(self) -> list[Point]:
        """List the runs of the front from left to right."""
        return [point for point in self.points if point.row.id in self.front]

    def third(self, value: float) -> int:
        """Tell in which third of the runs a value behind the marks is: 0 to 2; 0 where it is not known."""
        return sum(value > border for border in self.thirds)


def scene(rows: Iterable[Row], x: Axis, y: Axis, z: Axis) -> Scene:
    """Place runs and their baselines."""
    rows = list(rows)
    made = [_point(row, x, y, z) for row in rows]
    points = sorted((p for p in made if _is_placed(p)), key=lambda p: (p.x, p.y, p.row.id))
    bases: dict[str, Point] = {}
    for row in rows:
        if row.baseline_key not in bases:
            point = _point(baseline_of(row), x, y, z)
            if _is_placed(point):
                bases[row.baseline_key or row.id] = point
    made_scene = Scene(x=x, y=y, z=z, points=tuple(points), baselines=tuple(bases.values()))
    seen = sorted(p.z for p in points if math.isfinite(p.z))
    thirds = (seen[(len(seen) - 1) // 3], seen[2 * (len(seen) - 1) // 3]) if seen else (math.nan, math.nan)
    flat = pareto_front((p.row.id, (x.cost(p.x), y.cost(p.y))) for p in points) if made_scene.has_front else []
    deep = pareto_front((p.row.id, (x.cost(p.x), y.cost(p.y), z.cost(p.z))) for p in points if math.isfinite(p.z))
    return msgspec.structs.replace(
        made_scene, front=frozenset(flat), deep_front=frozenset(deep if made_scene.has_front else ()), thirds=thirds,
        left_out=len(rows) - len(points),
    )  # fmt: skip


def _point(row: Row, x: Axis, y: Axis, z: Axis) -> Point:
    return Point(row=row, x=x.value(row), y=y.value(row), z=z.value(row))


def _is_placed(point: Point) -> bool:
    return math.isfinite(point.x) and math.isfinite(point.y)


def baseline_of(row: Row) -> Row:
    """Give the baseline of a run as if it were a run: its own numbers, and no change against itself."""
    return msgspec.structs.replace(
        row, name=f"baseline {row.backbone}", stages=(), top1=row.baseline_top1, top1_low=None, top1_high=None,
        points=0.0, points_margin=None, size_bytes=row.baseline_bytes, size_ratio=1.0, median_ms=row.baseline_ms,
        min_ms=None, p90_ms=None, speedup=1.0, of_roof=None, sparsity=None, agreement=None, started_s=None,
    )  # fmt: skip


def labels(made: Scene) -> list[tuple[Point, str]]:
    """Name the baselines: each backbone once, those on one spot together."""
    spots: dict[tuple[float, float], list[Point]] = {}
    seen: set[str] = set()
    for point in made.baselines:
        if point.row.backbone not in seen:
            seen.add(point.row.backbone)
            spots.setdefault((point.x, point.y), []).append(point)
    return [(found[0], f"baseline {', '.join(p.row.backbone for p in found)}") for found in spots.values()]


def spread(point: Point, axis: Axis) -> tuple[float, float] | None:
    """Give how far a number reaches: the 95 % interval of an accuracy, from median to p90 of a latency."""
    row = point.row
    if axis.key == "top1" and row.top1_low is not None and row.top1_high is not None:
        return row.top1_low, row.top1_high
    if axis.key == "points" and row.points is not None and row.points_margin is not None:
        return row.points - row.points_margin, row.points + row.points_margin
    if axis.key == "latency" and row.median_ms is not None and row.p90_ms is not None:
        return row.median_ms, row.p90_ms
    return None


def stairs(made: Scene) -> list[tuple[Point, Point, bool]]:
    """Join the front: pairs of neighbours, and whether the step leaves the left one horizontally.

    On the other side of the stairs everything is dominated.
    """
    front = made.front_points()
    flat_first = made.x.column.better == "lower"
    return [(one, other, flat_first) for one, other in itertools.pairwise(front)]


def beaten_by(made: Scene, point: Point) -> list[Point]:
    """List the runs of the front that are at least as good in both quantities and better in one."""
    x, y = made.x.cost(point.x), made.y.cost(point.y)
    costs = [(other, made.x.cost(other.x), made.y.cost(other.y)) for other in made.front_points()]
    return [other for other, a, b in costs if a <= x and b <= y and (a, b) != (x, y)]


def step(made: Scene, point: Point, by: int) -> Point | None:
    """Give the next run of the front to the right (1) or left (-1) that does not stand on the same spot."""
    front = made.front_points() if by > 0 else made.front_points()[::-1]
    return next((other for other in front if (other.x - point.x) * by > 0), None)


def trade(made: Scene, point: Point, by: int) -> str:
    """Say what the next step along the front costs: ``-0.4 pt for 2.1x smaller``.

    Returns:
        Empty where the front ends.
    """
    other = step(made, point, by)
    if other is None:
        return ""
    gain, cost = (
        axis.change(before, after) or f"equal {axis.column.title}"
        for axis, before, after in ((made.y, point.y, other.y), (made.x, point.x, other.x))
    )
    return f"{gain} for {cost}"


class Rate(Struct, frozen=True):
    """How much of what is on the x axis a unit of the y axis is worth."""

    worth: float
    """A factor above 1 where x spans powers, else a difference above 0."""

    def line(self, made: Scene, through: Point, x: float) -> float:
        """Give the y at which a run at ``x`` is worth as much as one on ``through``."""
        if made.x.column.spans_powers:
            units = math.log(x / through.x) / math.log(self.worth) if x > 0 < through.x else math.nan
        else:
            units = (x - through.x) / self.worth
        # Where both better sides are alike, more of the one pays for less of the other.
        return through.y + units * (-1 if made.x.column.better == made.y.column.better else 1)

    def drawn(self, made: Scene, through: Point, limits: tuple[float, float], count: int) -> list[tuple[float, float]]:
        """Give the line at so many evenly spaced places of the x axis, those where it has a place on the y axis."""
        low, high = limits
        places = (low + (high - low) * at / max(1, count - 1) for at in range(count))
        xs = [10**place if made.x.is_log else place for place in places]
        return [(x, y) for x in xs if math.isfinite(made.y.place(y := self.line(made, through, x)))]

    def better(self, made: Scene, through: Point) -> list[Point]:
        """List the runs that are worth more."""
        sign = -1 if made.y.column.better == "lower" else 1
        return [p for p in made.points if (p.y - self.line(made, through, p.x)) * sign > 1e-9]

    def words(self, made: Scene, through: Point) -> str:
        """Say what the line means."""
        unit = "1 pt" if made.y.key in in_points else f"1 {made.y.column.title}"
        lower, higher = changes.get(made.x.key, ("lower", "higher"))
        side = higher if made.x.column.better == "higher" else lower
        times = f"{self.worth:g}x {side}" if made.x.column.spans_powers else f"{self.worth:g} {made.x.column.title}"
        count = len(self.better(made, through))
        return f"if {unit} is worth {times}: {count or 'no'} run{'s' * (count != 1)} beyond the line are better deals"


def worth(made: Scene, text: str) -> tuple[bool, str]:
    """Tell whether a text can be the ``Rate.worth`` of a scene, and what it means or why not."""
    is_factor = made.x.column.spans_powers
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value <= (1 if is_factor else 0):
        return False, f"{text.strip()!r} is no number above {1 if is_factor else 0}."
    unit = "1 pt" if made.y.key in in_points else "1"
    meant = f"{value:g} times the {made.x.column.title}" if is_factor else f"{value:g} {made.x.column.title}"
    return True, f"{unit} of {made.y.column.title} is worth {meant}; the line joins equal deals."


def nearest(made: Scene, current: Point, right: int, up: int) -> Point | None:
    """Find the nearest run in a direction; None where there is none.

    Args:
        made: the scene.
        current: where to start from.
        right: 1 to the right, -1 to the left, 0 neither.
        up: 1 upwards, -1 downwards, 0 neither.
    """
    xs, ys = [made.x.place(p.x) for p in made.points], [made.y.place(p.y) for p in made.points]
    wide, high = (max(xs) - min(xs)) or 1.0, (max(ys) - min(ys)) or 1.0
    x, y = made.x.place(current.x), made.y.place(current.y)
    found: list[tuple[float, str, Point]] = []
    for point, px, py in zip(made.points, xs, ys, strict=True):
        dx, dy = (px - x) / wide, (py - y) / high
        along, across = (dx * right, dy) if right else (dy * up, dx)
        if along > 1e-9:
            found.append((along + 2 * abs(across), point.row.id, point))
    return min(found, key=lambda one: one[:2])[2] if found else None


def conditions(points: Sequence[Point]) -> list[str]:
    """List the conditions under which the latencies were measured: more than one does not compare."""
    return sorted({f"{p.row.condition}, {p.row.cpu or 'unknown CPU'}" for p in points if p.row.condition})

"""The points of the frontier: which runs, where they stand, which no other dominates."""

import math
from collections.abc import Sequence

from msgspec import Struct

from pipeline.report import Report, pareto_front
from pipeline.runs.wording import MIB
from workbench.messages import RunView
from workbench.widgets import words
from workbench.widgets.chart import Picture, Series, linear_ticks, log_ticks, nice_limits

axes = ("size", "latency")
"""What may stand on the x axis."""
titles = {"size": "MiB, log", "latency": "ms, log"}
buckets = (".", "o", "O")
"""Markers of dominated runs: the lowest, the middle and the highest third of the quantity that is not on an axis."""


class Point(Struct, frozen=True, kw_only=True):
    """One finished run, or a baseline of some."""

    view: RunView
    top1: float
    """Percent."""
    size: float
    """MiB of the checkpoint; NaN where it was not weighed."""
    latency: float
    """Median ms in the fastest runtime; NaN where it was not timed."""

    def x(self, axis: str) -> float:
        """Place on the x axis as log10; NaN where it has none."""
        value = self.size if axis == "size" else self.latency
        return math.log10(value) if value > 0 else math.nan


class Scatter(Struct, frozen=True, kw_only=True):
    """All points of one picture."""

    axis: str
    points: tuple[Point, ...]
    """Finished runs that have both coordinates, from left to right."""
    baselines: tuple[Point, ...]
    """Each baseline once."""
    front: frozenset[str]
    """Ids of the runs that none beats in both what is on the axes."""
    front_of_three: frozenset[str]
    """Ids of the runs that none beats in accuracy, size and latency."""


def scatter(views: Sequence[RunView], axis: str) -> Scatter:
    """Place the finished runs and their baselines."""
    found = [point for view in views if (point := _point(view, view.state.deployed)) is not None]
    points = sorted((p for p in found if math.isfinite(p.x(axis))), key=lambda p: (p.x(axis), p.top1, p.view.id))
    baselines: dict[str, Point] = {}
    for view in views:
        point = _point(view, view.state.baseline)
        key = view.state.stages[0].key if view.state.stages else view.id
        if point is not None and math.isfinite(point.x(axis)):
            baselines.setdefault(key, point)
    flat = pareto_front((p.view.id, (-p.top1, p.x(axis))) for p in points)
    deep = pareto_front((p.view.id, (-p.top1, p.size, p.latency)) for p in points)
    return Scatter(
        axis=axis, points=tuple(points), baselines=tuple(baselines.values()),
        front=frozenset(flat), front_of_three=frozenset(deep),
    )  # fmt: skip


def _point(view: RunView, report: Report) -> Point | None:
    top1, size, latency = words.top1(report), words.size_bytes(report), words.median_ms(report)
    if top1 is None or not math.isfinite(top1):
        return None
    return Point(
        view=view,
        top1=top1,
        size=math.nan if size is None else size / MIB,
        latency=math.nan if latency is None else latency,
    )


def picture(scene: Scatter, selected: str | None, marked: set[str], width: int, height: int) -> Picture:
    """Draw the points for a chart of so many columns and rows."""
    if not scene.points:
        return Picture(empty="No finished run with numbers yet.\n\nPress 2 to compose one, 3 to watch what goes on.")
    everything = (*scene.points, *scene.baselines)
    xs = [point.x(scene.axis) for point in everything]
    margin = max(0.02, (max(xs) - min(xs)) * 0.04)
    x_limits = (min(xs) - margin, max(xs) + margin)
    y_limits = nice_limits([point.top1 for point in everything], least=1.0)
    return Picture(
        series=tuple(_series(scene, selected, marked)),
        x_limits=x_limits,
        y_limits=y_limits,
        x_ticks=log_ticks(*x_limits, most=max(3, width // 9)),
        y_ticks=linear_ticks(*y_limits, most=max(3, height // 3)),
    )


def _series(scene: Scatter, selected: str | None, marked: set[str]) -> list[Series]:
    """List what is drawn, the most important last: it wins a shared cell."""
    front = [point for point in scene.points if point.view.id in scene.front]
    dominated = [point for point in scene.points if point.view.id not in scene.front]
    groups = [(buckets[_bucket(scene, point)], "dim", point) for point in dominated]
    groups += [("x", "warning", point) for point in scene.baselines]
    groups += [("◆", "primary", point) for point in front]
    groups += [("*", "success", point) for point in scene.points if point.view.id in marked]
    groups += [("◉", "foreground", point) for point in scene.points if point.view.id == selected]
    drawn = [
        Series(xs=(p.x(scene.axis),), ys=(p.top1,), color=color, marker=mark, is_line=False)
        for mark, color, p in groups
    ]
    return ([_stairs(scene, front)] if len(front) > 1 else []) + drawn


def _stairs(scene: Scatter, front: list[Point]) -> Series:
    """Join the front as stairs: below and to the right of it everything is dominated."""
    xs: list[float] = []
    ys: list[float] = []
    for point in front:
        if ys:
            xs.append(point.x(scene.axis))
            ys.append(ys[-1])
        xs.append(point.x(scene.axis))
        ys.append(point.top1)
    return Series(xs=tuple(xs), ys=tuple(ys), color="rule")


def _bucket(scene: Scatter, point: Point) -> int:
    """Tell in which third of the runs a point is, by the quantity that stands on no axis."""

    def third(p: Point) -> float:
        return p.latency if scene.axis == "size" else p.size

    values = sorted(third(p) for p in scene.points if math.isfinite(third(p)))
    if not values or not math.isfinite(third(point)) or values[0] == values[-1]:
        return 0
    return min(2, 3 * values.index(third(point)) // len(values))

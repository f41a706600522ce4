"""What the live charts draw: which metrics of which runs, along which axis, smoothed and cut how.

Nothing here knows of widgets: a tile asks for a picture, and for the numbers at a place.
"""

import bisect
import math
from collections.abc import Iterable, Sequence

from msgspec import Struct

from workbench.widgets import words
from workbench.widgets.axis import Axis, Shown, Span, Window, limits_of, scaled
from workbench.widgets.chart import Picture, Series
from workbench.widgets.ticks import linear_ticks, log_ticks, nice_limits, round_below

SMOOTHEST = 0.99


class Metric(Struct, frozen=True, kw_only=True):
    """One chart of the live screen."""

    key: str
    """How it is called where its settings are remembered."""
    title: str
    """What stands above it, with the unit."""
    lines: tuple[tuple[str, str], ...]
    """Name of each curve, and the word for it where there are several; the last is the one that counts."""
    short: str = ""
    """The same where room is scarce; empty where it is short already."""
    scale: float = 1.0
    """What values are multiplied by, for the unit of the title."""
    log: bool = False
    """Draw the logarithm of its values unless a person wants it otherwise."""
    clips: bool = False
    """Leave the lowest and highest percent out of the picture unless a person wants it otherwise."""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    """Limits of the y axis never go beyond."""
    from_zero: bool = False
    """The y axis begins at 0."""


known = (
    Metric(key="top1", title="top-1 %, validation", short="top-1 %", lines=(("top1", ""),), bounds=(0.0, 100.0)),
    Metric(key="loss", title="loss", lines=(("loss", "train"), ("validation_loss", "validation")), clips=True),
    Metric(key="learning_rate", title="learning rate", short="lr", lines=(("learning_rate", ""),), log=True),
    Metric(key="images_per_s", title="images/s", lines=(("images_per_s", ""),), from_zero=True),
    Metric(
        key="sparsity",
        title="sparsity, % zeros",
        short="zeros %",
        lines=(("sparsity", ""),),
        scale=100.0,
        bounds=(0.0, 100.0),
    ),
)
"""The metrics that have a place of their own; any other that a run records follows them."""
ALWAYS = 4
"""So many of them are offered before a run has recorded anything."""


class View(Struct, frozen=True, kw_only=True):
    """How one metric is drawn."""

    log_x: bool = False
    log_y: bool = False
    smoothing: float = 0.0
    """Weight of the past in the moving average, 0 to 0.99."""
    clips: bool = False
    """The lowest and the highest percent of the values may leave the picture."""
    y: Span | None = None
    """Limits that a person typed."""


class Trace(Struct, frozen=True, kw_only=True):
    """One curve along the chosen axis."""

    name: str
    """What it is called in the title: a letter, a word, or both; empty where it is alone."""
    letter: str
    color: str
    xs: Sequence[float]
    ys: Sequence[float]
    """In the unit of the title; what was not finite is NaN."""
    smooth: Sequence[float]
    """The moving average; the same as ``ys`` where nothing is smoothed."""

    def at(self, x: float, slack: float) -> float | None:
        """Give the value of the point that is nearest to a place; None further than ``slack`` beyond the ends."""
        if not self.xs or not self.xs[0] - slack <= x <= self.xs[-1] + slack:
            return None
        right = bisect.bisect_left(self.xs, x)
        near = min((p for p in (right - 1, right) if 0 <= p < len(self.xs)), key=lambda p: abs(self.xs[p] - x))
        return self.smooth[near]

    @property
    def newest(self) -> float | None:
        """The last finite value; None where there is none."""
        return next((y for y in reversed(self.smooth) if math.isfinite(y)), None)


def offered(shown: Iterable[Shown]) -> list[Metric]:
    """List the metrics that can be drawn: the usual ones, then whatever else the runs recorded."""
    names = {name for run in shown for name in run.curves.series}
    ours = {name for metric in known for name, _ in metric.lines}
    usual = [m for place, m in enumerate(known) if place < ALWAYS or any(name in names for name, _ in m.lines)]
    others = [Metric(key=n, title=n.replace("_", " "), lines=((n, ""),)) for n in sorted(names - ours)]
    return usual + others


def traces(metric: Metric, runs: Sequence[Shown], view: View, window: Window) -> list[Trace]:
    """List the curves of a metric, the one that counts last; of several runs only that one."""
    found = []
    for run in runs:
        axis = Axis(window.axis, run)
        lines = [line for line in metric.lines if line[0] in run.curves.series]
        for place, (name, word) in enumerate(lines if len(runs) == 1 else lines[-1:]):
            epochs, values = run.curves.series[name]
            is_main = len(runs) > 1 or place == len(lines) - 1
            ys = [metric.scale * value for value in values] if metric.scale != 1.0 else values
            letter = run.letter or (word[:1] if len(metric.lines) > 1 else "")
            found.append(
                Trace(
                    name=run.letter or word,
                    letter=letter,
                    color=run.color if is_main else "dim",
                    xs=epochs if window.axis == "epochs" else [axis.place(epoch) for epoch in epochs],
                    ys=ys,
                    smooth=smoothed(ys, view.smoothing),
                )
            )
    return found


def smoothed(values: Sequence[float], weight: float) -> Sequence[float]:
    """Give the exponential moving average, without the pull of its start; gaps stay gaps."""
    if weight <= 0:
        return values
    found, total, share = [], 0.0, 0.0
    for value in values:
        if not math.isfinite(value):
            found.append(math.nan)
            continue
        total = weight * total + (1 - weight) * value
        share = weight * share + 1 - weight
        found.append(total / share)
    return found


def picture(
    metric: Metric, runs: Sequence[Shown], view: View, window: Window, size: tuple[int, int], wait: str = ""
) -> Picture:
    """Draw a metric.

    Args:
        metric: what.
        runs: whose; the first one gives the axis and the borders of the stages.
        view: how.
        window: which part of the x axis.
        size: columns and rows of the chart; curves are thinned and rounded to what these can show, so that equal
            pictures are equal.
        wait: what to say where there is nothing to draw.
    """
    axis = Axis(window.axis, runs[0])
    found = traces(metric, runs, view, window)
    x_limits = _x_limits(limits_of(window, axis), found, log=view.log_x)
    nothing = Picture(empty=wait or "no numbers yet")
    if x_limits[1] <= x_limits[0]:
        return nothing
    edges = [scaled(edge, log=view.log_x) for edge in axis.edges]
    grid = _Grid(x_limits, size, edges)
    drawn: list[tuple[str, str, tuple[float, ...], list[float]]] = []
    values: list[float] = []
    for trace in found:
        xs = [scaled(x, log=True) for x in trace.xs] if view.log_x else trace.xs
        ys = [scaled(y, log=True) for y in trace.ys] if view.log_y else trace.ys
        seen = ys[bisect.bisect_left(xs, x_limits[0]) : bisect.bisect_right(xs, x_limits[1])]
        values += (y for y in seen if math.isfinite(y))
        if trace.smooth is not trace.ys:
            drawn.append(("rule" if trace.color == "dim" else "dim", "", *grid.thin(xs, ys)))
            ys = [scaled(y, log=True) for y in trace.smooth] if view.log_y else trace.smooth
        drawn.append((trace.color, trace.letter, *grid.thin(xs, ys)))
    if not values:
        return nothing
    y_limits = _y_limits(metric, view, sorted(values))
    series = [Series(xs=xs, ys=grid.rounded(ys, y_limits), color=color) for color, _, xs, ys in drawn]
    ends = [_end(color, letter, one, y_limits) for (color, letter, _, _), one in zip(drawn, series, strict=True)]
    has_numbers = window.x is not None or view.log_x
    return Picture(
        series=(*series, *(end for end in ends if end is not None)),
        x_limits=x_limits,
        y_limits=y_limits,
        x_ticks=_x_ticks(x_limits, size[0], log=view.log_x) if has_numbers else (),
        y_ticks=_y_ticks(y_limits, size[1], log=view.log_y),
        spans=() if has_numbers else _names(axis, window, x_limits),
        verticals=tuple(dict.fromkeys(edge for edge in edges[1:-1] if x_limits[0] < edge < x_limits[1])),
        is_cut=any(not y_limits[0] <= y <= y_limits[1] for y in values),
    )


class _Grid:
    """The dots that a chart can show."""

    def __init__(self, x_limits: Span, size: tuple[int, int], edges: Sequence[float]) -> None:
        self._edges = edges
        self._low, high = x_limits
        self._columns = max(1, 2 * size[0])
        self._rows = max(1, 4 * size[1])
        self._step = (high - self._low) / self._columns

    def thin(self, xs: Sequence[float], ys: Sequence[float]) -> tuple[tuple[float, ...], list[float]]:
        """Keep the lowest and the highest point of each column of dots, in their order; gaps and stages stay apart."""
        # One point beyond each end, so that the line leads there; what has no logarithm lies nowhere.
        first = max(bisect.bisect_right(xs, -math.inf), bisect.bisect_left(xs, self._low) - 1)
        last = bisect.bisect_right(xs, self._low + self._step * self._columns) + 1
        kept: list[tuple[float, float]] = []
        column: list[tuple[float, float]] = []
        stage = -1
        for x, y in zip(xs[first:last], ys[first:last], strict=True):
            before, stage = stage, bisect.bisect_left(self._edges, x - 1e-9)
            if stage != before and column:
                # Another stage begins another line.
                kept += [*_extremes(column), (x, math.nan)]
                column = []
            x = self._low + round((x - self._low) / self._step) * self._step if self._step > 0 else x
            if column and (x != column[0][0] or not math.isfinite(y)):
                kept += _extremes(column)
                column = []
            if math.isfinite(y):
                column.append((x, y))
            elif not kept or math.isfinite(kept[-1][1]):
                kept.append((x, math.nan))
        kept += _extremes(column)
        return tuple(x for x, _ in kept), [y for _, y in kept]

    def rounded(self, ys: Sequence[float], limits: Span) -> tuple[float, ...]:
        """Put values on the nearest row of dots; those far outside of the picture on a row far outside."""
        low, high = limits
        step, far = (high - low) / self._rows, 1e6 * (high - low)
        return tuple(
            low + round((min(max(y, low - far), high + far) - low) / step) * step if math.isfinite(y) else math.nan
            for y in ys
        )


def _extremes(column: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(column) < 3:
        return column
    places = sorted({*(f(range(len(column)), key=lambda p: column[p][1]) for f in (min, max)), len(column) - 1})
    return [column[place] for place in places]


def _end(color: str, letter: str, line: Series, limits: Span) -> Series | None:
    """Write a letter at the last point of a line that is seen."""
    place = next((p for p in range(len(line.ys) - 1, -1, -1) if limits[0] <= line.ys[p] <= limits[1]), None)
    if place is None or not letter:
        return None
    return Series(xs=(line.xs[place],), ys=(line.ys[place],), color=color, marker=letter, is_line=False)


def _x_limits(limits: Span, found: Sequence[Trace], *, log: bool) -> Span:
    """Scale limits; a logarithm begins at a round number below the first point where the axis begins at zero."""
    low, high = limits
    if log and low <= 0.0:
        low = round_below(min((x for trace in found for x in trace.xs if x > 0.0), default=1.0))
    return scaled(low, log=log), scaled(high, log=log)


def _y_limits(metric: Metric, view: View, ordered: list[float]) -> Span:
    if view.y is not None:
        low, high = (scaled(limit, log=view.log_y) for limit in view.y)
        if math.isfinite(low) and math.isfinite(high) and low < high:
            return low, high
    if view.clips:
        # Of all values, not of the points that are left of them: at most one in a hundred leaves at each side.
        beyond = len(ordered) // 100
        ordered = ordered[beyond : len(ordered) - beyond]
    if view.log_y:
        low, high = ordered[0], ordered[-1]
        if high - low < 0.8:
            middle = nice_limits([10**low, 10**high])
            if middle[0] > 0:
                return scaled(middle[0], log=True), scaled(middle[1], log=True)
        return float(math.floor(low)), float(max(math.ceil(high), math.floor(low) + 1))
    shown = [0.0, *ordered[-1:]] if metric.from_zero else [ordered[0], ordered[-1]]
    low, high = nice_limits(shown, least=0.02 * abs(ordered[-1]))
    return max(low, metric.bounds[0]), min(high, metric.bounds[1])


def _x_ticks(limits: Span, columns: int, *, log: bool) -> tuple[tuple[float, str], ...]:
    most = max(2, columns // 12)
    if not log:
        return linear_ticks(*limits, most=most)
    if limits[1] - limits[0] >= 1.0:
        return log_ticks(*limits, most=most)
    # Within a power of ten there are too few of the usual numbers.
    return tuple((scaled(x, log=True), text) for x, text in linear_ticks(10 ** limits[0], 10 ** limits[1], most=most))


def _y_ticks(limits: Span, rows: int, *, log: bool) -> tuple[tuple[float, str], ...]:
    most = max(3, min(5, rows // 3))
    if not log:
        return linear_ticks(*limits, most=most)
    if limits[1] - limits[0] < 1.0:
        return log_ticks(*limits, most=most)
    step = max(1, round((limits[1] - limits[0]) / most))
    return tuple((float(power), f"1e{power}") for power in range(math.ceil(limits[0]), math.floor(limits[1]) + 1, step))


def _names(axis: Axis, window: Window, limits: Span) -> tuple[tuple[float, float, tuple[str, ...]], ...]:
    """Name the stages below the axis, with how long each is."""
    found = []
    edges = axis.edges
    for stage, start, end in zip(axis.stages, edges, edges[1:], strict=False):
        if stage.epochs and stage.stage and start < limits[1] and end > limits[0] and end > start:
            length = words.duration(60 * (end - start)) if window.axis == "time" else f"{end - start:,.0f}"
            names = (f"{stage.stage} {length}", stage.stage, stage.stage[0].upper())
            found.append((max(start, limits[0]), min(end, limits[1]), names))
    return tuple(found)

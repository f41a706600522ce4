"""What the live charts draw: which metrics, over the epochs of the whole recipe, with the borders of the stages."""

import math

from msgspec import Struct

from pipeline.runs.state import RunState
from workbench.messages import Curves
from workbench.widgets import words
from workbench.widgets.chart import Picture, Series, linear_ticks, nice_limits


class Metric(Struct, frozen=True, kw_only=True):
    """One chart of the live screen."""

    title: str
    """What stands above it, with the unit."""
    lines: tuple[tuple[str, str, str], ...]
    """Name of the metric, colour and what to call it where there are several; the last is drawn on top."""
    newest: str
    """The metric whose newest value is written above."""
    log: bool = False
    """Draw the logarithm."""


metrics = (
    Metric(
        title="top-1 %, validation",
        lines=(("top1", "primary", ""),),
        newest="top1",
    ),
    Metric(
        title="loss",
        lines=(("loss", "dim", "⠶ train"), ("validation_loss", "primary", "─ validation")),
        newest="validation_loss",
    ),
    Metric(title="learning rate, log", lines=(("learning_rate", "primary", ""),), newest="learning_rate", log=True),
    Metric(title="images/s", lines=(("images_per_s", "primary", ""),), newest="images_per_s"),
)


def title(metric: Metric, curves: Curves) -> str:
    """Name a chart, its lines and their newest values."""
    parts = [metric.title]
    for name, _, label in metric.lines:
        _, values = curves.series.get(name, ((), ()))
        newest = next((value for value in reversed(values) if math.isfinite(value)), None)
        if newest is not None:
            parts.append(f"{label} {words.compact(newest)}".strip())
    return " ".join(parts)


def picture(metric: Metric, curves: Curves, state: RunState) -> Picture:
    """Draw a metric of a run."""
    total = float(sum(stage.epochs for stage in state.stages))
    series = tuple(
        Series(xs=xs, ys=_scaled(ys, log=metric.log), color=color, is_line=name != "loss")
        for name, color, _ in metric.lines
        if (xs := curves.series.get(name, ((), ()))[0]) and (ys := curves.series[name][1])
    )
    values = [y for line in series for y in line.ys if math.isfinite(y)]
    if not values or total <= 0:
        return Picture(empty="nothing was trained" if state.status.is_over else "no numbers yet")
    low, high = _limits(metric, values)
    return Picture(
        series=series,
        x_limits=(0.0, total),
        y_limits=(low, high),
        spans=_names(state, curves),
        y_ticks=_y_ticks(metric, low, high),
        verticals=tuple(dict.fromkeys(border for border in curves.borders[1:] if 0 < border < total)),
    )


def _scaled(values: tuple[float, ...], *, log: bool) -> tuple[float, ...]:
    if not log:
        return values
    return tuple(math.log10(value) if math.isfinite(value) and value > 0 else math.nan for value in values)


def _limits(metric: Metric, values: list[float]) -> tuple[float, float]:
    if metric.log:
        floor, ceiling = math.floor(min(values)), math.ceil(max(values))
        return float(floor), float(max(ceiling, floor + 1))
    if metric.newest == "images_per_s":
        return 0.0, nice_limits([0.0, max(values)])[1]
    if metric.newest == "top1":
        low, high = nice_limits(values, least=2.0)
        return max(0.0, low), min(100.0, high) if high > 100 else high
    # A diverging start would press the rest of the curve flat: the highest two percent may leave the picture.
    ordered = sorted(values)
    return nice_limits([ordered[0], ordered[min(len(ordered) - 1, int(0.98 * len(ordered)))]])


def _y_ticks(metric: Metric, low: float, high: float) -> tuple[tuple[float, str], ...]:
    if not metric.log:
        return linear_ticks(low, high)
    step = max(1, round((high - low) / 4))
    return tuple((float(power), f"1e{power}") for power in range(int(low), int(high) + 1, step))


def _names(state: RunState, curves: Curves) -> tuple[tuple[float, float, tuple[str, ...]], ...]:
    return tuple(
        (start, start + stage.epochs, (f"{stage.stage} {stage.epochs}", stage.stage, stage.stage[0].upper()))
        for stage, start in zip(state.stages, curves.borders, strict=False)
        if stage.epochs and stage.stage
    )

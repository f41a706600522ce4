"""The x axis of the live charts: epochs, steps or minutes of the whole recipe, and the part that is looked at."""

import bisect
import math
from typing import Literal

from msgspec import Struct

from pipeline.runs.state import StageState
from workbench.messages import Curves, Detail
from workbench.widgets.ticks import nice_limits

AxisName = Literal["epochs", "steps", "time"]
axis_names: tuple[AxisName, ...] = ("epochs", "steps", "time")
units = {"epochs": "epoch", "steps": "step", "time": "minute"}

Span = tuple[float, float]


def scaled(value: float, *, log: bool) -> float:
    """Give where a value lies on a scale: itself, or its log10; what has no logarithm lies at minus infinity."""
    if not log:
        return value
    return math.log10(value) if value > 0 else -math.inf


class Window(Struct, frozen=True, kw_only=True):
    """The part of the x axis that all charts show."""

    axis: AxisName = "epochs"
    x: Span | None = None
    """Limits that a person typed, in the unit of the axis."""
    stage: int | None = None
    """The entry of the plan that is looked at alone."""


class Shown(Struct, frozen=True, kw_only=True):
    """A run on the charts."""

    detail: Detail
    letter: str = ""
    """What stands at the end of its lines; empty where it is alone."""
    color: str = "primary"

    @property
    def curves(self) -> Curves:
        """Its curves; none where they were not read yet."""
        return self.detail.curves or Curves()


class Axis:
    """The x axis of one run: turns epochs of the whole recipe into steps or minutes."""

    def __init__(self, name: AxisName, run: Shown) -> None:
        self._name = name
        self._curves = run.curves
        self.stages: tuple[StageState, ...] = run.detail.state.stages
        """Entries of the plan."""
        self._edges = [*self._curves.borders, float(sum(stage.epochs for stage in self.stages))]
        self._started_s = run.detail.state.started_s
        rates = [stage.steps / stage.epochs if stage.steps and stage.epochs else 0.0 for stage in self.stages]
        usual = next((rate for rate in rates if rate), 1.0)
        self._rates = [rate or usual for rate in rates]
        self._sums = [0.0]
        for stage, rate in zip(self.stages, self._rates, strict=True):
            self._sums.append(self._sums[-1] + stage.epochs * rate)

    def place(self, epoch: float) -> float:
        """Give the place of an epoch."""
        if self._name == "epochs" or not self.stages:
            return epoch
        if self._name == "steps":
            stage = min(max(0, bisect.bisect_right(self._edges, epoch) - 1), len(self.stages) - 1)
            return self._sums[stage] + (epoch - self._edges[stage]) * self._rates[stage]
        return self._minute(epoch)

    def _minute(self, epoch: float) -> float:
        xs, seconds = self._curves.clock
        if not xs:
            return 0.0
        start = self._started_s if self._started_s is not None else seconds[0]
        right = bisect.bisect_left(xs, epoch)
        if right == 0 or right == len(xs):
            return (seconds[min(right, len(xs) - 1)] - start) / 60
        share = (epoch - xs[right - 1]) / ((xs[right] - xs[right - 1]) or 1.0)
        return (seconds[right - 1] + share * (seconds[right] - seconds[right - 1]) - start) / 60

    @property
    def edges(self) -> list[float]:
        """Where each entry of the plan begins, and where the last one ends."""
        return [self.place(edge) for edge in self._edges]

    def limits(self) -> Span:
        """Give the whole axis: all of the recipe; of time what has passed, rounded up so that it seldom moves."""
        if self._name != "time":
            return 0.0, max(self.edges[-1], 1e-9)
        return 0.0, nice_limits([0.0, self._minute(math.inf)], least=0.1)[1]

    def stage_at(self, x: float) -> StageState | None:
        """Tell which entry of the plan was at work at a place; None before there is a plan."""
        edges = self.edges
        found = min(max(0, bisect.bisect_right(edges, x) - 1), len(self.stages) - 1)
        return self.stages[found] if self.stages else None


def limits_of(window: Window, axis: Axis) -> Span:
    """Give the limits of the x axis."""
    if window.x is not None:
        return window.x
    edges = axis.edges
    if window.stage is not None and window.stage + 1 < len(edges) and edges[window.stage] < edges[window.stage + 1]:
        return edges[window.stage], edges[window.stage + 1]
    return axis.limits()

"""Observers: the range of one batch of activations, in four lines each.

The quantiser that owns the range averages it over batches. Percentile and MSE look at a sample of the values, evenly
spaced in memory: the whole of a layer's output would cost more than the layer.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from pipeline.engine.grid import in_memory_order

ObserverName = Literal["min-max", "percentile", "mse"]
Observer = Callable[[Tensor], tuple[Tensor, Tensor]]
"""A batch of any shape in; smallest and largest value of its range out, float32 scalars, not yet including 0."""

SAMPLE = 2**16
"""Values that percentile looks at; MSE, which tries many ranges, looks at a quarter."""

PERCENTILE = 99.99
"""Percent of the values above the low end, and below the high end, of a percentile range."""

CANDIDATES = 40
"""Ranges that MSE tries: equal parts of the way from nothing to the extremes."""


def min_max(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the extremes."""
    # Two passes: aminmax is not vectorised and takes six times as long as both.
    return x.amin().float(), x.amax().float()


def percentile(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give the values that one in ten thousand lies beyond, at either end."""
    values = sample(x, SAMPLE)
    beyond = max(1, round(values.numel() * (1 - PERCENTILE / 100)))
    return values.topk(beyond, largest=False).values[-1], values.topk(beyond).values[-1]


def mse(x: Tensor) -> tuple[Tensor, Tensor]:
    """Give that part of the extremes whose 256 levels lie nearest to the values, in the mean square."""
    values = sample(x, SAMPLE // 4)
    shares = torch.arange(1, CANDIDATES + 1, device=x.device).div(CANDIDATES)
    low, high = values.amin().clamp(max=0.0) * shares, values.amax().clamp(min=0.0) * shares
    step = ((high - low) / 255).clamp(min=torch.finfo(torch.float32).tiny)
    rounded = (values[:, None].clamp(low, high) / step).round_().mul_(step)
    best = rounded.sub_(values[:, None]).square_().sum(0).argmin()
    return low[best], high[best]


OBSERVERS: dict[ObserverName, Observer] = {"min-max": min_max, "percentile": percentile, "mse": mse}


def sample(x: Tensor, count: int) -> Tensor:
    """Take at most `count` values evenly spaced in memory, float32."""
    # An odd distance: an even one would meet the same channels again and again.
    distance = -(-x.numel() // count) | 1
    return in_memory_order(x)[::distance].float()

"""Rounding to a grid, fast enough that training with fake quantisers costs little more than without.

torch's own fake-quantise kernels are not vectorised: on a CPU they took seven times as long as these few tensor
operations over chunks that stay in the cache. Gradients pass straight through the rounding (Bengio et al. 2013) and
stop where a value is clipped.
"""

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

CHUNK = 2**17
"""Elements that a CPU thread works on at once: half a MiB, and as much for the result, fit the second-level cache."""


def round_to_grid(x: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Clip to a range, then round to the nearest multiple of a step; ties go to the even multiple.

    The gradient passes where `low <= x <= high`.

    Args:
        x: Any shape, any floating type; computed in float32.
        step: Of the grid, positive, float32 scalar.
        low: Smallest value, a multiple of `step` (or the least positive number, to have ReLU's gradient at 0).
        high: Largest value, a multiple of `step`.

    Returns:
        The shape, the memory layout and the type of `x`.
    """
    rounded: Tensor = _Round.apply(x, step, low, high)
    return rounded


def round_within(weight: Tensor, step: Tensor) -> Tensor:
    """Round each row to multiples of its step, where no value can lie outside; the gradient passes unchanged.

    Args:
        weight: `(C, ...)`, float32.
        step: `(C,)`, positive.
    """
    rounded: Tensor = _RoundWithin.apply(weight, step)
    return rounded


def round_learned(x: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Round as `round_to_grid`, with a gradient for the step as well.

    Learned step size quantisation (Esser et al. 2020, equations 1 to 3): the step's gradient is `k - x / step` where
    x lies inside, with k the code, and the code itself where x is clipped, times `1 / sqrt(n * largest code)`.

    Args:
        x: `(C, ...)`.
        step: Positive; scalar, or `(C,)` for a grid in each row.
        low: Smallest code, a whole number, scalar.
        high: Largest code, a whole number, scalar.
    """
    rounded: Tensor = _RoundLearned.apply(x, step, low, high)
    return rounded


class _Round(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
        with_mask = ctx.needs_input_grad[0]
        if _in_eager_cpu(x):
            rounded, inside = _in_chunks(x, float(step), float(low), float(high), with_mask)
        else:
            clipped = x.float().clamp(low, high)
            rounded, inside = (clipped / step).round().mul(step).to(x.dtype), clipped == x
        if with_mask:
            ctx.save_for_backward(inside)
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        (inside,) = ctx.saved_tensors
        kept = _where(gradient, inside) if _in_eager_cpu(gradient) else gradient * inside
        return kept, None, None, None


class _RoundWithin(Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, step: Tensor) -> Tensor:
        step = step.view(-1, *[1] * (weight.dim() - 1))
        return (weight / step).round_().mul_(step)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


class _RoundLearned(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, low: Tensor, high: Tensor) -> Tensor:
        ctx.save_for_backward(x, step, low, high)
        rows = _rows(step, x)
        return (x.float() / rows).clamp_(low, high).round_().mul_(rows).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (gradient,) = gradients
        x, step, low, high = ctx.saved_tensors
        scaled = x.float() / _rows(step, x)
        codes = scaled.clamp(low, high)
        inside = codes == scaled
        slope = codes.round_().sub_(scaled.mul_(inside)).mul_(gradient)
        share = (high * (x.numel() / step.numel())).rsqrt()
        total = slope.sum() if step.dim() == 0 else slope.flatten(1).sum(1)
        return gradient * inside, total * share, None, None


def _rows(step: Tensor, x: Tensor) -> Tensor:
    return step.view(-1, *[1] * (x.dim() - 1)) if step.dim() else step


def _in_chunks(x: Tensor, step: float, low: float, high: float, with_mask: bool) -> tuple[Tensor, Tensor]:
    """Round a tensor on the CPU; also tell where it was not clipped, if wanted."""
    x = _dense(x)
    rounded = torch.empty_like(x)
    inside = torch.empty_like(x, dtype=torch.bool) if with_mask else x.new_empty(0, dtype=torch.bool)
    masks = _chunks(inside) if with_mask else itertools.repeat(None)
    for source, target, mask in zip(_chunks(x), _chunks(rounded), masks, strict=False):
        values = source.float()
        result = target if target.dtype == torch.float32 else torch.empty_like(values)
        torch.clamp(values, low, high, out=result)
        if mask is not None:
            torch.eq(result, values, out=mask)
        result.div_(step).round_().mul_(step)
        if result is not target:
            target.copy_(result)
    return rounded, inside


def _where(gradient: Tensor, inside: Tensor) -> Tensor:
    """Keep a gradient on the CPU where the mask says so."""
    if gradient.stride() != inside.stride():
        gradient = torch.empty_like(inside, dtype=gradient.dtype).copy_(gradient)
    kept = torch.empty_like(gradient)
    # As uint8: reading a bool is not vectorised.
    for source, mask, target in zip(_chunks(gradient), _chunks(inside.view(torch.uint8)), _chunks(kept), strict=True):
        target.copy_(mask).mul_(source)
    return kept


def _chunks(x: Tensor) -> tuple[Tensor, ...]:
    return in_memory_order(x).split(CHUNK * torch.get_num_threads())


def _dense(x: Tensor) -> Tensor:
    return x if x.is_contiguous() or x.is_contiguous(memory_format=torch.channels_last) else x.contiguous()


def _in_eager_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()


def in_memory_order(x: Tensor) -> Tensor:
    """View a tensor as one row of its elements, in the order in which they lie in memory; a copy if it has gaps."""
    return _dense(x).as_strided((x.numel(),), (1,))

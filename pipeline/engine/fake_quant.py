"""Fake quantisers: modules that training sees as rounding and that lowering turns into integers.

Weights are rounded to a symmetric grid per output channel, activations to an unsigned 8-bit affine grid per
tensor in which zero is exact (unsigned, because runtimes have no fast path for signed activations). Gradients
pass straight through the rounding and stop where a value is clipped. All state lies in parameters and buffers, so a
state dict restores it bit for bit. Where they stand is decided in `placement`.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.engine import grid, tracing
from pipeline.engine.observers import OBSERVERS, ObserverName

ACTIVATION_MAX = 255
"""Largest code of an activation; the smallest is 0."""

MIN_SCALE = 2.0**-40
"""Smallest step of any grid. Far below useful values, yet two of them multiply without leaving float32."""

AVERAGING = 0.05
"""Share of the newest batch in the moving average of an activation's range, in (0, 1]; the first twenty batches count
alike."""


class FakeQuantizer(tracing.Leaf):
    """Rounds an activation to 256 levels between a smallest and a largest value.

    While it observes, in training mode only, the range follows a moving average of what the observer makes of each
    batch; the first batch sets it. It always includes 0. A batch with infinities or NaN leaves it alone.
    """

    range_min: Tensor
    """Smallest value, at most 0."""
    range_max: Tensor
    """Largest value, at least 0."""
    scale: Tensor
    """Step between two levels, float32, at least `MIN_SCALE`."""
    zero_point: Tensor
    """Code of the value 0, int32 in [0, 255]."""
    num_batches: Tensor
    """Batches observed so far, int64; 0 while the range is unknown."""
    observing: Tensor
    """Bool: whether training batches move the range. A buffer, so that a frozen range stays frozen on loading."""

    def __init__(self, *, observer: ObserverName = "min-max", rectify: bool = False) -> None:
        """Start without a range.

        Args:
            observer: What makes a range of a batch.
            rectify: Apply ReLU on the way; one pass over the values instead of two, and one tensor fewer to keep.
        """
        super().__init__()
        self.observer: ObserverName = observer
        self.rectify = rectify
        self.register_buffer("range_min", torch.tensor(0.0))
        self.register_buffer("range_max", torch.tensor(0.0))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        self.register_buffer("num_batches", torch.tensor(0))
        self.register_buffer("observing", torch.tensor(True))
        self._is_observing = True  # mirrors the buffer: asking a tensor would wait for the accelerator

    def forward(self, x: Tensor) -> Tensor:
        """Round `x`, of any shape and floating type; computed in float32, returned in the type of `x`."""
        if self.training and self._is_observing:
            self._observe(x.detach())
        return self._round(x)

    def set_observing(self, on: bool) -> None:
        """Let training batches move the range, or freeze it."""
        self.observing.fill_(on)
        self._is_observing = on

    def step(self) -> Tensor:
        """Return the step between two levels, float32, at least `MIN_SCALE`."""
        return self.scale

    def _round(self, x: Tensor) -> Tensor:
        # The least positive number as the low end of a ReLU: the gradient at 0 is 0, as that of ReLU is.
        low = self.scale.new_tensor(torch.finfo(torch.float32).tiny) if self.rectify else -self.zero_point * self.scale
        return grid.round_to_grid(x, self.scale, low, (ACTIVATION_MAX - self.zero_point) * self.scale)

    @torch.no_grad()
    def _observe(self, x: Tensor) -> None:
        low, high = self._range_of(x)
        is_finite = low.isfinite() & high.isfinite()
        share = (1.0 / (self.num_batches + 1)).clamp(min=AVERAGING)
        low, high = torch.lerp(self.range_min, low, share), torch.lerp(self.range_max, high, share)
        scale = ((high - low) / ACTIVATION_MAX).clamp(min=MIN_SCALE)
        zero_point = (-low / scale).round().clamp(0, ACTIVATION_MAX).int()
        updates = {
            "range_min": low,
            "range_max": high,
            "scale": scale,
            "zero_point": zero_point,
            "num_batches": self.num_batches + 1,
        }
        for name, value in updates.items():
            tensor: Tensor = getattr(self, name)
            tensor.copy_(torch.where(is_finite, value, tensor))

    def _range_of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if self.rectify and self.observer == "min-max":
            return x.new_zeros((), dtype=torch.float32), x.amax().float().clamp(min=0.0)
        low, high = OBSERVERS[self.observer](x.relu() if self.rectify else x)
        return low.clamp(max=0.0), high.clamp(min=0.0)

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._is_observing = bool(self.observing)


class LearnedFakeQuantizer(FakeQuantizer):
    """A fake quantiser whose step is a parameter that training moves (learned step size, Esser et al. 2020).

    The first ranges come from the observer; from then on the step follows the gradient, and the zero point stays.
    """

    def __init__(self, *, observer: ObserverName = "min-max", rectify: bool = False) -> None:
        super().__init__(observer=observer, rectify=rectify)
        del self.scale
        self.scale = nn.Parameter(torch.tensor(1.0))

    def set_observing(self, on: bool) -> None:
        """Freeze the range, or let batches set it while no batch has; a known step is left to the gradient."""
        super().set_observing(on and not bool(self.num_batches))

    def step(self) -> Tensor:
        """Return the step between two levels, whatever sign the gradient gave it."""
        return self.scale.abs().clamp(min=MIN_SCALE)

    def _round(self, x: Tensor) -> Tensor:
        x = x.relu() if self.rectify else x
        return grid.round_learned(x, self.step(), -self.zero_point.float(), ACTIVATION_MAX - self.zero_point.float())


class _RoundsWeight(tracing.Leaf):
    """A layer whose weight is rounded on the way in."""

    weight: Tensor
    weight_bits: int
    """Width of the signed grid, 2..8; 8 bits reach from -127 to 127."""
    weight_step: nn.Parameter | None
    """Learned step of each output channel `(C,)`; None where the step follows from the largest weight."""

    @property
    def code_max(self) -> int:
        """Largest code of a weight; the smallest is its negative."""
        return int(2 ** (self.weight_bits - 1) - 1)

    def step(self) -> Tensor:
        """Return the grid step of each output channel, `(C,)`, float32, at least `MIN_SCALE`."""
        if self.weight_step is not None:
            return self.weight_step.abs().clamp(min=MIN_SCALE)
        return weight_scale(self.weight, self.weight_bits)

    def codes(self) -> Tensor:
        """Return the whole numbers in `-code_max..code_max`, float32, that the weight is rounded to."""
        step = self.step().detach().view(-1, *[1] * (self.weight.dim() - 1))
        return (self.weight.detach() / step).round().clamp(-self.code_max, self.code_max)

    def rounded_weight(self) -> Tensor:
        """Return the weight on its grid; gradients pass through the rounding."""
        if self.weight_step is None:
            return grid.round_within(self.weight, weight_scale(self.weight, self.weight_bits))
        largest = self.weight_step.new_tensor(float(self.code_max))
        return grid.round_learned(self.weight, self.step(), -largest, largest)


class FakeQuantConv2d(_RoundsWeight, nn.Conv2d):
    """A convolution whose weight is rounded on the way in; made by `placement.prepare` only."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name that nn.Conv2d gives it)
        """Map `(N, C_in, H, W)` to `(N, C_out, H_out, W_out)`."""
        return self._conv_forward(input, self.rounded_weight(), self.bias)


class FakeQuantLinear(_RoundsWeight, nn.Linear):
    """A linear layer whose weight is rounded on the way in; made by `placement.prepare` only."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name that nn.Linear gives it)
        """Map `(..., in_features)` to `(..., out_features)`."""
        return F.linear(input, self.rounded_weight(), self.bias)


def weight_scale(weight: Tensor, bits: int) -> Tensor:
    """Return the grid step of each output channel `(C,)`, the largest magnitude landing on the largest code.

    Args:
        weight: `(C, ...)`.
        bits: Width of the signed grid, 2..8; 8 bits reach from -127 to 127.
    """
    rows = weight.detach().flatten(1)
    peak = torch.maximum(rows.amax(1), -rows.amin(1))
    return (peak / (2 ** (bits - 1) - 1)).clamp(min=MIN_SCALE)


def rounding(layer: nn.Module, *, bits: int, learned_step: bool = False) -> nn.Module:
    """Make a convolution or linear layer round its weight; any other module is left as it is.

    Args:
        layer: `Conv2d` that pads with zeros, or `Linear`; its tensors, masks and hooks stay.
        bits: Width of the signed grid, 2..8.
        learned_step: The step of each output channel is a parameter.

    Returns:
        The same object.
    """
    twin: type[FakeQuantConv2d | FakeQuantLinear]
    if type(layer) is nn.Conv2d and layer.padding_mode == "zeros":
        twin = FakeQuantConv2d
    elif type(layer) is nn.Linear:
        twin = FakeQuantLinear
    else:
        return layer
    cast("Any", layer).__class__ = twin
    cast("Any", layer).weight_bits = bits
    layer.register_parameter("weight_step", _first_steps(layer.weight, bits) if learned_step else None)
    return layer


def _first_steps(weight: Tensor, bits: int) -> nn.Parameter:
    # On coarse grids the largest weight makes steps far too wide; Esser et al. start from the mean magnitude.
    magnitude = weight.detach().abs().flatten(1).mean(1)
    start = 2 * magnitude / (2 ** (bits - 1) - 1) ** 0.5
    return nn.Parameter(torch.minimum(weight_scale(weight, bits), start.clamp(min=MIN_SCALE)))


def is_prepared(model: nn.Module) -> bool:
    """Tell whether a network holds fake quantisers."""
    return any(isinstance(module, FakeQuantizer | _RoundsWeight) for module in model.modules())


def set_observing(model: nn.Module, on: bool) -> None:
    """Let training batches move the ranges of all activations, or freeze them; nothing else is touched."""
    for module in model.modules():
        if isinstance(module, FakeQuantizer):
            module.set_observing(on)

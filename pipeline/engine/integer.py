"""The modules of a lowered network: integers in the state dict, ordinary floats between the modules.

Operators of our own stay whole when torch exports a network: `pqd::quantize` and `pqd::dequantize` mean exactly
what ONNX calls QuantizeLinear and DequantizeLinear, `pqd::global_average` what it calls GlobalAveragePool.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.engine.fake_quant import ACTIVATION_MAX, MIN_SCALE
from pipeline.engine.tracing import Leaf

BIAS_MAX = 2**30
"""Largest magnitude of an int32 bias; as much again is left for the products added to it."""

LIBRARY = "pqd"
"""Namespace of our operators."""

_library = torch.library.Library(LIBRARY, "DEF")
_library.define("quantize(Tensor x, Tensor scale, Tensor zero_point) -> Tensor")
_library.define("dequantize(Tensor codes, Tensor scale, Tensor? zero_point=None) -> Tensor")
_library.define("global_average(Tensor x) -> Tensor")


@torch.library.impl(_library, "quantize", "CompositeExplicitAutograd")
def quantize(x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
    """Return the uint8 codes of `x`; ties go to the even code."""
    return ((x / scale).round() + zero_point).clamp(0, ACTIVATION_MAX).to(torch.uint8)


@torch.library.impl(_library, "dequantize", "CompositeExplicitAutograd")
def dequantize(codes: Tensor, scale: Tensor, zero_point: Tensor | None = None) -> Tensor:
    """Return the float32 values of integer codes, with one scale in all or one for each of `codes`' rows."""
    rows = [-1, *[1] * (codes.dim() - 1)] if scale.dim() else []
    values = codes.float() if zero_point is None else codes.float() - zero_point.view(rows)
    return values * scale.view(rows)


@torch.library.impl(_library, "global_average", "CompositeExplicitAutograd")
def global_average(x: Tensor) -> Tensor:
    """Return the mean of each channel of `(N, C, H, W)`, `(N, C, 1, 1)`."""
    return x.mean((2, 3), keepdim=True)


# The shapes alone, for export: found through the arithmetic above they took half of its time.
torch.library.register_fake("pqd::quantize", lambda x, *_: torch.empty_like(x, dtype=torch.uint8), lib=_library)
torch.library.register_fake("pqd::dequantize", lambda x, *_: torch.empty_like(x, dtype=torch.float32), lib=_library)
torch.library.register_fake("pqd::global_average", lambda x: x.new_empty(*x.shape[:2], 1, 1), lib=_library)

QUANTIZE = torch.ops.pqd.quantize.default
"""The operator that becomes QuantizeLinear."""
DEQUANTIZE = torch.ops.pqd.dequantize.default
"""The operator that becomes DequantizeLinear, axis 0."""
GLOBAL_AVERAGE = torch.ops.pqd.global_average.default
"""The operator that becomes GlobalAveragePool."""
SPELLED_OUT = {QUANTIZE: quantize, DEQUANTIZE: dequantize, GLOBAL_AVERAGE: global_average}
"""Each of our operators in torch's own."""


class Normalization(Leaf):
    """Turns raw images into zero mean and unit deviation."""

    mean: Tensor
    """Of each channel in pixel units, 0..255, `(C, 1, 1)`."""
    std: Tensor
    """Of each channel in pixel units, `(C, 1, 1)`."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.register_buffer("mean", 255.0 * torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", 255.0 * torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Map uint8 `(N, C, H, W)` to float32 of the same shape."""
        return (images.float() - self.mean) / self.std


class QuantizeDequantize(Leaf):
    """Rounds an activation to its frozen 8-bit grid."""

    scale: Tensor
    """Step of the grid, float32 scalar."""
    zero_point: Tensor
    """Code of the value 0, uint8 scalar."""

    def __init__(self, scale: Tensor, zero_point: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.clone())
        self.register_buffer("zero_point", zero_point.to(torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Return the grid values nearest to `x`, float32."""
        codes = QUANTIZE(x, self.scale, self.zero_point)
        values: Tensor = DEQUANTIZE(codes, self.scale, self.zero_point)
        return values


class ChannelAffine(Leaf):
    """What batch normalisation comes to when there is no layer to fold it into."""

    factor: Tensor
    """`(C,)`."""
    offset: Tensor
    """`(C,)`."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.register_buffer("factor", factor)
        self.register_buffer("offset", offset)

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift each channel of `(N, C, ...)`."""
        mean, variance = torch.zeros_like(self.factor), torch.ones_like(self.factor)
        return F.batch_norm(x, mean, variance, self.factor, self.offset, eps=0.0)


class _IntegerLayer(Leaf):
    weight: Tensor
    """int8 codes, `(C_out, ...)`."""
    weight_scale: Tensor
    """Step of each output channel, float32 `(C_out,)`."""
    bias: Tensor
    """`(C_out,)`: int32 in units of input scale times weight scale, or float32 where the input has no grid."""

    def __init__(self, weight: Tensor, scale: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", scale)
        self.register_buffer("bias", bias)

    def _values(self, input_scale: Tensor | None) -> tuple[Tensor, Tensor]:
        # Symmetric, but spelled out: ONNX Runtime 1.31 fuses Gemm only when the weight has a zero point.
        zero_point = torch.zeros_like(self.weight_scale, dtype=torch.int8)
        weight = DEQUANTIZE(self.weight, self.weight_scale, zero_point)
        if input_scale is None:
            return weight, self.bias
        return weight, DEQUANTIZE(self.bias, input_scale * self.weight_scale)


class IntegerConv2d(_IntegerLayer):
    """A convolution with int8 weights."""

    def __init__(self, layer: nn.Conv2d, weight: Tensor, scale: Tensor, bias: Tensor) -> None:
        super().__init__(weight, scale, bias)
        self.stride, self.padding = layer.stride, layer.padding
        self.dilation, self.groups = layer.dilation, layer.groups

    def forward(self, x: Tensor, input_scale: Tensor | None = None) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C_out, H_out, W_out)`; `input_scale` is the step of `x`'s grid."""
        weight, bias = self._values(input_scale)
        return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)


class IntegerLinear(_IntegerLayer):
    """A linear layer with int8 weights."""

    def forward(self, x: Tensor, input_scale: Tensor | None = None) -> Tensor:
        """Map `(..., in_features)` to `(..., out_features)`; `input_scale` is the step of `x`'s grid."""
        return F.linear(x, *self._values(input_scale))


def integer_layer(
    layer: nn.Conv2d | nn.Linear, codes: Tensor, scale: Tensor, bias: Tensor, input_scale: Tensor | None
) -> IntegerConv2d | IntegerLinear:
    """Build the integer form of a layer.

    A channel whose weights are tiny beside its bias would need a bias beyond `BIAS_MAX`. Its scale is raised until
    the bias fits and its codes are rounded anew; next to such a bias the difference is below one part in 10^7. The
    same rule gives a channel that batch normalisation multiplies by zero a usable scale and codes of zero.

    Args:
        layer: Gives stride, padding, dilation and groups of a convolution.
        codes: Weight codes, whole numbers in -127..127, `(C_out, ...)`.
        scale: Step of each output channel, not negative, `(C_out,)`.
        bias: Bias in real units, `(C_out,)`.
        input_scale: Step of the input's grid; None where the input is on none, and the bias stays float32.
    """
    raised = scale.double().clamp(min=MIN_SCALE)
    if input_scale is not None:
        raised = raised.maximum(bias.abs() / (input_scale.double() * BIAS_MAX))
    raised = raised.float()
    shrink = torch.where(scale < raised.double() * (1 - 1e-6), scale / raised, 1.0)
    weight = (codes * shrink.view(-1, *[1] * (codes.dim() - 1))).round().to(torch.int8)
    stored = bias.float()
    if input_scale is not None:
        steps = (bias / (input_scale.double() * raised.double())).round()
        stored = steps.clamp(-BIAS_MAX, BIAS_MAX).to(torch.int32)  # the scale's own rounding may exceed it by 1e-7
    if isinstance(layer, nn.Conv2d):
        return IntegerConv2d(layer, weight, raised, stored)
    return IntegerLinear(weight, raised, stored)

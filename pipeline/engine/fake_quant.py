"""Preparing a network for INT8: fake quantisers that training sees and lowering turns into integers.

Weights are rounded to a symmetric grid per output channel, activations to an unsigned 8-bit affine grid per
tensor in which zero is exact (unsigned, because runtimes have no fast path for signed activations). Gradients
pass straight through the rounding and stop where an activation is clipped. A prepared network is an ordinary
trainable one: every parameter and mask keeps its name, batch normalisation stays separate, and all state lies in
buffers, so a state dict restores it bit for bit into a newly prepared network.
"""

import copy
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from pipeline.engine import tracing
from pipeline.errors import StageError

QUANTIZERS = "quantizers"
"""Name of the submodule that holds the quantisers of activations, in a prepared and in a lowered network."""

ACTIVATION_MAX = 255
"""Largest code of an activation; the smallest is 0."""

MIN_SCALE = 2.0**-40
"""Smallest step of any grid. Far below useful values, yet two of them multiply without leaving float32."""

AVERAGING = 0.05
"""Share of the newest batch in the moving average of an activation's range, in (0, 1]."""


class FakeQuantizer(tracing.Leaf):
    """Rounds an activation to 256 levels between a smallest and a largest value.

    While it observes, in training mode only, the range follows a moving average of each batch's extremes; the
    first batch sets it. It always includes 0. A batch with infinities or NaN leaves it alone.
    """

    range_min: Tensor
    """Smallest value, at most 0; infinity until a batch was seen."""
    range_max: Tensor
    """Largest value, at least 0; minus infinity until a batch was seen."""
    scale: Tensor
    """Step between two levels, float32, at least `MIN_SCALE`."""
    zero_point: Tensor
    """Code of the value 0, int32 in [0, 255]."""
    observing: Tensor
    """Bool: whether training batches move the range. A buffer, so that a frozen range stays frozen on loading."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("range_min", torch.tensor(torch.inf))
        self.register_buffer("range_max", torch.tensor(-torch.inf))
        self.register_buffer("scale", torch.tensor(1.0))
        self.register_buffer("zero_point", torch.tensor(0, dtype=torch.int32))
        self.register_buffer("observing", torch.tensor(True))
        self._is_observing = True  # mirrors the buffer: asking a tensor would wait for the accelerator

    def forward(self, x: Tensor) -> Tensor:
        """Round `x`, of any shape and floating type, in float32."""
        x = x.float()  # under autocast; float32 input and output keep the grid exact
        if self.training and self._is_observing:
            self._observe(x.detach())
        rounded: Tensor = torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, 0, ACTIVATION_MAX)
        return rounded

    def set_observing(self, on: bool) -> None:
        """Let training batches move the range, or freeze it."""
        self.observing.fill_(on)
        self._is_observing = on

    @torch.no_grad()
    def _observe(self, x: Tensor) -> None:
        low, high = torch.aminmax(x)
        is_finite = low.isfinite() & high.isfinite()
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        is_first = self.range_min.isinf()
        low = torch.where(is_first, low, torch.lerp(self.range_min, low, AVERAGING))
        high = torch.where(is_first, high, torch.lerp(self.range_max, high, AVERAGING))
        scale = ((high - low) / ACTIVATION_MAX).clamp(min=MIN_SCALE)
        zero_point = (-low / scale).round().clamp(0, ACTIVATION_MAX).int()
        updates = {"range_min": low, "range_max": high, "scale": scale, "zero_point": zero_point}
        for name, value in updates.items():
            buffer = self._buffers[name]
            assert buffer is not None
            buffer.copy_(torch.where(is_finite, value, buffer))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._is_observing = bool(self.observing)


class FakeQuantConv2d(tracing.Leaf, nn.Conv2d):
    """A convolution whose weight is rounded on the way in; made by `prepare` only."""

    weight_bits: int

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name that nn.Conv2d gives it)
        """Map `(N, C_in, H, W)` to `(N, C_out, H_out, W_out)`."""
        return self._conv_forward(input, fake_quantize_weight(self.weight, self.weight_bits), self.bias)


class FakeQuantLinear(tracing.Leaf, nn.Linear):
    """A linear layer whose weight is rounded on the way in; made by `prepare` only."""

    weight_bits: int

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (the name that nn.Linear gives it)
        """Map `(..., in_features)` to `(..., out_features)`."""
        return F.linear(input, fake_quantize_weight(self.weight, self.weight_bits), self.bias)


def weight_scale(weight: Tensor, bits: int) -> Tensor:
    """Return the grid step of each output channel `(C,)`, the largest magnitude landing on the largest code.

    Args:
        weight: `(C, ...)`.
        bits: Width of the signed grid, 2..8; 8 bits reach from -127 to 127.
    """
    peak = weight.detach().abs().flatten(1).amax(dim=1)
    return (peak / (2 ** (bits - 1) - 1)).clamp(min=MIN_SCALE)


def fake_quantize_weight(weight: Tensor, bits: int) -> Tensor:
    """Round `weight` `(C, ...)` to the grid of each output channel; gradients pass straight through."""
    code_max = 2 ** (bits - 1) - 1
    scale = weight_scale(weight, bits)
    zero_point = torch.zeros_like(scale, dtype=torch.int32)
    rounded: Tensor = torch.fake_quantize_per_channel_affine(weight, scale, zero_point, 0, -code_max, code_max)
    return rounded


def prepare(model: nn.Module, *, weight_bits: int = 8) -> fx.GraphModule:
    """Return a copy of `model` with fake quantisers in place; the model itself is not changed.

    Every `Conv2d` (zero padding) and `Linear` rounds its weight. Activations are rounded at the input, after every
    chain of convolution or linear, batch normalisation and ReLU except the one that ends in the logits, after every
    addition (and its ReLU), after batch normalisation (and its ReLU) that follows no convolution, and wherever else
    a convolution, linear layer or addition would read a value that is not yet on a grid.

    Args:
        model: Traceable by torch.fx, with one input; every module with parameters is called once.
        weight_bits: Width of the weights' grid, 2..8. The codes are stored as int8 whatever the width.

    Raises:
        StageError: the model is prepared already, cannot be traced, or calls a module with parameters twice.
        ValueError: `weight_bits` lies outside 2..8.
    """
    if not 2 <= weight_bits <= 8:
        raise ValueError(f"weight bits must lie in 2..8, found {weight_bits!r}")
    if is_prepared(model):
        raise StageError("the network is prepared for quantisation already; a recipe may hold one quantize stage.")
    prepared = tracing.trace(copy.deepcopy(model))
    for module in prepared.modules():
        _round_weight(module, weight_bits)
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    for node in _quantised_results(prepared.graph):
        name = f"{QUANTIZERS}.{node.name}"
        prepared.add_submodule(name, FakeQuantizer().to(device))
        with prepared.graph.inserting_after(node):
            rounded = prepared.graph.call_module(name, (node,))
        node.replace_all_uses_with(rounded)
        rounded.args = (node,)
    prepared.graph.lint()
    prepared.recompile()
    prepared.train(model.training)
    return prepared


def is_prepared(model: nn.Module) -> bool:
    """Tell whether `prepare` made this model."""
    return any(isinstance(m, FakeQuantizer | FakeQuantConv2d | FakeQuantLinear) for m in model.modules())


def set_observing(model: nn.Module, on: bool) -> None:
    """Let training batches move the ranges of all activations, or freeze them; nothing else is touched."""
    for module in model.modules():
        if isinstance(module, FakeQuantizer):
            module.set_observing(on)


def _round_weight(module: nn.Module, bits: int) -> None:
    """Turn a plain convolution or linear layer into its rounding subclass, tensors and masks untouched."""
    twin: type[FakeQuantConv2d | FakeQuantLinear]
    if type(module) is nn.Conv2d and module.padding_mode == "zeros":
        twin = FakeQuantConv2d
    elif type(module) is nn.Linear:
        twin = FakeQuantLinear
    else:
        return
    # Changing the class of our own copy keeps parameters, masks and hooks as they are.
    cast("Any", module).__class__ = twin
    cast("Any", module).weight_bits = bits


def _quantised_results(graph: fx.Graph) -> list[fx.Node]:
    """Return the nodes whose results must lie on a grid, in the order of the graph."""
    chosen: set[fx.Node] = set()
    for node in graph.nodes:
        if _is_integer_op(node):
            chosen.update(_origin(operand) for operand in node.all_input_nodes)
        if _is_integer_op(node) or tracing.is_batch_norm(node):
            end = _chain_end(node)
            if not _ends_in_output(end):
                chosen.add(end)
    return [node for node in graph.nodes if node in chosen]


def _is_integer_op(node: fx.Node) -> bool:
    return tracing.kind(node) in (FakeQuantConv2d, FakeQuantLinear) or tracing.is_addition(node)


def _chain_end(node: fx.Node) -> fx.Node:
    """Follow a node through the batch normalisation and ReLU that lowering will fuse with it."""
    user = tracing.sole_user(node)
    if tracing.kind(node) in (FakeQuantConv2d, FakeQuantLinear) and user and tracing.is_batch_norm(user):
        node, user = user, tracing.sole_user(user)
    return user if user is not None and tracing.is_relu(user) else node


def _origin(node: fx.Node) -> fx.Node:
    """Go back to the operation that computed the values of a node."""
    while tracing.keeps_values(node):
        node = node.all_input_nodes[0]
    return node


def _ends_in_output(node: fx.Node) -> bool:
    return all(user.op == "output" or (tracing.keeps_values(user) and _ends_in_output(user)) for user in node.users)

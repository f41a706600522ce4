"""Lowering: the trained network becomes the integers that are deployed, still runnable in torch.

Batch normalisation is folded exactly. With a grid per output channel the integer weights do not change at all:
`gamma / sigma` goes into the channel's scale, its sign flips the codes, the rest goes into the bias. The lowered
module takes raw images and its state dict is what a checkpoint holds: codes, scales and biases, each once.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from pipeline.engine import sparsity, tracing
from pipeline.engine.fake_quant import ACTIVATION_MAX, FakeQuantConv2d, FakeQuantizer, FakeQuantLinear
from pipeline.engine.integer import (
    GLOBAL_AVERAGE,
    ChannelAffine,
    IntegerConv2d,
    IntegerLinear,
    Normalization,
    QuantizeDequantize,
    integer_layer,
)
from pipeline.engine.placement import QUANTIZERS
from pipeline.engine.sparsity import MASK
from pipeline.errors import StageError

NORMALIZATION = "input_normalization"
"""Name of the submodule that turns raw images into what the network was trained on."""


@torch.no_grad()
def lower(model: nn.Module, *, mean: Sequence[float], std: Sequence[float]) -> fx.GraphModule:
    """Return the deployed form of a trained network, on the CPU and in evaluation mode.

    It maps raw images, uint8 `(N, C, H, W)`, to float32 logits. A prepared network becomes integers; an ordinary
    one stays float32 with batch normalisation folded; masks are applied and gone. The model is not changed.

    Args:
        model: Traceable by torch.fx.
        mean: Mean of each channel, of images scaled to [0, 1].
        std: Standard deviation of each channel, of images scaled to [0, 1], positive.

    Raises:
        StageError: the model cannot be traced, an activation's range was never observed, or a weight is infinite
            or NaN.
    """
    copied = copy.deepcopy(model).cpu().eval()
    sparsity.enforce(copied)
    lowered = tracing.trace(copied)
    _fold_batch_norms(lowered)
    _lower_nodes(lowered)
    image = next(node for node in lowered.graph.nodes if node.op == "placeholder")
    lowered.add_submodule(NORMALIZATION, Normalization(mean, std))
    with lowered.graph.inserting_after(image):
        normalised = lowered.graph.call_module(NORMALIZATION, (image,))
    image.replace_all_uses_with(normalised)
    normalised.args = (image,)
    lowered.delete_all_unused_submodules()
    lowered.graph.lint()
    lowered.recompile()
    return lowered.eval().requires_grad_(False)


def integer_weights(lowered: nn.Module) -> dict[str, Tensor]:
    """Return the int8 weight codes of every integer layer, by qualified name; empty for a float32 network."""
    return {
        name: module.weight
        for name, module in lowered.named_modules()
        if isinstance(module, IntegerConv2d | IntegerLinear)
    }


def _fold_batch_norms(model: fx.GraphModule) -> None:
    """Take batch normalisation out of the graph; leave its factor and offset with the layer in front of it."""
    nodes: list[fx.Node] = list(model.graph.nodes)
    for node in nodes:
        if not tracing.is_batch_norm(node):
            continue
        norm = tracing.called_module(node)
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        factor, offset = _affine(norm)
        source = node.all_input_nodes[0]
        if isinstance(_layer(source), nn.Conv2d | nn.Linear) and tracing.sole_user(source) is node:
            source.meta["factor"], source.meta["offset"] = factor, offset
            node.replace_all_uses_with(source)
            model.graph.erase_node(node)
        else:
            _replace(model, str(node.target), ChannelAffine(factor.float(), offset.float()))


def _lower_nodes(model: fx.GraphModule) -> None:
    """Replace every layer and fake quantiser; keep track of the grid on which each value lies."""
    grids: dict[fx.Node, str] = {}
    for node in list(model.graph.nodes):
        if not node.all_input_nodes:
            continue
        source = node.all_input_nodes[0]
        layer = _layer(node)
        if tracing.is_global_average(node):
            _average_globally(model, node)
        elif tracing.does_nothing(node):
            node.replace_all_uses_with(source)
            model.graph.erase_node(node)
        elif isinstance(layer, FakeQuantizer):
            if layer.rectify:
                with model.graph.inserting_before(node):
                    node.args = (model.graph.call_function(torch.relu, (source,)),)
            _replace(model, str(node.target), _quantizer(str(node.target), layer))
            grids[node] = str(node.target)
            _lower_clip(model, node)
        elif source in grids and tracing.is_split(node):
            grids[node] = grids[source]
        elif source in grids and tracing.keeps_values(node):
            # Runtimes fuse a layer only with a DequantizeLinear right in front of it.
            with model.graph.inserting_after(node):
                again = model.graph.call_module(grids[source], (node,))
            node.replace_all_uses_with(again)
            again.args = (node,)
            grids[again] = grids[source]
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            _lower_layer(model, node, layer, grids.get(source))


def _average_globally(model: fx.GraphModule, node: fx.Node) -> None:
    """Call the pooling by a name that ONNX knows: torch exports it as a mean and a gather, which stay float."""
    with model.graph.inserting_after(node):
        average = model.graph.call_function(GLOBAL_AVERAGE, (node.args[0],))
    if tracing.drops_axes(node):
        with model.graph.inserting_after(average):
            flat = model.graph.call_function(torch.flatten, (average, 1))
    else:
        flat = average
    node.replace_all_uses_with(flat)
    model.graph.erase_node(node)


def _lower_clip(model: fx.GraphModule, node: fx.Node) -> None:
    """Leave the clip in front of a quantiser to the ends of its grid, where they clip no less.

    Elsewhere the clip stays, and its input is rounded to the same grid, so that the layer before it runs in integers:
    rounding never moves a value past a bound, so the results are the same.
    """
    clip, quantizer = node.all_input_nodes[0], tracing.called_module(node)
    bounds = tracing.clip_bounds(clip)
    if bounds is None:
        return
    assert isinstance(quantizer, QuantizeDequantize)
    low, high = ((bound / quantizer.scale).round() + quantizer.zero_point for bound in bounds)
    if low <= 0 and high >= ACTIVATION_MAX:
        node.args = (clip.args[0],)
        if not clip.users:
            model.graph.erase_node(clip)
        return
    with model.graph.inserting_before(clip):
        clip.args = (model.graph.call_module(str(node.target), (clip.args[0],)), *clip.args[1:])


def _lower_layer(model: fx.GraphModule, node: fx.Node, layer: nn.Conv2d | nn.Linear, grid: str | None) -> None:
    weight, bias = _folded(node, layer)
    if not isinstance(layer, FakeQuantConv2d | FakeQuantLinear):
        _replace(model, str(node.target), _float_layer(layer, weight, bias))
        return
    factor = node.meta.get("factor", torch.ones(len(weight), dtype=torch.float64))
    codes = layer.codes() * _per_channel(factor.sign(), weight)
    input_scale = None
    if grid is not None:
        quantizer = model.get_submodule(grid)
        assert isinstance(quantizer, QuantizeDequantize)
        input_scale = quantizer.scale
        with model.graph.inserting_before(node):
            node.args = (node.args[0], model.graph.get_attr(f"{grid}.scale"))
    _replace(model, str(node.target), integer_layer(layer, codes, layer.step() * factor.abs(), bias, input_scale))


def _folded(node: fx.Node, layer: nn.Conv2d | nn.Linear) -> tuple[Tensor, Tensor]:
    """Return weight and bias, float64, with the batch normalisation behind the layer in them."""
    weight = layer.weight.detach().double()
    if not weight.isfinite().all():
        raise StageError(f"the weight of {node.target!r} holds infinities or NaN; the training diverged.")
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias
    if "factor" not in node.meta:
        return weight, bias.double()
    factor: Tensor = node.meta["factor"]
    return weight * _per_channel(factor, weight), bias * factor + node.meta["offset"]


def _float_layer(layer: nn.Conv2d | nn.Linear, weight: Tensor, bias: Tensor) -> nn.Module:
    """Return a plain copy of `layer` with these tensors and no mask."""
    plain = copy.copy(layer)
    plain._parameters = {"weight": nn.Parameter(weight.float()), "bias": nn.Parameter(bias.float())}
    plain._buffers = {name: buffer for name, buffer in layer._buffers.items() if name != MASK}
    return plain


def _affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return factor and offset `(C,)`, float64, of batch normalisation in evaluation mode."""
    if norm.running_mean is None or norm.running_var is None:
        raise StageError("BatchNorm without running statistics cannot be folded; keep track_running_stats on.")
    factor = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        factor = factor * norm.weight
    offset = -norm.running_mean * factor
    return factor, offset if norm.bias is None else offset + norm.bias


def _quantizer(name: str, fake: FakeQuantizer) -> QuantizeDequantize:
    if fake.num_batches == 0:
        raise StageError(
            f"the range of {name.removeprefix(QUANTIZERS + '.')!r} was never observed; train the prepared network "
            "on at least one batch before lowering it."
        )
    return QuantizeDequantize(fake.step().detach(), fake.zero_point)


def _layer(node: fx.Node) -> nn.Module | None:
    return tracing.called_module(node) if node.op == "call_module" else None


def _replace(model: fx.GraphModule, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, module)


def _per_channel(values: Tensor, weight: Tensor) -> Tensor:
    return values.view(-1, *[1] * (weight.dim() - 1))

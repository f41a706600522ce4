"""A lowered network with its integer layers as oneDNN's INT8 operators, as torch executes them on an x86 processor.

A lowered network tells what an integer layer means: codes are dequantised, a float operator computes, the result is
quantised. All of that together is one operator of oneDNN, on codes from end to end. What is left are sums, poolings
and the quantisers behind them: ordinary arithmetic that a compiler fuses.
"""

import contextlib
import operator
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx

from pipeline.engine import integer
from pipeline.engine.program import check_images

aten, onednn = torch.ops.aten, torch.ops.onednn

_CONVOLUTION = aten.convolution.default
_PRODUCTS = (aten.addmm.default, aten.mm.default, aten.bmm.default)
_BODIES = {
    integer.QUANTIZE: integer.quantize,
    integer.DEQUANTIZE: integer.dequantize,
    integer.GLOBAL_AVERAGE: integer.global_average,
}

# A compiler asks for the shapes before the weights are packed; torch 2.15 does not tell it.
with contextlib.suppress(RuntimeError):
    torch.library.register_fake("onednn::qconv_prepack", lambda weight, *_: torch.empty_like(weight))
    torch.library.register_fake("onednn::qlinear_prepack", lambda weight, _: torch.empty_like(weight.t()))


@dataclass(frozen=True)
class _Layer:
    node: fx.Node
    """The float operator."""
    codes: fx.Node
    """Of the activation, uint8."""
    scale: float
    zero_point: int
    weight: Tensor
    """int8 codes, `(C_out, ...)`."""
    weight_scale: Tensor
    """`(C_out,)`."""
    bias: Tensor | None
    """In real units, `(C_out,)`."""
    geometry: tuple[Any, ...] | None
    """Stride, padding, dilation and groups; None for a product."""


def supported() -> bool:
    """Tell whether this torch has oneDNN's INT8 operators for this processor."""
    return torch.backends.mkldnn.is_available() and platform.machine().lower() in ("x86_64", "amd64")


def fuse(network: fx.GraphModule) -> tuple[fx.GraphModule, dict[str, int]]:
    """Give the same network in operators that a compiler understands, its integer layers as those of oneDNN.

    Args:
        network: What `program.read` returned; it is not changed.

    Returns:
        The network, and the number of its convolutions and products by the precision that they are executed in:
        where oneDNN has no INT8 operator for the processor, integer layers are computed in float32, too.
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(network.graph, {}))
    fused = fx.GraphModule(network, graph)
    constants = dict(_constants(fused))
    precision: Counter[str] = Counter()
    for node in list(fused.graph.nodes):
        if node.target is check_images:
            node.replace_all_uses_with(node.args[0])
        elif node in constants or node.target not in (_CONVOLUTION, *_PRODUCTS):
            continue
        elif (layer := _integer_layer(node, constants)) is None:
            precision["float32"] += 1
        else:
            _replace(fused, layer, constants)
            precision["int8"] += 1
    fused.graph.eliminate_dead_code()
    for node in fused.graph.nodes:
        node.target = _BODIES.get(node.target, node.target)
    fused.recompile()
    return fused.eval(), dict(precision)


def _constants(network: fx.GraphModule) -> Iterator[tuple[fx.Node, Tensor]]:
    """Compute what does not depend on the images."""
    known: dict[fx.Node, Any] = {}
    for node in network.graph.nodes:
        if node.op == "get_attr":
            known[node] = operator.attrgetter(node.target)(network)
        elif node.op == "call_function" and node.all_input_nodes and known.keys() >= set(node.all_input_nodes):
            arguments, keywords = fx.map_arg((node.args, node.kwargs), known.__getitem__)
            known[node] = node.target(*arguments, **keywords)
        else:
            continue
        yield node, known[node]


def _integer_layer(node: Any, constants: dict[fx.Node, Tensor]) -> _Layer | None:
    """Read an integer layer off the graph; None for what is not one, or cannot be executed as one."""
    geometry = None
    if node.target is _CONVOLUTION:
        x, weight, bias, stride, padding, dilation, transposed, _, groups = node.args
        geometry = (stride, padding, dilation, groups)
        if transposed or len(stride) != 2:
            return None
    elif node.target is aten.addmm.default:
        bias, x, weight = node.args
    else:
        (x, weight), bias = node.args, None
    if geometry is None and weight.target is aten.permute.default:
        weight = weight.args[0]
    both = (x, weight)
    if not supported() or any(side.target is not integer.DEQUANTIZE for side in both) or x in constants:
        return None
    scale, zero_point = (constants[argument] for argument in x.args[1:])
    codes, weight_scale = (constants[argument] for argument in weight.args[:2])
    return _Layer(
        node=node,
        codes=x.args[0],
        scale=float(scale),
        zero_point=int(zero_point),
        weight=codes,
        weight_scale=weight_scale,
        bias=None if bias is None else constants[bias],
        geometry=geometry,
    )


def _replace(network: fx.GraphModule, layer: _Layer, constants: dict[fx.Node, Tensor]) -> None:
    """Put one operator in the place of a layer, its ReLU and its quantiser, as far as nothing else reads in between."""
    last: Any = layer.node
    activation = "none"
    if _only_user(last, aten.relu.default):
        (last,) = last.users
        activation = "relu"
    output: tuple[float, int, torch.dtype] = (1.0, 0, torch.float32)
    if _only_user(last, integer.QUANTIZE):
        (last,) = last.users
        output = (float(constants[last.args[1]]), int(constants[last.args[2]]), torch.uint8)
    graph, name = network.graph, layer.node.name

    def constant(kind: str, value: Tensor) -> fx.Node:
        network.register_buffer(f"{name}_{kind}", value)
        return graph.get_attr(f"{name}_{kind}")

    with graph.inserting_before(last):
        weight, scale = constant("weight", layer.weight), constant("scale", layer.weight_scale)
        zero_point = constant("zero_point", torch.zeros(len(layer.weight_scale), dtype=torch.int32))
        bias = None if layer.bias is None else constant("bias", layer.bias)
        x = (layer.codes, layer.scale, layer.zero_point)
        after: tuple[Any, ...] = (*output, activation, [], "")
        if layer.geometry is None:
            packed = graph.call_function(onednn.qlinear_prepack.default, (weight, None))
            call, given = onednn.qlinear_pointwise.default, (*x, packed, scale, zero_point, bias, *after)
        else:
            how = (weight, scale, layer.scale, layer.zero_point, *layer.geometry)
            packed = graph.call_function(onednn.qconv_prepack.default, how)
            call = onednn.qconv_pointwise.default
            given = (*x, packed, scale, zero_point, bias, *layer.geometry, *after)
        last.replace_all_uses_with(graph.call_function(call, given))


def _only_user(node: fx.Node, target: Any) -> bool:
    return len(node.users) == 1 and next(iter(node.users)).target is target

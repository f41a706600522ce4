"""Preparing a network for INT8: where fake quantisers stand.

A prepared network is an ordinary trainable one: every parameter and mask keeps its name, and batch normalisation
stays separate.
"""

import copy
from dataclasses import dataclass
from typing import Literal

import torch
from torch import fx, nn

from pipeline.engine import tracing
from pipeline.engine.fake_quant import (
    FakeQuantConv2d,
    FakeQuantizer,
    FakeQuantLinear,
    LearnedFakeQuantizer,
    is_prepared,
    rounding,
)
from pipeline.engine.observers import ObserverName
from pipeline.errors import StageError

QUANTIZERS = "quantizers"
"""Name of the submodule that holds the quantisers of activations, in a prepared and in a lowered network."""


@dataclass(frozen=True)
class FloatOperation:
    """An operation of a prepared network that no runtime will compute in integers."""

    name: str
    """Qualified name of the module; of a function the name of its node in the graph."""
    what: str
    """The operation in a word or two: `Hardswish`, `Conv2d with reflect padding`."""
    reason: str
    """Why it stays in float32."""


EndPolicy = Literal["same", "8-bit", "float"]


@dataclass(frozen=True, kw_only=True)
class Scheme:
    """How a network is quantised."""

    weight_bits: int = 8
    """Width of the weights' grid, 2..8. The codes are stored as int8 whatever the width."""
    observer: ObserverName = "min-max"
    """What makes the range of an activation of a batch."""
    learned_step: bool = False
    """The steps of weights and activations are parameters that training moves."""
    first_last: EndPolicy = "same"
    """The first and the last layer: like all others, on `end_bits`, or left in float32."""
    end_bits: int = 8
    """Width of the weights' grid of the first and the last layer where they have one of their own."""


def prepare(model: nn.Module, scheme: Scheme = Scheme()) -> fx.GraphModule:
    """Return a copy of `model` with fake quantisers in place; the model itself is not changed.

    Every `Conv2d` (zero padding) and `Linear` rounds its weight. Activations are rounded at the input, after every
    chain of convolution or linear, batch normalisation and ReLU (or ReLU6, Hardtanh) except the one that ends in the
    logits, after every sum, product, concatenation, average pooling and sigmoid (and its ReLU), after batch
    normalisation (and its ReLU) that follows no convolution, and wherever else one of these would read a value that
    is not yet on a grid. The branch that evaluation takes is the one that is prepared.

    Args:
        model: Traceable by torch.fx, with one input; every module with parameters is called once.
        scheme: Widths, ranges and exceptions.

    Raises:
        StageError: the model is prepared already, cannot be traced, or calls a module with parameters twice.
        ValueError: `weight_bits` lies outside 2..8.
    """
    if not 2 <= scheme.weight_bits <= 8:
        raise ValueError(f"weight bits must lie in 2..8, found {scheme.weight_bits!r}")
    if is_prepared(model):
        raise StageError("the network is prepared for quantisation already; a recipe may hold one quantize stage.")
    prepared = tracing.trace(copy.deepcopy(model).eval())
    layers = [tracing.called_module(node) for node in tracing.calls(prepared.graph, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        bits = scheme.weight_bits
        if layer is layers[0] or layer is layers[-1]:
            if scheme.first_last == "float":
                continue
            bits = bits if scheme.first_last == "same" else scheme.end_bits
        rounding(layer, bits=bits, learned_step=scheme.learned_step)
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    for node in _quantised_results(prepared.graph):
        _insert_quantizer(prepared, node, scheme, device)
    prepared.graph.lint()
    prepared.recompile()
    prepared.train(model.training)
    return prepared


def _insert_quantizer(prepared: fx.GraphModule, node: fx.Node, scheme: Scheme, device: torch.device) -> None:
    """Round the result of a node; a ReLU is taken over by its quantiser."""
    name = f"{QUANTIZERS}.{node.name}"
    rectify = tracing.is_relu(node)
    twin = LearnedFakeQuantizer if scheme.learned_step else FakeQuantizer
    prepared.add_submodule(name, twin(observer=scheme.observer, rectify=rectify).to(device))
    with prepared.graph.inserting_after(node):
        rounded = prepared.graph.call_module(name, (node,))
    node.replace_all_uses_with(rounded)
    if rectify:
        rounded.args = (node.all_input_nodes[0],)
        prepared.graph.erase_node(node)
    else:
        rounded.args = (node,)


def _quantised_results(graph: fx.Graph) -> list[fx.Node]:
    """Return the nodes whose results must lie on a grid, in the order of the graph."""
    chosen: set[fx.Node] = set()
    for node in graph.nodes:
        if _is_integer_op(node):
            origins = [_origin(operand) for operand in node.all_input_nodes]
            chosen.update(origin for origin in origins if origin.op != "get_attr")
        if _is_integer_op(node) or tracing.is_batch_norm(node):
            end = _chain_end(node)
            if not _ends_in_output(end):
                chosen.add(end)
    return [node for node in graph.nodes if node in chosen]


def _is_integer_op(node: fx.Node) -> bool:
    joins = tracing.is_sum_or_product(node) or tracing.is_concatenation(node)
    maps = tracing.is_average(node) or tracing.is_sigmoid(node)
    return joins or maps or tracing.kind(node) in (FakeQuantConv2d, FakeQuantLinear)


def _chain_end(node: fx.Node) -> fx.Node:
    """Follow a node through the batch normalisation and ReLU (or clip) that lowering will fuse with it."""
    user = tracing.sole_user(node)
    if tracing.kind(node) in (FakeQuantConv2d, FakeQuantLinear) and user and tracing.is_batch_norm(user):
        node, user = user, tracing.sole_user(user)
    clips = user is not None and (tracing.is_relu(user) or tracing.clip_bounds(user) is not None)
    return user if user is not None and clips else node


def _origin(node: fx.Node) -> fx.Node:
    """Go back to the operation that computed the values of a node."""
    while tracing.keeps_values(node):
        node = node.all_input_nodes[0]
    return node


def _ends_in_output(node: fx.Node) -> bool:
    return all(user.op == "output" or (tracing.keeps_values(user) and _ends_in_output(user)) for user in node.users)


def float_operations(prepared: fx.GraphModule) -> list[FloatOperation]:
    """List what stays in float32 between integers, in the order of the graph.

    Args:
        prepared: What `prepare` returned.
    """
    found = []
    for node in prepared.graph.nodes:
        if node.op.startswith("call") and not (_is_integer_op(node) or _is_fused(node) or tracing.is_size(node)):
            name = str(node.target) if node.op == "call_module" else node.name
            found.append(FloatOperation(name, *_reason(node)))
    return found


def _is_fused(node: fx.Node) -> bool:
    """Tell whether nothing is left to compute for a node: a quantiser, and what a quantiser or a layer takes over."""
    source, user = node.all_input_nodes[:1], tracing.sole_user(node)
    if tracing.is_batch_norm(node):
        return tracing.kind(source[0]) in (FakeQuantConv2d, FakeQuantLinear) and tracing.sole_user(source[0]) is node
    clips = tracing.clip_bounds(node) is not None
    return (
        isinstance(_module(node), FakeQuantizer)
        or tracing.keeps_values(node)
        or (clips and user is not None and isinstance(_module(user), FakeQuantizer))
    )


def _reason(node: fx.Node) -> tuple[str, str]:
    """Say what a node is and why it stays in float32."""
    layer = _module(node)
    kind = tracing.kind(node)
    what = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    if isinstance(layer, nn.Conv2d) and layer.padding_mode != "zeros":
        return f"{what} with {layer.padding_mode} padding", "only padding with zeros has an INT8 form"
    if type(layer) in (nn.Conv2d, nn.Linear):
        return what, "the recipe leaves the first and the last layer in float"
    if isinstance(layer, nn.Conv2d | nn.Linear):
        return what, "it is a subclass, which may compute something else"
    if tracing.is_batch_norm(node):
        return what, "no convolution stands before it that it could be folded into"
    if tracing.is_relu(node) or tracing.clip_bounds(node) is not None:
        return what, "no layer, sum or pooling stands before it that it could be fused with"
    if tracing.is_arithmetic(node):
        return what, "only between two activations it has an INT8 form, not with a constant or a parameter"
    return what, "it has no INT8 form"


def _module(node: fx.Node) -> nn.Module | None:
    return tracing.called_module(node) if node.op == "call_module" else None

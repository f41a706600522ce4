"""Preparing a network for INT8: where fake quantisers stand.

A prepared network is an ordinary trainable one: every parameter and mask keeps its name, and batch normalisation
stays separate.
"""

import copy
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import fx, nn

from pipeline.engine import tracing
from pipeline.engine.fake_quant import (
    FakeQuantConv2d,
    FakeQuantizer,
    FakeQuantLinear,
    LearnedFakeQuantizer,
    is_prepared,
    weight_scale,
)
from pipeline.engine.observers import ObserverName
from pipeline.errors import StageError

QUANTIZERS = "quantizers"
"""Name of the submodule that holds the quantisers of activations, in a prepared and in a lowered network."""

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
    """The first and the last layer: like all others, on 8 bits, or left in float32."""


def prepare(model: nn.Module, scheme: Scheme = Scheme()) -> fx.GraphModule:
    """Return a copy of `model` with fake quantisers in place; the model itself is not changed.

    Every `Conv2d` (zero padding) and `Linear` rounds its weight. Activations are rounded at the input, after every
    chain of convolution or linear, batch normalisation and ReLU except the one that ends in the logits, after every
    addition (and its ReLU), after batch normalisation (and its ReLU) that follows no convolution, and wherever else
    a convolution, linear layer or addition would read a value that is not yet on a grid.

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
    prepared = tracing.trace(copy.deepcopy(model))
    layers = [tracing.called_module(node) for node in tracing.calls(prepared.graph, (nn.Conv2d, nn.Linear))]
    for layer in layers:
        bits = scheme.weight_bits
        if layer is layers[0] or layer is layers[-1]:
            if scheme.first_last == "float":
                continue
            bits = bits if scheme.first_last == "same" else 8
        _round_weight(layer, bits, learned_step=scheme.learned_step)
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


def _round_weight(module: nn.Module, bits: int, *, learned_step: bool) -> None:
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
    step = nn.Parameter(weight_scale(cast("Any", module).weight, bits)) if learned_step else None
    module.register_parameter("weight_step", step)


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

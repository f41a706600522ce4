"""Reading a network as a graph: tracing, and what kind of operation a node is.

Shared by preparing for quantisation and by lowering, which must agree on which operations there are.
"""

import operator
from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import fx, nn

from pipeline.errors import StageError

# Their results hold values of their input and zeros, nothing else: what was on a quantisation grid stays on it.
_KEEPS_VALUES: frozenset[object] = frozenset(
    {
        *(nn.MaxPool1d, nn.MaxPool2d, nn.Flatten, nn.Unflatten, nn.Identity, nn.Dropout, nn.Dropout2d),
        *(nn.ZeroPad2d, F.max_pool1d, F.max_pool2d, torch.max_pool1d, torch.max_pool2d, operator.getitem),
        *(torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.permute, torch.transpose),
        *("contiguous", "flatten", "permute", "reshape", "squeeze", "transpose", "unsqueeze", "view"),
    }
)
_DOES_NOTHING: frozenset[object] = frozenset((nn.Identity, nn.Dropout, nn.Dropout2d))
_RELU: frozenset[object] = frozenset((nn.ReLU, F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"))
_ADD: frozenset[object] = frozenset((operator.add, operator.iadd, torch.add, "add", "add_"))
_SIZE: frozenset[object] = frozenset((getattr, "size", "dim", len))


class Leaf(nn.Module):
    """A module that stays one node when a network is traced."""


class Tracer(fx.Tracer):
    """Symbolic tracer that does not look inside a `Leaf`."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether `m` becomes one node."""
        return isinstance(m, Leaf) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module) -> fx.GraphModule:
    """Trace a network of one input; the result shares its modules.

    Raises:
        StageError: the forward pass depends on values, takes more than one input, or calls a module with
            parameters more than once.
    """
    try:
        graph = Tracer().trace(model)
    except (fx.proxy.TraceError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise StageError(
            f"{type(model).__name__} cannot be traced by torch.fx, so it cannot be quantised: {reason}."
        ) from error
    traced = fx.GraphModule(model, graph, class_name=type(model).__name__)
    if sum(node.op == "placeholder" for node in graph.nodes) != 1:
        raise StageError(f"{type(model).__name__} must take exactly one input to be quantised.")
    _refuse_repeated_calls(traced)
    return traced


def kind(node: fx.Node) -> object:
    """Return what a node calls: the type of a module, a function, or the name of a method; None otherwise."""
    if node.op == "call_module":
        return type(called_module(node))
    return node.target if node.op in ("call_function", "call_method") else None


def called_module(node: fx.Node) -> nn.Module:
    """Return the module that a `call_module` node calls."""
    owner = node.graph.owning_module
    assert owner is not None
    return owner.get_submodule(str(node.target))


def keeps_values(node: fx.Node) -> bool:
    """Tell whether every value of the result is zero or a value of the node's first input."""
    if kind(node) is F.pad:
        settings = (*node.args[2:], *node.kwargs.values())
        return all(setting in ("constant", None, 0) or isinstance(setting, tuple | list) for setting in settings)
    return kind(node) in _KEEPS_VALUES


def does_nothing(node: fx.Node) -> bool:
    """Tell whether a node passes its input through in evaluation mode."""
    return kind(node) in _DOES_NOTHING


def is_relu(node: fx.Node) -> bool:
    """Tell whether a node is a ReLU in any spelling."""
    return kind(node) in _RELU


def is_batch_norm(node: fx.Node) -> bool:
    """Tell whether a node is a batch normalisation of images or sequences."""
    return kind(node) in (nn.BatchNorm1d, nn.BatchNorm2d)


def is_global_average(node: fx.Node) -> bool:
    """Tell whether a node averages each channel of an image to one value and keeps the four axes."""
    if kind(node) is nn.AdaptiveAvgPool2d:
        size: object = called_module(node).output_size
    elif kind(node) is F.adaptive_avg_pool2d:
        size = node.args[1] if len(node.args) > 1 else node.kwargs.get("output_size")
    else:
        return False
    return size == 1 or (isinstance(size, tuple | list) and tuple(size) == (1, 1))


def is_addition(node: fx.Node) -> bool:
    """Tell whether a node adds two activations (not a constant, not sizes)."""
    operands = node.all_input_nodes
    plain = len(node.args) == 2 and not node.kwargs and all(isinstance(arg, fx.Node) for arg in node.args)
    return kind(node) in _ADD and plain and not any(_is_size(operand) for operand in operands)


def sole_user(node: fx.Node) -> fx.Node | None:
    """Return the one node that reads this one's result, None when there are none or several."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def calls(graph: fx.Graph, types: type | tuple[type, ...]) -> Iterator[fx.Node]:
    """Yield the nodes that call a module of one of `types`."""
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(called_module(node), types):
            yield node


def _is_size(node: fx.Node) -> bool:
    return kind(node) in _SIZE or (kind(node) is operator.getitem and _is_size(node.all_input_nodes[0]))


def _refuse_repeated_calls(traced: fx.GraphModule) -> None:
    seen: set[str] = set()
    nodes: Iterable[fx.Node] = traced.graph.nodes
    for node in nodes:
        if node.op != "call_module" or next(called_module(node).parameters(), None) is None:
            continue
        if str(node.target) in seen:
            raise StageError(
                f"the module {node.target!r} has parameters and is called more than once; quantisation needs a range "
                "of its own for each call: give every call its own module."
            )
        seen.add(str(node.target))

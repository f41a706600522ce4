"""Reading a network as a graph: tracing, and what kind of operation a node is.

Shared by preparing for quantisation and by lowering, which must agree on which operations there are.
"""

import math
import operator
from collections.abc import Iterable, Iterator
from typing import Any

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
_SPLITS: frozenset[object] = frozenset((torch.chunk, torch.split, torch.unbind, "chunk", "split", "unbind"))
_DOES_NOTHING: frozenset[object] = frozenset((nn.Identity, nn.Dropout, nn.Dropout2d))
_DROPS_PATHS = frozenset(("DropPath", "StochasticDepth"))
"""Classes of other libraries, by name, that leave out whole branches while a network trains and do nothing after."""
_DROPOUTS: dict[object, type[nn.Module]] = {F.dropout: nn.Dropout, F.dropout2d: nn.Dropout2d}
_RELU: frozenset[object] = frozenset((nn.ReLU, F.relu, F.relu_, torch.relu, torch.relu_, "relu", "relu_"))
_CLAMP: frozenset[object] = frozenset((torch.clamp, torch.clip, "clamp", "clamp_", "clip", "clip_"))
_ADD: frozenset[object] = frozenset((operator.add, operator.iadd, torch.add, "add", "add_"))
_MULTIPLY: frozenset[object] = frozenset((operator.mul, operator.imul, torch.mul, "mul", "mul_"))
_CONCATENATE: frozenset[object] = frozenset((torch.cat, torch.concat, torch.concatenate))
_AVERAGE: frozenset[object] = frozenset((nn.AvgPool2d, nn.AdaptiveAvgPool2d, F.avg_pool2d, F.adaptive_avg_pool2d))
_MEAN: frozenset[object] = frozenset((torch.mean, "mean"))
_SIGMOID: frozenset[object] = frozenset((nn.Sigmoid, F.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"))
_SIZE: frozenset[object] = frozenset((getattr, "size", "dim", len))
_ARITHMETIC = frozenset((operator.getitem, operator.floordiv, operator.sub, *_ADD, *_MULTIPLY))


class Leaf(nn.Module):
    """A module that stays one node when a network is traced."""


class Tracer(fx.Tracer):
    """Symbolic tracer that does not look inside a `Leaf`, nor into what drops whole branches of the network."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Tell whether `m` becomes one node."""
        return isinstance(m, Leaf) or _drops_paths(m) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module) -> fx.GraphModule:
    """Trace a network of one input; the result shares its modules.

    A branch that depends on `training` is traced as the model's mode has it; functional dropout becomes a module,
    which follows the mode.

    Raises:
        StageError: the forward pass depends on values, takes more than one input, or calls a module with
            parameters more than once.
    """
    try:
        graph = Tracer().trace(model)
    except Exception as error:  # the network's own code runs here, on values that it was not written for
        reason = str(error).partition("\n")[0].rstrip(".")
        raise StageError(
            f"{type(model).__name__} cannot be traced by torch.fx, so it cannot be quantised: {reason}."
        ) from error
    traced = fx.GraphModule(model, graph, class_name=type(model).__name__)
    if sum(node.op == "placeholder" for node in graph.nodes) != 1:
        raise StageError(f"{type(model).__name__} must take exactly one input to be quantised.")
    _refuse_repeated_calls(traced)
    _own_dropouts(traced)
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
    if kind(node) is operator.getitem and isinstance(node.args[1], int):
        return is_split(node.all_input_nodes[0])  # else a member of a tuple of whatever a module returns
    return kind(node) in _KEEPS_VALUES or is_split(node) or does_nothing(node)


def is_split(node: fx.Node) -> bool:
    """Tell whether a node cuts its input into a tuple of tensors."""
    return kind(node) in _SPLITS


def does_nothing(node: fx.Node) -> bool:
    """Tell whether a node passes its input through in evaluation mode."""
    return kind(node) in _DOES_NOTHING or (node.op == "call_module" and _drops_paths(called_module(node)))


def is_relu(node: fx.Node) -> bool:
    """Tell whether a node is a ReLU in any spelling."""
    return kind(node) in _RELU


def clip_bounds(node: fx.Node) -> tuple[float, float] | None:
    """Return the smallest and largest result of a node that clips to constants (ReLU6, Hardtanh); None for others."""
    if kind(node) in (nn.ReLU6, nn.Hardtanh):
        module: Any = called_module(node)
        low, high = module.min_val, module.max_val
    elif kind(node) is F.relu6:
        low, high = 0, 6
    elif kind(node) is F.hardtanh or kind(node) in _CLAMP:
        keys, default = (("min_val", "max_val"), 1) if kind(node) is F.hardtanh else (("min", "max"), math.inf)
        low, high = _argument(node, 1, keys[0]), _argument(node, 2, keys[1])
        low, high = -default if low is None else low, default if high is None else high
    else:
        return None
    return (float(low), float(high)) if isinstance(low, int | float) and isinstance(high, int | float) else None


def is_batch_norm(node: fx.Node) -> bool:
    """Tell whether a node is a batch normalisation of images or sequences."""
    return kind(node) in (nn.BatchNorm1d, nn.BatchNorm2d)


def is_average(node: fx.Node) -> bool:
    """Tell whether a node averages an image's neighbouring pixels, or all of them."""
    return kind(node) in _AVERAGE or is_global_average(node)


def is_global_average(node: fx.Node) -> bool:
    """Tell whether a node averages each channel of an image to one value."""
    if kind(node) in _MEAN:
        axes = _argument(node, 1, "dim")
        return isinstance(axes, tuple | list) and sorted(axes) in ([2, 3], [-2, -1])
    if kind(node) is nn.AdaptiveAvgPool2d:
        size: object = called_module(node).output_size
    elif kind(node) is F.adaptive_avg_pool2d:
        size = _argument(node, 1, "output_size")
    else:
        return False
    return size == 1 or (isinstance(size, tuple | list) and tuple(size) == (1, 1))


def drops_axes(node: fx.Node) -> bool:
    """Tell whether a global average gives `(N, C)` instead of `(N, C, 1, 1)`."""
    return kind(node) in _MEAN and not _argument(node, 2, "keepdim")


def is_sum_or_product(node: fx.Node) -> bool:
    """Tell whether a node adds or multiplies two activations (not a constant, a parameter or sizes)."""
    if not is_arithmetic(node) or node.kwargs or len(node.args) != 2:
        return False
    return all(isinstance(arg, fx.Node) and arg.op != "get_attr" and not is_size(arg) for arg in node.args)


def is_arithmetic(node: fx.Node) -> bool:
    """Tell whether a node adds or multiplies, whatever its operands are."""
    return kind(node) in _ADD | _MULTIPLY


def is_sigmoid(node: fx.Node) -> bool:
    """Tell whether a node is a logistic function in any spelling."""
    return kind(node) in _SIGMOID


def is_concatenation(node: fx.Node) -> bool:
    """Tell whether a node joins tensors along an axis."""
    return kind(node) in _CONCATENATE


def is_size(node: fx.Node) -> bool:
    """Tell whether a node computes with sizes, not with activations."""
    if kind(node) in _ARITHMETIC:
        return all(is_size(operand) for operand in node.all_input_nodes)
    return kind(node) in _SIZE


def sole_user(node: fx.Node) -> fx.Node | None:
    """Return the one node that reads this one's result, None when there are none or several."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def calls(graph: fx.Graph, types: type | tuple[type, ...]) -> Iterator[fx.Node]:
    """Yield the nodes that call a module of one of `types`."""
    for node in graph.nodes:
        if node.op == "call_module" and isinstance(called_module(node), types):
            yield node


def _argument(node: fx.Node, position: int, name: str) -> Any:
    """Return an argument of a call wherever it stands; None where it is not given."""
    return node.args[position] if len(node.args) > position else node.kwargs.get(name)


def _drops_paths(module: nn.Module) -> bool:
    return type(module).__name__ in _DROPS_PATHS


def _own_dropouts(traced: fx.GraphModule) -> None:
    """Put modules in place of functional dropout, whose mode a trace would freeze."""
    for node in list(traced.graph.nodes):
        if kind(node) not in _DROPOUTS:
            continue
        share = _argument(node, 1, "p")
        traced.add_submodule(f"dropouts.{node.name}", _DROPOUTS[kind(node)](0.5 if share is None else share))
        with traced.graph.inserting_after(node):
            module = traced.graph.call_module(f"dropouts.{node.name}", (node.args[0],))
        node.replace_all_uses_with(module)
        traced.graph.erase_node(node)
    traced.recompile()


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

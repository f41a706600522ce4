"""A lowered network's graph as text, so that a checkpoint opens without the code that built the network.

The text is JSON: operators of torch's core set and of our own, in the order in which they are executed, on tensors that
it calls by their names in the checkpoint. The reader calls such operators and nothing else: a file can at worst compute
something wrong.
"""

import base64
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, InputSpec, OutputKind

from pipeline.engine import integer
from pipeline.errors import CheckpointError, ExportError

FORMAT = 1
"""Raised with every change of the text that older readers would misread."""

_arithmetic = {
    f"operator.{function.__name__}": function
    for function in (
        *(operator.add, operator.sub, operator.mul, operator.floordiv, operator.mod, operator.neg, operator.getitem),
        *(operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge),
    )
}
"""What may be done with sizes, and with the results of an operator that has several."""
_beyond_core = frozenset(
    {
        "aten._scaled_dot_product_flash_attention_for_cpu.default",
        "aten._unsafe_index.Tensor",
        "aten.channel_shuffle.default",
        "aten.clamp_max.default",
        "aten.clamp_min.default",
        "aten.elu.default",
        "aten.hardsigmoid.default",
        "aten.hardswish.default",
        "aten.unfold.default",
    }
)
"""Operators without side effects that torch may leave in a graph although they are not of the core set."""
_enumerations: dict[str, dict[str, Any]] = {
    "dtype": {
        name: getattr(torch, name)
        for name in ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64")
    },
    "memory_format": {name: getattr(torch, name) for name in ("contiguous_format", "preserve_format", "channels_last")},
}
_IMPLIED = ("device", "layout", "pin_memory")
"""Keywords that have one value in every lowered network."""
_NAME = re.compile(r"[\w+/ -]+(\.[\w+/ -]+)*")
"""Names of tensors: torch writes them into the Python text of a graph, so no quote may stand in one."""


class _Program(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Every value is plain JSON, or a table with one key that says what it is (see ``_Writer.value``)."""

    format: int
    shape: tuple[int, int, int]
    nodes: list[tuple[str, list[Any], dict[str, Any]]]
    output: Any


def export(lowered: nn.Module, example: Tensor) -> ExportedProgram:
    """Trace a lowered network into one graph of torch's operators, for batches of any size.

    Args:
        lowered: What `lowering.lower` returned.
        example: Images of the shape to be deployed, uint8 `(N, C, H, W)`; only the shape counts.

    Raises:
        ExportError: the network does what depends on the values of a batch, or on its size.
    """
    # A batch of one would be taken for a constant.
    batch = torch.zeros((2, *example.shape[1:]), dtype=example.dtype)
    try:
        return torch.export.export(lowered.eval(), (batch,), dynamic_shapes=({0: torch.export.Dim("batch")},))
    except Exception as error:  # the tracer's errors share no base
        raise ExportError(f"the network cannot be traced by torch.export: {_first_line(error)}.") from error


def write(exported: ExportedProgram) -> str:
    """Write a network's graph as text; its tensors are named as in the state dict and are not part of it.

    Raises:
        ExportError: the graph holds something that the text cannot, or has not one input and one output.
    """
    core = exported.run_decompositions()
    specs = {spec.arg.name: spec for spec in core.graph_signature.input_specs}
    images = [spec for spec in specs.values() if spec.kind is InputKind.USER_INPUT]
    outputs = core.graph_signature.output_specs
    if len(images) != 1 or len(outputs) != 1 or outputs[0].kind is not OutputKind.USER_OUTPUT:
        raise ExportError("the network must map one tensor to one tensor, and must not change its own buffers.")
    writer = _Writer(specs, core.constants)
    (result,) = core.graph.output_node().args[0]
    needed = _behind(result)
    for node in core.graph.nodes:
        if node in needed:
            writer.add(node)
    (image,) = (node for node in core.graph.nodes if node.name == images[0].arg.name)
    channels, height, width = map(int, image.meta["val"].shape[1:])
    return msgspec.json.encode(
        _Program(FORMAT, (channels, height, width), writer.written, writer.value(result))
    ).decode()


def read(text: str, tensors: Mapping[str, Tensor]) -> fx.GraphModule:
    """Build a network from its text and its tensors: raw images, uint8 `(N, C, H, W)`, in, float32 logits out.

    It is tried on one black image, so that what is wrong shows here.

    Args:
        text: What `write` returned.
        tensors: By the names of the state dict; they become buffers of these names.

    Raises:
        CheckpointError: the text is damaged or names what is not allowed, or the tensors do not fit it.
    """
    program = _decoded(text)
    reader = _Reader(program, tensors)
    try:
        module = reader.module()
    except CheckpointError:
        raise
    except Exception as error:  # whatever a made-up graph makes torch.fx stumble over
        raise CheckpointError(f"its program is damaged: {_first_line(error)}.") from error
    try:
        with torch.no_grad():
            logits = module(torch.zeros((1, *program.shape), dtype=torch.uint8))
    except Exception as error:  # whatever an operator raises that was given the wrong arguments
        raise CheckpointError(f"its program cannot be executed: {_first_line(error)}.") from error
    if not isinstance(logits, Tensor) or logits.dtype != torch.float32:
        raise CheckpointError("its program does not give float32 logits.")
    return module


def plain(exported: ExportedProgram) -> ExportedProgram:
    """Spell our operators out in torch's own; the program then opens where this package is not installed.

    It refuses images that are not uint8, and says nothing of the files that it was traced from.
    """
    spelled = exported.run_decompositions(torch.export.default_decompositions() | integer.SPELLED_OUT)
    graph = spelled.graph
    images = next(node for node in graph.nodes if node.name == spelled.graph_signature.user_inputs[0])
    with graph.inserting_after(images):
        graph.call_function(torch.ops.aten._assert_tensor_metadata.default, (images, None, None, torch.uint8))
    for node in graph.nodes:
        for key in ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node"):
            node.meta.pop(key, None)
    spelled.graph_module.recompile()
    return spelled


def check_images(images: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Let raw images pass, and nothing else: a network would answer to scaled ones, and wrongly.

    Raises:
        ValueError: these are not uint8 `(N, *shape)`.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or tuple(images.shape[1:]) != tuple(shape):
        raise ValueError(
            f"the network takes raw images, uint8 (N, {', '.join(map(str, shape))}) from 0 to 255, and normalises "
            f"them itself; these are {str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}."
        )
    return images


class _Writer:
    """Numbers the nodes of a graph and writes their arguments."""

    def __init__(self, specs: Mapping[str, InputSpec], constants: Mapping[str, Any]) -> None:
        self._specs, self._constants = specs, constants
        self._places: dict[fx.Node, Any] = {}
        self.written: list[tuple[str, list[Any], dict[str, Any]]] = []
        """Operator, arguments and keywords of each call; that at place i is `{"node": i + 1}`, the images are 0."""

    def add(self, node: fx.Node) -> None:
        """Write a call, or note what an input stands for."""
        if node.op == "placeholder":
            self._places[node] = self._input(node.name)
            return
        name = _name_of(node.target)
        if name is None:
            raise ExportError(f"the network uses {node.target}, which the program of a checkpoint cannot hold.")
        keywords = {
            key: self.value(value) for key, value in node.kwargs.items() if value is not None and key not in _IMPLIED
        }
        self.written.append((name, [self.value(value) for value in node.args], keywords))
        self._places[node] = {"node": len(self.written)}

    def value(self, value: Any) -> Any:
        """Give an argument as JSON."""
        if isinstance(value, fx.Node):
            return self._places[value]
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        for kind, known in _enumerations.items():
            for name, member in known.items():
                if value is member:
                    return {kind: name}
        if isinstance(value, float) and not math.isfinite(value):
            return {"float": str(value)}
        if value is None or isinstance(value, bool | int | float | str):
            return value
        raise ExportError(f"the network has an argument {value!r}, which the program of a checkpoint cannot hold.")

    def _input(self, name: str) -> Any:
        spec = self._specs[name]
        if spec.kind is InputKind.USER_INPUT:
            return {"node": 0}
        constant = self._constants.get(str(spec.target))
        if constant is None:
            return {"tensor": _checked_name(str(spec.target), ExportError)}
        if not isinstance(constant, Tensor):
            raise ExportError(f"the network holds {spec.target}, which is no tensor.")
        data = base64.b85encode(constant.contiguous().view(-1).view(torch.uint8).numpy().tobytes()).decode()
        return {"constant": [str(constant.dtype).removeprefix("torch."), list(constant.shape), data]}


class _Reader:
    """Builds a graph; a reference can only go back to what stands before it."""

    def __init__(self, program: _Program, tensors: Mapping[str, Tensor]) -> None:
        self._program, self._tensors = program, tensors
        self._root, self._graph = nn.Module(), fx.Graph()
        self._values: list[fx.Node] = []
        self._attributes: dict[str, fx.Node] = {}

    def module(self) -> fx.GraphModule:
        """Build the network."""
        images = self._graph.placeholder("images")
        self._values = [self._graph.call_function(check_images, (images, self._program.shape))]
        for name, arguments, keywords in self._program.nodes:
            target = _operator(name)
            known = {argument.name for argument in target._schema.arguments} if hasattr(target, "_schema") else set()
            if keywords.keys() - known:
                raise CheckpointError(f"its program gives {name} a keyword that it does not have.")
            given = {key: self._value(value) for key, value in keywords.items()}
            self._values.append(self._graph.call_function(target, tuple(map(self._value, arguments)), given))
        self._graph.output(self._value(self._program.output))
        return fx.GraphModule(self._root, self._graph, "Network").eval()

    def _value(self, written: Any) -> Any:
        if isinstance(written, list):
            return [self._value(item) for item in written]
        if not isinstance(written, dict):
            return written
        ((kind, value),) = written.items()
        if kind in _enumerations:
            return _enumerations[kind][value]
        match kind:
            case "node":
                if not isinstance(value, int) or not 0 <= value < len(self._values):
                    raise CheckpointError(f"its program refers to the result {value!r}, which is not there yet.")
                return self._values[value]
            case "tensor":
                return self._tensor(value)
            case "constant":
                return self._constant(*value)
            case "float":
                return float(value)
        raise CheckpointError(f"its program holds a value of the unknown kind {kind!r}.")

    def _tensor(self, name: str) -> fx.Node:
        if name not in self._tensors:
            raise CheckpointError(f"its program needs the tensor {name!r}, which the file does not hold.")
        return self._attribute(_checked_name(name, CheckpointError), self._tensors[name])

    def _constant(self, dtype: str, shape: list[int], data: str) -> fx.Node:
        array = torch.frombuffer(bytearray(base64.b85decode(data)), dtype=torch.uint8)
        tensor = array.view(_enumerations["dtype"][dtype]).view(shape)
        return self._attribute(f"constants.{len(self._attributes)}", tensor)

    def _attribute(self, name: str, tensor: Tensor) -> fx.Node:
        if name not in self._attributes:
            *path, last = name.split(".")
            owner = self._root
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, nn.Module())
                owner = owner.get_submodule(part)
            owner.register_buffer(last, tensor)
            self._attributes[name] = self._graph.get_attr(name)
        return self._attributes[name]


def _decoded(text: str) -> _Program:
    try:
        program = msgspec.json.decode(text, type=_Program)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"its program is damaged: {_first_line(error)}.") from None
    if program.format != FORMAT:
        raise CheckpointError(
            f"its program has the format {program.format}, this version reads {FORMAT}; use the version that wrote it."
        )
    return program


def _behind(result: fx.Node) -> set[fx.Node]:
    """Collect all that a result depends on; the rest are assertions."""
    found, waiting = set[fx.Node](), [result]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting.extend(node.all_input_nodes)
    return found


def _name_of(target: Any) -> str | None:
    """Give the name of a function that a program may call; None for any other."""
    name = str(target) if isinstance(target, torch._ops.OpOverload) else f"operator.{getattr(target, '__name__', '')}"
    try:
        return name if _operator(name) is target else None
    except CheckpointError:
        return None


def _operator(name: str) -> Callable[..., Any]:
    """Find a function that a program may call, by its name.

    Raises:
        CheckpointError: there is none of that name, or it is not allowed.
    """
    if name in _arithmetic:
        return _arithmetic[name]
    library, _, rest = name.partition(".")
    if library in ("aten", integer.LIBRARY):
        packet, _, overload = rest.partition(".")
        found = getattr(getattr(getattr(torch.ops, library), packet, None), overload, None)
        if isinstance(found, torch._ops.OpOverload) and (
            library == integer.LIBRARY or torch.Tag.core in found.tags or name in _beyond_core
        ):
            return found
    raise CheckpointError(f"its program calls {name!r}, which no program may.")


def _checked_name(name: str, error: type[Exception]) -> str:
    if not _NAME.fullmatch(name):
        raise error(f"the tensor name {name!r} holds more than letters, digits, blanks and the signs . _ + / -.")
    return name


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")

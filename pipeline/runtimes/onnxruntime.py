"""ONNX Runtime on the CPU: one session, a fixed number of threads, denormal numbers taken as zero."""

import importlib.metadata
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MeasurementError
from pipeline.protocols import Loaded

READS: str = "onnx"
REQUIRES: tuple[str, ...] = ("onnxruntime",)

_INTEGER = ("QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul")
"""How the names of operators that compute on 8-bit integers begin."""
_PRODUCTS = ("Conv", "Gemm", "MatMul", "Attention")
"""What the names of operators that multiply and add hold."""
_MOVES = frozenset(
    {
        *("Cast", "Concat", "DequantizeLinear", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "NhwcMaxPool"),
        *("Pad", "QuantizeLinear", "ReorderInput", "ReorderOutput", "Reshape", "Shape", "Slice", "Split", "Squeeze"),
        *("Transpose", "Unsqueeze"),
    }
)


def load(path: Path, *, threads: int) -> Loaded:
    """Open an ONNX file with one input and logits as its first output.

    Args:
        path: The file.
        threads: Threads that one operator may use; operators follow one another.

    Raises:
        MeasurementError: The file is absent, is no ONNX file or uses what this version cannot execute; also raised by
            a call with images that the file does not take.
    """
    session = _open(path, _options(threads))
    (name, *others) = [given.name for given in session.get_inputs()]
    if others:
        raise MeasurementError(f"{str(path)!r} has {len(others) + 1} inputs; a deployed network has one, the images.")
    output = session.get_outputs()[0].name

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            logits: NDArray[np.float32] = session.run([output], {name: images})[0]
        except Exception as error:
            raise MeasurementError(
                f"ONNX Runtime {version()} cannot execute {str(path)!r} on {images.dtype} images of shape "
                f"{images.shape}: {_reason(error)}."
            ) from None
        return logits

    return Loaded(predict=predict, precision=lambda: _precision(path))


def operators(path: Path) -> Counter[str]:
    """Count the operators that are executed on the CPU, after ONNX Runtime's own optimisation of the graph.

    Raises:
        MeasurementError: ONNX Runtime cannot open the file.
    """
    import onnx

    with tempfile.TemporaryDirectory(prefix="pqd-graph-") as folder:
        optimised = Path(folder) / "optimised.onnx"
        options = _options(threads=1)
        options.optimized_model_filepath = str(optimised)
        _open(path, options)
        graph = onnx.load(optimised).graph
    return Counter(node.op_type for node in graph.node)


def arithmetic(counts: Mapping[str, int]) -> tuple[Counter[str], Counter[str]]:
    """Split what ``operators`` counted into those that compute on integers and those that compute on floats.

    What only moves or converts values, and the normalisation of the images, is in neither.
    """
    computing = Counter({name: count for name, count in counts.items() if name not in _MOVES})
    computing -= Counter(Sub=1, Div=1)
    integers = Counter({name: count for name, count in computing.items() if name.startswith(_INTEGER)})
    return integers, computing - integers


def _precision(path: Path) -> dict[str, int]:
    products = (
        sum(count for name, count in counts.items() if any(word in name for word in _PRODUCTS))
        for counts in arithmetic(operators(path))
    )
    return {name: count for name, count in zip(("int8", "float32"), products, strict=True) if count}


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Pruned networks meet denormal numbers, with which a multiplication takes many times as long.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    return options


def _open(path: Path, options: Any) -> Any:
    import onnxruntime

    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but this one
        raise MeasurementError(f"ONNX Runtime {version()} cannot open {str(path)!r}: {_reason(error)}.") from None


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def version() -> str:
    """Version of the installed ONNX Runtime."""
    return importlib.metadata.version("onnxruntime")

"""OpenVINO on the CPU: one stream, a fixed number of threads, float32 left as float32."""

import importlib.metadata
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MeasurementError
from pipeline.protocols import Loaded

READS: str = "onnx"
REQUIRES: tuple[str, ...] = ("openvino",)

PRODUCTS = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
"""Layers that multiply and add; a grouped convolution is one."""
precisions = {"u8": "int8", "i8": "int8", "f32": "float32", "bf16": "bfloat16", "f16": "float16"}
"""By OpenVINO's word."""


def load(path: Path, *, threads: int) -> Loaded:
    """Open an ONNX file with one input and logits as its first output.

    Args:
        path: The file.
        threads: Threads of the one stream.

    Raises:
        MeasurementError: The file is absent, is no ONNX file or uses what this version cannot execute; also raised by
            a call with images that the file does not take.
    """
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": "1",
        # Left alone, the float32 baseline would silently run in bfloat16 on a processor that has it.
        "INFERENCE_PRECISION_HINT": "f32",
        "CPU_DENORMALS_OPTIMIZATION": True,
    }
    try:
        core = openvino.Core()
        network = core.compile_model(core.read_model(path), "CPU", settings)
        request = network.create_infer_request()
    except RuntimeError as error:
        raise MeasurementError(f"OpenVINO {version()} cannot open {str(path)!r}: {_reason(error)}.") from None

    expected, fitting = network.input(0).partial_shape, set[tuple[np.dtype[Any], tuple[int, ...]]]()

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        try:
            # Left alone, it converts any array and recompiles for any shape, in silence.
            if (images.dtype, images.shape) not in fitting:
                if images.dtype != np.uint8 or not expected.compatible(openvino.PartialShape(images.shape)):
                    raise RuntimeError(f"it takes uint8 images of shape {expected}")
                fitting.add((images.dtype, images.shape))
            # A twentieth of a millisecond less than to call it with a list of arrays.
            request.set_input_tensor(openvino.Tensor(np.ascontiguousarray(images), shared_memory=True))
            request.infer()
            logits: NDArray[np.float32] = request.get_output_tensor(0).data.copy()
        except RuntimeError as error:
            raise MeasurementError(
                f"OpenVINO {version()} cannot execute {str(path)!r} on {images.dtype} images of shape {images.shape}: "
                f"{_reason(error)}."
            ) from None
        return logits

    return Loaded(predict=predict, precision=lambda: _precision(network))


def _precision(network: Any) -> dict[str, int]:
    """Count what the plug-in made of the layers, in its own words."""
    infos = [operation.get_rt_info() for operation in network.get_runtime_model().get_ordered_ops()]
    return dict(
        Counter(
            precisions.get(used := info["runtimePrecision"].astype(str), used)
            for info in infos
            if info["layerType"].astype(str) in PRODUCTS
        )
    )


def _reason(error: Exception) -> str:
    # It lists places in its own source first; the last line says what is wrong.
    return str(error).strip().splitlines()[-1].rstrip(".")


def version() -> str:
    """Version of the installed OpenVINO."""
    return importlib.metadata.version("openvino")

"""OpenVINO on the CPU: one stream, a fixed number of threads, float32 left as float32."""

import importlib.metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MeasurementError
from pipeline.protocols import Predict

READS: str = "onnx"
REQUIRES: tuple[str, ...] = ("openvino",)


def load(path: Path, *, threads: int) -> Predict:
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

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        where = f"OpenVINO {version()} cannot execute {str(path)!r} on {images.dtype} images of shape {images.shape}"
        # Left alone, it converts any array and recompiles for any shape, in silence.
        expected = network.input(0).partial_shape
        if images.dtype != np.uint8 or not expected.compatible(openvino.PartialShape(images.shape)):
            raise MeasurementError(f"{where}: it takes uint8 images of shape {expected}.")
        try:
            logits: NDArray[np.float32] = request.infer([images])[network.output(0)]
        except RuntimeError as error:
            raise MeasurementError(f"{where}: {_reason(error)}.") from None
        return logits

    return predict


def _reason(error: Exception) -> str:
    # It lists places in its own source first; the last line says what is wrong.
    return str(error).strip().splitlines()[-1].rstrip(".")


def version() -> str:
    """Version of the installed OpenVINO."""
    return importlib.metadata.version("openvino")

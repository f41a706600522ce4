"""ONNX Runtime on the CPU: one session, a fixed number of threads, denormal numbers taken as zero."""

import importlib.metadata
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MeasurementError
from pipeline.protocols import Predict

READS: str = "onnx"
REQUIRES: tuple[str, ...] = ("onnxruntime",)


def load(path: Path, *, threads: int) -> Predict:
    """Open an ONNX file with one input and logits as its first output.

    Args:
        path: The file.
        threads: Threads that one operator may use; operators follow one another.

    Raises:
        MeasurementError: The file is absent, is no ONNX file or uses what this version cannot execute; also raised by
            a call with images that the file does not take.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 3
    # Pruned networks meet denormal numbers, with which a multiplication takes many times as long.
    options.add_session_config_entry("session.set_denormal_as_zero", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its exceptions share no base but this one
        raise MeasurementError(f"ONNX Runtime {version()} cannot open {str(path)!r}: {_reason(error)}.") from None
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

    return predict


def _reason(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


def version() -> str:
    """Version of the installed ONNX Runtime."""
    return importlib.metadata.version("onnxruntime")

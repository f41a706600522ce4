"""The deployed network as one ONNX file: raw pixels in, logits out.

The very file that was measured. ``images`` is uint8 ``(N, C, H, W)`` with any ``N``; normalisation is part of the
graph. ``logits`` is float32 ``(N, classes)``. ONNX Runtime, OpenVINO and whatever else reads ONNX open it; the class
names are in its metadata under ``classes``.
"""

from pathlib import Path

from pipeline.exports import _artifacts
from pipeline.runs.store import Run

SUMMARY = "the deployed network, for ONNX Runtime and others"
REQUIRES: tuple[str, ...] = ()
READS = "onnx"


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.onnx``.

    Raises:
        ExportError: the run has no such file, or the folder cannot be written.
        OutputMismatch: the file is not the one that was measured.
    """
    return [_artifacts.copy(run, READS, folder / "model.onnx")]

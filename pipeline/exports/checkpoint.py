"""The compressed weights as one safetensors file, with scales, shapes and provenance in its metadata.

The very file that was weighed. It holds numbers only, so opening it runs nothing.
"""

from pathlib import Path

from pipeline.exports import _artifacts
from pipeline.runs.store import Run

SUMMARY = "the compressed weights, for whatever reads safetensors"
REQUIRES: tuple[str, ...] = ()
READS = "checkpoint"


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.safetensors``.

    Raises:
        ExportError: the run has no such file, or the folder cannot be written.
        OutputMismatch: the file is not the one that was weighed.
    """
    return [_artifacts.copy(run, READS, folder / "model.safetensors")]

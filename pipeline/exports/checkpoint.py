"""The compressed weights as one safetensors file, with scales, shapes and provenance in its metadata.

The very file that was weighed. It holds numbers only, so opening it runs nothing.
"""

import json
from pathlib import Path

from pipeline.errors import ExportError
from pipeline.exports import _artifacts
from pipeline.protocols import FileFacts
from pipeline.runs.store import Run

SUMMARY = "the compressed weights, for whatever reads safetensors"
REQUIRES: tuple[str, ...] = ("safetensors",)
READS = "checkpoint"

USAGE = """\
`{file}` holds the tensors of the network by name, to be opened with `safetensors.numpy.load_file("{file}")`; its
metadata holds the recipe, the class names and the mean and standard deviation of the images' channels scaled to [0, 1].
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.safetensors``.

    Raises:
        ExportError: the run has no such file, or the folder cannot be written.
        OutputMismatch: the file is not the one that was weighed.
    """
    return [_artifacts.copy(run, READS, folder / "model.safetensors")]


def facts(path: Path) -> FileFacts:
    """Read the class names, for the model card.

    Raises:
        ExportError: the file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as opened:
            metadata = opened.metadata() or {}
        classes = tuple(str(name) for name in json.loads(metadata["classes"])) if "classes" in metadata else None
    except (OSError, SafetensorError, ValueError) as error:
        raise ExportError(f"{path.name} cannot be read back: {error}.") from error
    return FileFacts(usage=USAGE.format(file=path.name), classes=classes)

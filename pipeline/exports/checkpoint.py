"""The compact checkpoint: entropy-coded integer weights and the network's graph in one safetensors file.

The very file that was weighed. It opens without the backbone's code and without the recipe, and opening it runs nothing
that the file names.
"""

from pathlib import Path

from pipeline import load
from pipeline.exports import _artifacts
from pipeline.protocols import Predict
from pipeline.runs.store import Run

SUMMARY = "the fewest bytes; opens as a torch module, or as numpy arrays"
REQUIRES: tuple[str, ...] = ("safetensors",)
READS = "checkpoint"
SIZE = ("checkpoint", 0)
LOWERED = True

USAGE = """\
With pqd-workbench and torch:

```python
import json

import pipeline
import torch

network = pipeline.load("{file}")
_, metadata = pipeline.load_arrays("{file}")  # arrays and metadata; this needs no torch
images = torch.zeros({shape}, dtype=torch.uint8)  # your images: raw pixels, 0 to 255
print([json.loads(metadata["classes"])[answer] for answer in network(images).argmax(1)])
```

Normalisation is part of the network: it takes raw pixels and refuses everything but uint8 images of this shape.
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.pqd.safetensors``.

    Raises:
        ExportError: the run has no such file, or the folder cannot be written.
        OutputMismatch: the file is not the one that was weighed.
    """
    return [_artifacts.copy(run, READS, folder / "model.pqd.safetensors")]


def open(path: Path, run: Run) -> Predict:  # noqa: A001  (the name of the contract)
    """Open it in torch.

    Raises:
        CheckpointError: it holds no network.
    """
    return _artifacts.in_torch(load(path))

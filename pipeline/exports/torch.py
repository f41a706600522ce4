"""The deployed network as ``model.pt2``: a program of torch's own operators that ``torch.export.load`` opens.

Neither pqd-workbench nor the backbone's code is needed. The integers are spelled out as plain arithmetic on codes and
scales, so torch's compilers see all of it.
"""

import json
from pathlib import Path

from pipeline import load
from pipeline.errors import ExportError
from pipeline.exports import _artifacts
from pipeline.protocols import Predict
from pipeline.runs.store import Run

SUMMARY = "the deployed network, for torch.export.load"
REQUIRES: tuple[str, ...] = ("torch",)
READS = "checkpoint"
SIZE = ("dense", 600_000)
LOWERED = True

USAGE = """\
With nothing but torch:

```python
import json

import torch

extra = {{"classes": ""}}
network = torch.export.load("{file}", extra_files=extra).module()
images = torch.zeros({shape}, dtype=torch.uint8)  # your images: raw pixels, 0 to 255
print([json.loads(extra["classes"])[answer] for answer in network(images).argmax(1)])
```

Normalisation is part of the program: it takes raw pixels and refuses everything but uint8 images of this shape.
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.pt2``.

    Raises:
        ExportError: the run has no checkpoint, or the file cannot be written.
        OutputMismatch: the checkpoint is not the one that was weighed.
    """
    import torch

    from pipeline.engine import program

    path, facts = folder / "model.pt2", _artifacts.facts(run)
    network = load(_artifacts.find(run, READS))
    plain = program.plain(program.export(network, torch.zeros((2, *facts.shape), dtype=torch.uint8)))
    try:
        torch.export.save(plain, path, extra_files={"classes": json.dumps(facts.classes)})
    except (OSError, RuntimeError) as error:
        raise ExportError(f"torch cannot write {str(path)!r}: {error}.") from None
    return [path]


def open(path: Path, run: Run) -> Predict:  # noqa: A001  (the name of the contract)
    """Open it with ``torch.export.load``."""
    import torch

    return _artifacts.in_torch(torch.export.load(path).module())

"""The float32 weights in front of the lowering, under the backbone's own names: for further training elsewhere.

Masks are applied and gone, and so is everything that belongs to fake quantisers. Where the recipe quantises, these
weights are not rounded, so their answers are close to those of the deployed network and not equal to them.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import ExportError
from pipeline.exports import _artifacts
from pipeline.protocols import NetworkFacts, Predict
from pipeline.runs import portable
from pipeline.runs.store import Run

if TYPE_CHECKING:
    from torch import Tensor, nn

SUMMARY = "float32 weights by the backbone's names, for load_state_dict"
REQUIRES: tuple[str, ...] = ("safetensors", "torch")
READS = "weights"
SIZE = ("float32", 70_000)
LOWERED = False

USAGE = """\
With torch and the backbone that the recipe names, in `network`:

```python
import torch
from safetensors.torch import load_file

network.load_state_dict(load_file("{file}"), strict=True)
images = torch.zeros({shape}, dtype=torch.uint8)  # your images: raw pixels, 0 to 255
mean, std = torch.tensor({mean}), torch.tensor({std})
logits = network.eval()((images / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1))
```

Normalisation is not part of this file: the backbone takes what the last line gives it, pixels scaled to [0, 1] less the
mean, divided by the standard deviation. Mean and deviation also stand in the file's metadata. These are the weights
before they are rounded to integers.
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``weights.safetensors``.

    Raises:
        ExportError: the run has no such file, or its tensors are not those of the backbone.
        StageError: the backbone cannot be built.
        OutputMismatch: the file is not the one on record.
    """
    from pipeline.engine import checkpoint
    from pipeline.engine.sparsity import MASK

    facts, recipe = _artifacts.facts(run), run.recipe()
    trained, _ = checkpoint.read(_artifacts.find(run, READS))
    names = _backbone(run, facts).state_dict().keys()
    absent = [name for name in names if name not in trained]
    if absent:
        raise ExportError(f"the trained network of the run {run.id} has no {absent[0]!r}, which its backbone has.")

    def masked(name: str) -> "Tensor":
        mask = trained.get(f"{name.rpartition('.')[0]}.{MASK}") if name.endswith(".weight") else None
        return trained[name] if mask is None else trained[name] * mask

    metadata = {
        "format": "pt",
        "backbone": recipe.backbone,
        "recipe": portable.toml(recipe),
        "classes": json.dumps(facts.classes),
        "mean": json.dumps(facts.mean),
        "std": json.dumps(facts.std),
        "shape": json.dumps(facts.shape),
        "preprocessing": "(pixels / 255 - mean) / std",
        "producer": "pqd-workbench",
    }
    path = folder / "weights.safetensors"
    checkpoint.save({name: masked(name) for name in names}, path, metadata)
    return [path]


def open(path: Path, run: Run) -> Predict:  # noqa: A001  (the name of the contract)
    """Load it into the backbone, with normalisation in front.

    Raises:
        StageError: the backbone cannot be built.
    """
    import torch
    from safetensors.torch import load_file

    facts = _artifacts.facts(run)
    network = _backbone(run, facts)
    network.load_state_dict(load_file(path), strict=True)
    network.eval()
    mean, std = torch.tensor(facts.mean).view(-1, 1, 1), torch.tensor(facts.std).view(-1, 1, 1)
    return _artifacts.in_torch(lambda images: network((images / 255 - mean) / std))


def _backbone(run: Run, facts: NetworkFacts) -> "nn.Module":
    from pipeline import check

    return check.build(run.recipe().backbone, num_classes=len(facts.classes), in_channels=facts.shape[0])

"""The deployed network as one ONNX file: raw pixels in, logits out.

The very file that was measured. ``images`` is uint8 ``(N, C, H, W)`` with any ``N``; normalisation is part of the
graph. ``logits`` is float32 ``(N, classes)``. ONNX Runtime, OpenVINO and whatever else reads ONNX open it; the class
names are in its metadata under ``classes``.
"""

from pathlib import Path

from pipeline.exports import _artifacts
from pipeline.protocols import Predict
from pipeline.runs.store import Run

SUMMARY = "the deployed network, for ONNX Runtime and others"
REQUIRES: tuple[str, ...] = ("onnxruntime",)
READS = "onnx"
SIZE = ("onnx", 0)
LOWERED = True

USAGE = """\
With nothing but onnxruntime and numpy:

```python
import json

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])
images = np.zeros({shape}, np.uint8)  # your images: raw pixels, 0 to 255
(logits,) = session.run(["logits"], {{"images": images}})
print([classes[answer] for answer in logits.argmax(axis=1)])
```

`images` is uint8 `(N, C, H, W)`, `logits` is float32 `(N, classes)`. Normalisation is part of the graph; ONNX Runtime
refuses images that are not uint8.
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.onnx``.

    Raises:
        ExportError: the run has no such file, or the folder cannot be written.
        OutputMismatch: the file is not the one that was measured.
    """
    return [_artifacts.copy(run, READS, folder / "model.onnx")]


def open(path: Path, run: Run) -> Predict:  # noqa: A001  (the name of the contract)
    """Open it in ONNX Runtime.

    Raises:
        MeasurementError: it cannot be opened.
    """
    from pipeline.runtimes import onnxruntime

    return onnxruntime.load(path, threads=1).predict

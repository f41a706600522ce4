"""The deployed network as one ONNX file: raw pixels in, logits out.

The very file that was measured. ``images`` is uint8 ``(N, C, H, W)`` with any ``N``; normalisation is part of the
graph. ``logits`` is float32 ``(N, classes)``. ONNX Runtime, OpenVINO and whatever else reads ONNX open it; the class
names are in its metadata under ``classes``.
"""

import json
from pathlib import Path

from pipeline.errors import ExportError
from pipeline.exports import _artifacts
from pipeline.protocols import FileFacts
from pipeline.runs.store import Run

SUMMARY = "the deployed network, for ONNX Runtime and others"
REQUIRES: tuple[str, ...] = ("onnx",)
READS = "onnx"

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

`images` is uint8 `(N, C, H, W)`: raw pixels from 0 to 255, channels in the order of the dataset (RGB where there are
three), any N. No other preprocessing: the normalisation is part of the graph. `logits` is float32 `(N, classes)`; the
largest is the answer.
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.onnx``.

    Raises:
        ExportError: the run has no such file, or the folder cannot be written.
        OutputMismatch: the file is not the one that was measured.
    """
    return [_artifacts.copy(run, READS, folder / "model.onnx")]


def facts(path: Path) -> FileFacts:
    """Read the shape of the images and the class names, for the model card.

    Raises:
        ExportError: the file cannot be read.
    """
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        dims = model.graph.input[0].type.tensor_type.shape.dim
        classes = tuple(str(name) for name in json.loads(metadata["classes"])) if "classes" in metadata else None
    except Exception as error:  # what a damaged file makes the reader raise has no common base
        raise ExportError(f"{path.name} cannot be read back: {error}.") from error
    shape = (1, *(dim.dim_value or 1 for dim in dims[1:]))
    return FileFacts(usage=USAGE.format(file=path.name, shape=shape), classes=classes)

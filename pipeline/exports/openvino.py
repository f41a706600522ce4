"""The deployed network as OpenVINO IR: ``model.xml`` and ``model.bin``, converted from the ONNX file.

Raw pixels in, logits out, nothing rounded to float16.
"""

import json
from pathlib import Path

from pipeline.errors import ExportError
from pipeline.exports import _artifacts
from pipeline.protocols import Predict
from pipeline.runs.store import Run

SUMMARY = "the deployed network, for OpenVINO"
REQUIRES: tuple[str, ...] = ("openvino",)
READS = "onnx"
SIZE = ("onnx", 200_000)
LOWERED = True

USAGE = """\
With nothing but openvino and numpy; `model.bin` lies beside it:

```python
import json

import numpy as np
import openvino

model = openvino.Core().read_model("{file}")
classes = json.loads(model.get_rt_info(["classes"]).astype(str))
images = np.zeros({shape}, np.uint8)  # your images: raw pixels, 0 to 255
logits = openvino.compile_model(model, "CPU")(images)[0]
print([classes[answer] for answer in logits.argmax(axis=1)])
```

Normalisation is part of the graph. Give it uint8 images: OpenVINO converts others in silence, and images scaled to
[0, 1] would all become black.
"""


def write(run: Run, folder: Path) -> list[Path]:
    """Write ``model.xml`` and ``model.bin``; class names and preprocessing stand in the IR's ``rt_info``.

    Raises:
        ExportError: the run has no ONNX file, or OpenVINO cannot convert or write it.
        OutputMismatch: the ONNX file is not the one that was measured.
    """
    import openvino

    source, facts = _artifacts.find(run, READS), _artifacts.facts(run)
    path = folder / "model.xml"
    try:
        model = openvino.convert_model(source)
        model.set_rt_info(json.dumps(facts.classes), "classes")
        model.set_rt_info("raw pixels, uint8 from 0 to 255; normalisation is part of the graph", "preprocessing")
        openvino.save_model(model, path, compress_to_fp16=False)
    except Exception as error:  # the converter's own errors derive from Exception alone
        raise ExportError(
            f"OpenVINO cannot write {str(path)!r}: {str(error).strip().splitlines()[-1].rstrip('.')}."
        ) from None
    return [path, path.with_suffix(".bin")]


def open(path: Path, run: Run) -> Predict:  # noqa: A001  (the name of the contract)
    """Open it in OpenVINO.

    Raises:
        MeasurementError: it cannot be opened.
    """
    from pipeline.runtimes import openvino

    return openvino.load(path, threads=1).predict

"""Opening what was written, as somebody else would, and comparing its answers with those of the lowered network."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.errors import OutputMismatch
from pipeline.exports import _artifacts
from pipeline.protocols import Export
from pipeline.runs.export import Check
from pipeline.runs.store import Run

BATCH = 32
"""Images in a call."""
MIN_AGREEMENT = 0.98
"""Least share of equal answers, one other answer always being allowed: near ties fall to either side."""
MAX_ERROR_INTEGER = 0.25
"""Largest root mean square difference of logits, as a share of their spread, where the network computes in integers.

Runtimes round a product of scales differently, so an activation lands a step beside now and then and the step spreads
through the layers behind. In networks of 20 to 120 layers that comes to 0.15 at most. A layer left out or images
normalised twice make logits that have nothing to do with the right ones: 1 and more.
"""
MAX_ERROR_FLOAT = 0.01
"""The same of a float32 network, whose sums only run in another order: 0.0001 at most."""


def check(
    name: str, export: Export, paths: list[Path], run: Run, *, opened: Callable[[], None] = lambda: None
) -> Check:
    """Open the first of the written files and run it on the run's samples.

    Args:
        name: of the export.
        export: wrote the files.
        paths: what it wrote.
        run: has the samples.
        opened: called between opening the file and trying it.

    Raises:
        OutputMismatch: the file cannot be opened, or answers otherwise than it should.
        ExportError: the run has no samples.
    """
    images, expected = _artifacts.samples(run)
    try:
        predict = export.open(paths[0], run)
        opened()
        found = np.concatenate([predict(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])
    except Exception as error:  # runtimes raise what they like
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
        raise OutputMismatch(f"{paths[0].name} was written and cannot be opened again: {reason}.") from error
    if found.shape != expected.shape or not np.isfinite(found).all():
        raise OutputMismatch(f"{paths[0].name} does not give finite logits of the shape {expected.shape}.")
    made = Check(
        format=name,
        files=tuple(path.name for path in paths),
        samples=len(images),
        largest_difference=float(np.abs(found - expected).max()),
        spread=float(expected.std(axis=0).mean()),
        agreement=float((found.argmax(1) == expected.argmax(1)).mean()),
        lowered=export.LOWERED,
    )
    if export.LOWERED:
        _demand(made, float(np.sqrt(np.square(found - expected).mean())), is_integer=_is_integer(run))
    return made


def _demand(made: Check, error: float, *, is_integer: bool) -> None:
    """Refuse a file whose answers are not those of the deployed network."""
    allowed = (MAX_ERROR_INTEGER if is_integer else MAX_ERROR_FLOAT) * made.spread
    others = round((1 - made.agreement) * made.samples)
    if error <= allowed and others <= max(1, (1 - MIN_AGREEMENT) * made.samples):
        return
    hint = " Processors without VNNI overflow in INT8: quantize with reduce_range there." if is_integer else ""
    raise OutputMismatch(
        f"{made.files[0]} does not compute what the deployed network computes: {others} of {made.samples} samples get "
        f"another answer, logits differ by {error:.3g} (root mean square) where {allowed:.3g} is allowed.{hint}"
    )


def _is_integer(run: Run) -> bool:
    return "QuantizeLinear" in run.state().operators.get("deployed", {})

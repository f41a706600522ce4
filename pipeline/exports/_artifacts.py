"""The files of a finished run, each compared with the checksum on record before anything is made of it."""

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline import files, load_arrays
from pipeline.errors import CheckpointError, ExportError, OutputMismatch
from pipeline.protocols import NetworkFacts, Predict
from pipeline.runs.store import Run

if TYPE_CHECKING:
    from torch import Tensor


def find(run: Run, kind: str) -> Path:
    """Find the deployed artifact of a kind and compare it with the recorded checksum.

    Raises:
        ExportError: the run has no such artifact, or the file is gone.
        OutputMismatch: the file is not the one that was measured.
    """
    found = [one for one in run.state().artifacts if one.subject == "deployed" and one.kind == kind]
    if not found:
        raise ExportError(f"the run {run.id} wrote no {kind} file of its deployed network.")
    artifact = found[-1]
    source = (run.store / artifact.path).resolve()
    if not source.is_relative_to(run.store.resolve()):
        raise ExportError(f"the run {run.id} names a file outside its store: {artifact.path!r}.")
    try:
        arrived = files.sha256(source)
    except OSError as error:
        raise ExportError(f"the {kind} file of the run {run.id} is gone: {str(source)!r}, {error.strerror}.") from None
    if arrived != artifact.sha256:
        raise OutputMismatch(
            f"{str(source)!r} is not the file that was measured: its SHA-256 begins with {arrived[:12]}, "
            f"the run recorded {artifact.sha256[:12]}; run the recipe again."
        )
    return source


def copy(run: Run, kind: str, target: Path) -> Path:
    """Copy the deployed artifact of a kind; returns ``target``.

    Raises:
        ExportError: as ``find``, or ``target`` cannot be written.
        OutputMismatch: as ``find``.
    """
    source = find(run, kind)
    try:
        with files.replacing(target) as temporary:
            shutil.copyfile(source, temporary)
    except OSError as error:
        raise ExportError(f"{str(target)!r} cannot be written from {str(source)!r}: {error.strerror}.") from None
    return target


def facts(run: Run) -> NetworkFacts:
    """Read what the checkpoint says about the network.

    Raises:
        ExportError: as ``find``, or the file does not say it.
    """
    source = find(run, "checkpoint")
    try:
        metadata = _metadata(source, source.stat().st_mtime_ns)
        channels, height, width = json.loads(metadata["shape"])
        return NetworkFacts(
            shape=(channels, height, width),
            classes=tuple(map(str, json.loads(metadata["classes"]))),
            mean=tuple(map(float, json.loads(metadata["mean"]))),
            std=tuple(map(float, json.loads(metadata["std"]))),
        )
    except (CheckpointError, KeyError, TypeError, ValueError) as error:
        raise ExportError(
            f"{str(source)!r} does not say shape, classes, mean and deviation of the images ({error}); "
            "run the recipe again."
        ) from None


@functools.lru_cache(maxsize=1)
def _metadata(path: Path, changed_ns: int) -> dict[str, str]:
    """Read it once for all formats: the whole file is decoded for that."""
    return load_arrays(path)[1]


def samples(run: Run) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Read test images ``(N, C, H, W)`` and the logits ``(N, classes)`` that the lowered network gave them in torch.

    Raises:
        ExportError: as ``find``, or the file is damaged.
    """
    source = find(run, "samples")
    try:
        with np.load(source, allow_pickle=False) as opened:
            return opened["images"], opened["logits"]
    except (OSError, ValueError, KeyError) as error:
        raise ExportError(f"the samples {str(source)!r} cannot be read: {error}.") from None


def in_torch(network: "Callable[[Tensor], Tensor]") -> Predict:
    """Let a torch module answer arrays."""
    import torch

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.no_grad():
            logits: NDArray[np.float32] = network(torch.tensor(images)).numpy()
        return logits

    return predict

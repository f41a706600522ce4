"""Trained stage results in the store: one folder per content key, written whole or not at all, shared by all runs.

STORE/stages/KEY/weights.safetensors    the network's tensors, masks and ranges included
STORE/stages/KEY/result.json            metrics, cost and curve of the training; stands there last
STORE/stages/KEY/deployed/              the lowered network: artifacts and deployed.json
STORE/stages/KEY/deployed/answers/      what each runtime answered to the test split, class by class
STORE/stages/KEY.partial                its training, interrupted; see ``pipeline.partial``
STORE/stages/KEY.lock                   held by whoever trains the key
"""

import contextlib
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline import decoding, events, files
from pipeline.errors import CheckpointError
from pipeline.lock import exclusive, nothing
from pipeline.report import CheckpointSize, LayerWork

if TYPE_CHECKING:
    from torch import Tensor


class StageResult(Struct, frozen=True, kw_only=True):
    """What is known about a trained stage beside its weights."""

    stage: str
    """``baseline`` (a teacher is one, too) or the name of the stage."""
    metrics: dict[str, float | None]
    """What the network came to and what its training achieved; see ``events.StageFinished``."""
    layer_sparsity: dict[str, float]
    """Zeros (0 to 1) of every layer that can be pruned."""
    seconds: float
    """Wall time of the training."""
    history: tuple[events.EpochFinished, ...]
    """The curve, by epoch."""
    sha256: str
    """Checksum of ``weights.safetensors``."""


class Deployed(Struct, frozen=True, kw_only=True):
    """What is known about a lowered network."""

    operators: dict[str, int]
    """Operators of the graph that ONNX Runtime executes, by type."""
    size: CheckpointSize
    layers: tuple[LayerWork, ...]
    """What its convolutions and matrix products have to do, in the order in which they are called."""
    sha256: dict[str, str]
    """Checksum of each file, by the kind of the artifact."""


_results = msgspec.json.Decoder(StageResult)
_deployed = msgspec.json.Decoder(Deployed)

artifact_names = {
    "onnx": "model.onnx",
    "checkpoint": "model.pqd.safetensors",
    "samples": "samples.npz",
    "weights": "weights.safetensors",
}
"""File of each kind of artifact in the folder ``deployed``: the network as ONNX, the compact checkpoint, test images
with the logits that the lowered network gives them, and the trained tensors (float32, masks and ranges included)."""

TRAINED = "trained"
"""Whose answers those of the trained network are, before it was lowered."""


class StageFolder:
    """The place of one content key in the store."""

    def __init__(self, stages_folder: Path, key: str) -> None:
        self.folder = stages_folder / key
        self.deployed_folder = self.folder / "deployed"
        self.partial_path = stages_folder / f"{key}.partial"
        self._lock_path = stages_folder / f"{key}.lock"

    @contextlib.contextmanager
    def locked(
        self, *, waiting: Callable[[], None] = nothing, interrupt: Callable[[], None] = nothing
    ) -> Iterator[None]:
        """Hold the key: two runs that want the same result do not train it twice.

        Args:
            waiting: called once when another process holds the key; this one then waits for it.
            interrupt: called a few times a second while waiting; what it raises ends the wait.

        Raises:
            RunStoreError: the lock file cannot be opened.
        """
        self._lock_path.parent.mkdir(parents=True, exist_ok=True)
        with exclusive(self._lock_path, waiting=waiting, interrupt=interrupt):
            yield

    def result(self) -> StageResult | None:
        """Read the result; None when the key has not been trained.

        Raises:
            CheckpointError: what lies there is damaged.
        """
        path = self.folder / "result.json"
        try:
            result = decoding.json(path.read_bytes(), _results)
            damaged = files.sha256(self.weights_path) != result.sha256
        except FileNotFoundError:
            return None
        except msgspec.DecodeError:
            damaged = True
        if damaged:
            raise CheckpointError(f"the stored stage result {str(self.folder)!r} is damaged.")
        return result

    @property
    def weights_path(self) -> Path:
        """The network's tensors."""
        return self.folder / "weights.safetensors"

    def tensors(self) -> "dict[str, Tensor]":
        """Read the network's tensors."""
        from pipeline.engine import checkpoint

        tensors, _ = checkpoint.read(self.weights_path)
        return tensors

    def save(self, tensors: "dict[str, Tensor]", **facts: Any) -> StageResult:
        """Write a result; the folder appears whole."""
        from pipeline.engine import checkpoint

        with appearing(self.folder) as temporary:
            weights = temporary / self.weights_path.name
            checkpoint.save(tensors, weights, {"stage": str(facts["stage"])})
            result = StageResult(sha256=files.sha256(weights), **facts)
            files.write_bytes(temporary / "result.json", msgspec.json.encode(result))
        return result

    def discard(self) -> None:
        """Remove a damaged result."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def deployed(self) -> Deployed | None:
        """Read what is known about the lowered network; None when it has not been lowered, or is damaged."""
        try:
            found = decoding.json((self.deployed_folder / "deployed.json").read_bytes(), _deployed)
            intact = all(
                files.sha256(self.deployed_folder / artifact_names[kind]) == checksum
                for kind, checksum in found.sha256.items()
            )
        except (FileNotFoundError, KeyError, msgspec.DecodeError):
            return None
        return found if intact else None

    def answers(self, who: str) -> NDArray[np.int64] | None:
        """Read what a runtime, or the trained network, answered to the test split; None when it has not been asked.

        Args:
            who: ``TRAINED``, or what ``deployment`` calls a runtime of one version on one kind of processor.
        """
        try:
            found: NDArray[np.int64] = np.load(self._answers_path(who), allow_pickle=False).astype(np.int64)
        except (OSError, ValueError):
            return None
        return found

    def keep_answers(self, who: str, answers: NDArray[np.int64]) -> None:
        """Keep what was answered, for ``answers``."""
        path = self._answers_path(who)
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary, temporary.open("wb") as opened:
            np.save(opened, answers.astype(np.int32), allow_pickle=False)

    def _answers_path(self, who: str) -> Path:
        return self.deployed_folder / "answers" / f"{who}.npy"


@contextlib.contextmanager
def appearing(folder: Path) -> Iterator[Path]:
    """Give a temporary folder which, on a clean exit, becomes ``folder``, else is removed."""
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex[:8]}.tmp")
    temporary.mkdir(parents=True)
    try:
        yield temporary
        shutil.rmtree(folder, ignore_errors=True)
        temporary.replace(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)

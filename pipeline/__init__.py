"""The compression pipeline: recipes, stages, exact lowering, measurement and the record of runs.

``load`` and ``load_arrays`` open a compact checkpoint, whoever wrote it: nothing that the file names is run.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn


def load(path: str | Path) -> "nn.Module":
    """Open a compact checkpoint as a network that is ready to answer.

    Args:
        path: ``model.pqd.safetensors`` of a run or of an export.

    Returns:
        A module in evaluation mode, on the CPU: raw images, uint8 ``(N, C, H, W)`` from 0 to 255 in, float32 logits
        ``(N, classes)`` out. Its state dict holds the deployed tensors; it refuses images of another type or shape.

    Raises:
        CheckpointError: the file is absent or damaged, or holds no network that this version can execute.
    """
    import torch

    from pipeline.engine import program
    from pipeline.errors import CheckpointError

    arrays, metadata = load_arrays(path)
    if "program" not in metadata:
        raise CheckpointError(f"the checkpoint {str(path)!r} holds tensors alone, without the network's program.")
    try:
        return program.read(metadata["program"], {name: torch.tensor(array) for name, array in arrays.items()})
    except CheckpointError as error:
        raise CheckpointError(f"the checkpoint {str(path)!r} cannot be opened as a network: {error}") from None


def load_arrays(path: str | Path) -> "tuple[dict[str, NDArray[np.generic]], dict[str, str]]":
    """Open a compact checkpoint as plain arrays, without torch.

    Returns:
        The deployed tensors by name (weight codes are int8), and the metadata: ``classes``, ``mean``, ``std`` and
        ``shape`` (C, H, W) of the images as JSON, ``recipe`` as TOML, ``program`` for ``load``.

    Raises:
        CheckpointError: the file is absent or damaged.
    """
    from pipeline.compact import file

    return file.read(Path(path))

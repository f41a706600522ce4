"""PyTorch on the CPU, eager: what most people run today. It computes in float32, a network lowered to INT8, too."""

import importlib.metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import pipeline
from pipeline.errors import CheckpointError, MeasurementError
from pipeline.protocols import Loaded
from pipeline.runtimes._torch import as_measured

if TYPE_CHECKING:
    from torch import Tensor, nn

READS: str = "checkpoint"
REQUIRES: tuple[str, ...] = ("torch",)

PRODUCTS = frozenset({"convolution", "conv2d", "linear", "addmm", "mm", "bmm", "matmul"})
"""Operators that multiply and add."""


def load(path: Path, *, threads: int) -> Loaded:
    """Open a compact checkpoint. Its BatchNorms are folded, and its weights lie channels last, which oneDNN prefers.

    Args:
        path: The file.
        threads: Threads that one operator may use.

    Raises:
        MeasurementError: The file is absent, damaged or holds no network; also raised by a call with images that the
            network does not take.
    """
    import torch

    try:
        network = pipeline.load(path)
    except CheckpointError as error:
        raise MeasurementError(f"torch {version()} cannot open a network: {error}") from None
    network.to(memory_format=torch.channels_last)
    latest: list[Tensor] = []

    def predict(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        latest[:] = [torch.tensor(images)]
        try:
            with as_measured(threads), torch.inference_mode():
                logits: NDArray[np.float32] = network(*latest).numpy()
        except (RuntimeError, ValueError) as error:
            raise MeasurementError(
                f"torch {version()} cannot execute {str(path)!r} on {images.dtype} images of shape {images.shape}: "
                f"{str(error).strip().splitlines()[0].rstrip('.')}."
            ) from None
        return logits

    return Loaded(predict=predict, precision=lambda: _precision(network, latest))


def _precision(network: "nn.Module", images: "list[Tensor]") -> dict[str, int]:
    """Look on while the network answers the latest images once more; nothing is known before the first ones."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    counts: dict[str, int] = {}

    class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func.overloadpacket.__name__ in PRODUCTS:
                used = str(args[0].dtype).removeprefix("torch.")
                counts[used] = counts.get(used, 0) + 1
            return func(*args, **(kwargs or {}))

    if images:
        with torch.inference_mode(), _Counting():  # type: ignore[no-untyped-call]
            network(*images)
    return counts


def version() -> str:
    """Version of the installed PyTorch."""
    return importlib.metadata.version("torch")

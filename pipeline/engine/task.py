"""What a task is: how a batch is fed, what the loss is, what is measured. Nothing else in the engine knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some training samples, each in its view of one epoch."""

    inputs: Any
    """What the network is called with."""
    targets: Tensor
    """What it should answer, ``(N, ...)``."""
    index: Tensor
    """Which training samples these are, int64 ``(N,)``, on the device."""
    epoch: int
    """Pass of the stage, from 0. The view of a sample is a pure function of (seed, epoch, index)."""


class Task(Protocol):
    """A dataset on a device, as training sees it."""

    device: torch.device
    """Where the data lies and the training runs."""
    batch_size: int
    """Samples in a step."""

    @property
    def num_samples(self) -> int:
        """How many training samples there are; ``Batch.index`` counts them from 0."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass over the training samples."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one pass."""

    def training_samples(self, count: int) -> Iterator[Batch]:
        """Yield batches of about ``count`` training samples as they are, without augmentation; epoch is 0."""

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor:
        """Compare what the network answers with the targets; a scalar."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measure a network on the samples held out; the first metric decides which epoch is the best."""

    def test_answers(self, model: nn.Module) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Answer the test split with a network of torch."""

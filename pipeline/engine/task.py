"""What a task is: how a batch is fed, what the loss is, what is measured. Nothing else in the engine knows."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.sections import Training


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some training samples, each in its view of one epoch."""

    inputs: Any
    """What the network is called with."""
    targets: Tensor
    """What it should answer, ``(N, ...)``; of a kind that the task's own loss understands."""
    index: Tensor
    """Which training samples these are, int64 ``(N,)``, on the device."""
    epoch: int
    """Pass of the stage, from 0.

    How the samples are divided into batches is a pure function of (seed, epoch), and the view of a sample one of
    (seed, epoch, index) beside its batch: what was computed from a view can be stored under epoch and index, as long
    as the settings of the stage are the same.
    """


class Task(Protocol):
    """A dataset on a device, as training sees it."""

    device: torch.device
    """Where the data lies and the training runs."""
    batch_size: int
    """Samples in a step."""

    def with_settings(self, settings: Training) -> Self:
        """Give the same data, its tensors shared, seen with the settings of another stage.

        ``device`` and ``validation`` are one for all stages and stay what they are.
        """

    @property
    def num_samples(self) -> int:
        """How many training samples there are; ``Batch.index`` counts them from 0."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in a pass over the training samples."""

    @property
    def views_key(self) -> str:
        """Everything beside the data that decides which batches ``epoch`` yields, as one text."""

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one pass."""

    def training_samples(self, count: int) -> Iterator[Batch]:
        """Yield batches of about ``count`` training samples as they are, without augmentation; epoch is 0."""

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor:
        """Compare what the network answers with the targets, as training wants it; a scalar."""

    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measure a network on the samples held out; the epoch with the highest first metric is the best."""

    def test_answers(self, model: nn.Module) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Answer the test split with a network of torch."""

"""Knowledge distillation (Hinton, Vinyals and Dean 2015, section 2): the loss, and a teacher that answers only once.

The view of a training sample is a pure function of (seed, epoch, index), so a teacher that is not trained gives it the
same logits whenever it is asked. A table keeps the logits of one epoch; where a table is known, the network is not run.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from pipeline.engine import acceleration
from pipeline.engine.task import Batch, Task
from pipeline.sections import Training

Loss = Callable[[Batch, Tensor], Tensor]
"""A batch and the logits ``(N, classes)`` that the network gave for it in; a scalar out."""

Answers = Callable[[Batch], Tensor]
"""A batch in; the logits ``(N, classes)`` of a teacher for its inputs out, float32, without gradient."""


class Tables(Protocol):
    """Where the answers of one teacher are kept, an epoch at a time."""

    def read(self, epoch: int) -> NDArray[np.float32] | None:
        """Give the logits ``(num_samples, classes)`` of an epoch, unchanged; None when they are not there."""

    def write(self, epoch: int, table: NDArray[np.float32]) -> None:
        """Keep the logits ``(num_samples, classes)`` of a whole epoch; NaN for samples that it left out."""


class Teacher:
    """The answers of a trained network, from its tables where they are known; an ``Answers``."""

    def __init__(
        self, load: Callable[[], nn.Module], task: Task, settings: Training, tables: Tables | None = None
    ) -> None:
        """Take note of where everything is; nothing is read yet.

        Args:
            load: gives the network on the task's device, in evaluation mode; called when an answer is missing.
            task: says how many samples there are and how many of them an epoch holds.
            settings: ``precision`` is that of the network's arithmetic.
            tables: kept answers; None to run the network for every batch.
        """
        self.computed = 0
        """Answers that the network was run for."""
        self.remembered = 0
        """Answers that came from a table."""
        self._load = load
        self._tables = tables
        self._samples = task.num_samples
        self._samples_per_epoch = task.steps_per_epoch * task.batch_size
        self._device = task.device
        self._autocast = acceleration.autocast(settings, task.device)
        self._epoch = -1
        self._known: Tensor | None = None
        self._fresh: Tensor | None = None
        self._filled = 0

    def __call__(self, batch: Batch) -> Tensor:
        """Answer a batch of the training samples, each in its view."""
        if batch.epoch != self._epoch:
            self._open(batch.epoch)
        if self._known is not None:
            self.remembered += len(batch.index)
            return self._known[batch.index]
        with torch.no_grad(), self._autocast:
            answers: Tensor = self._network(batch.inputs).float()
        self.computed += len(batch.index)
        if self._tables is not None:
            self._keep(batch, answers, self._tables)
        return answers

    @cached_property
    def _network(self) -> nn.Module:
        return self._load()

    def _open(self, epoch: int) -> None:
        table = self._tables.read(epoch) if self._tables is not None else None
        self._known = None if table is None else torch.from_numpy(table).to(self._device)
        self._epoch, self._fresh, self._filled = epoch, None, 0

    def _keep(self, batch: Batch, answers: Tensor, tables: Tables) -> None:
        """Collect the answers of an epoch; a table is written once it is whole, so a stopped epoch leaves nothing."""
        if self._fresh is None:
            self._fresh = torch.full((self._samples, *answers.shape[1:]), torch.nan, device=answers.device)
        self._fresh[batch.index] = answers
        self._filled += len(batch.index)
        if self._filled == self._samples_per_epoch:
            tables.write(batch.epoch, self._fresh.cpu().numpy())


def soft_targets(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Divergence of the softened student from the softened teacher, times T squared.

    Args:
        student: logits ``(N, classes)``.
        teacher: logits ``(N, classes)``.
        temperature: above 0; divides both logits. T squared keeps the gradient's size independent of it.

    Returns:
        ``T^2 * KL(softmax(teacher / T) || softmax(student / T))``, the mean over the batch.
    """
    student = functional.log_softmax(student / temperature, dim=1)
    teacher = functional.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * functional.kl_div(student, teacher, reduction="batchmean", log_target=True)


def soft_target_loss(answers: Answers, plain: Loss, *, temperature: float, alpha: float) -> Loss:
    """Make a loss that compares with the teacher's answers to the very inputs that the student saw.

    Args:
        answers: of the teacher.
        plain: the loss against the labels: the task's own, which knows mixed and smoothed targets.
        temperature: above 0; softens both outputs.
        alpha: 0 to 1; weight of the teacher's answers. 0 is the plain loss, 1 leaves the labels out.
    """

    def loss(batch: Batch, logits: Tensor) -> Tensor:
        soft = soft_targets(logits, answers(batch), temperature)
        return soft if alpha == 1 else alpha * soft + (1 - alpha) * plain(batch, logits)

    return loss

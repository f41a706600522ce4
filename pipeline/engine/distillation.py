"""The loss of knowledge distillation (Hinton, Vinyals and Dean 2015, section 2)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.engine.task import Batch

Loss = Callable[[Batch, Tensor], Tensor]
"""A batch and the logits ``(N, classes)`` that the network gave for it in; a scalar out."""


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


def soft_target_loss(teacher: nn.Module, *, temperature: float, alpha: float) -> Loss:
    """Make a loss that asks the teacher about the very inputs that the student saw.

    Args:
        teacher: a network in evaluation mode; it is not trained.
        temperature: above 0; softens both outputs.
        alpha: 0 to 1; weight of the teacher's answers. 0 is plain cross-entropy, 1 leaves the labels out.
    """

    def loss(batch: Batch, logits: Tensor) -> Tensor:
        with torch.no_grad():
            answers = teacher(batch.inputs)
        soft = soft_targets(logits, answers, temperature)
        return alpha * soft + (1 - alpha) * functional.cross_entropy(logits, batch.targets)

    return loss

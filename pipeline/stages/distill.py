"""Train towards the answers of the FP32 baseline as well as towards the labels.

Knowledge distillation after Hinton, Vinyals and Dean (2015): the loss is
``alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * cross-entropy``. The teacher is
the recipe's baseline, in evaluation mode, and sees the very view of the image that the student sees. Masks and
fake quantisers of earlier stages stay as they are, so it recovers accuracy inside the form that is deployed.
"""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from pipeline.protocols import Stage

if TYPE_CHECKING:
    from torch import nn

    from pipeline.session import Session


class Distill(Stage, frozen=True, kw_only=True):
    """Knowledge distillation from the baseline."""

    temperature: Annotated[float, Meta(gt=0, le=100, description="softens both outputs")] = 4.0
    alpha: Annotated[float, Meta(ge=0, le=1, description="weight of the teacher's answers against the labels")] = 0.9
    epochs: Annotated[int, Meta(ge=0, description="passes over the training data", extra={"unit": "epochs"})] = 40
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.01

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Train with the teacher's answers beside the labels."""
        from pipeline.engine import distillation

        teacher = session.teacher()
        loss = distillation.soft_target_loss(teacher, temperature=self.temperature, alpha=self.alpha)
        session.fit(model, epochs=self.epochs, learning_rate=self.learning_rate, loss=loss)
        return model

"""Train towards the answers of a teacher as well as towards the labels.

Knowledge distillation after Hinton, Vinyals and Dean (2015): the loss is
``alpha * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + (1 - alpha) * loss against the labels``. The teacher
is the recipe's baseline, or another, larger backbone that is trained as the baseline is or loaded from a file. It
stands in evaluation mode and sees the very view of the image that the student sees. Masks and fake quantisers of
earlier stages stay as they are, so it recovers accuracy inside the form that is deployed.
"""

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from pipeline import catalog
from pipeline.errors import PluginError, RecipeError
from pipeline.protocols import Stage

if TYPE_CHECKING:
    from torch import nn

    from pipeline.recipe import Recipe
    from pipeline.session import Session


class Distill(Stage, frozen=True, kw_only=True):
    """Knowledge distillation from the baseline or from another backbone."""

    temperature: Annotated[float, Meta(gt=0, le=100, description="softens both outputs")] = 4.0
    alpha: Annotated[float, Meta(ge=0, le=1, description="weight of the teacher's answers against the labels")] = 0.9
    teacher: Annotated[str, Meta(description="the baseline, or a backbone that is trained as the baseline is")] = (
        "baseline"
    )
    teacher_checkpoint: (
        Annotated[
            str,
            Meta(description="load the teacher's weights (.pt, .th, .safetensors)", extra={"path": True}),
        ]
        | None
    ) = None
    epochs: Annotated[int, Meta(ge=0, description="passes over the training data", extra={"unit": "epochs"})] = 40
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.01

    def teacher_in(self, recipe: "Recipe") -> "Recipe":
        """Give the recipe whose baseline is the teacher.

        Raises:
            RecipeError: there is no such backbone, or nothing says how long it is trained.
        """
        if self.teacher == "baseline":
            return recipe.network(recipe.backbone, self.teacher_checkpoint or recipe.baseline.checkpoint)
        try:
            catalog.check("backbones", self.teacher)
        except PluginError as error:
            raise RecipeError(f"teacher: {error}") from None
        if self.teacher_checkpoint is None and recipe.baseline.epochs is None:
            raise RecipeError(
                f"teacher is {self.teacher!r}, but the baseline is a checkpoint, so nothing says how long that network "
                "is trained; give teacher_checkpoint, or baseline.epochs in place of baseline.checkpoint."
            )
        return recipe.network(self.teacher, self.teacher_checkpoint)

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Train with the teacher's answers beside the labels."""
        from pipeline.engine import distillation

        teacher = session.teacher()
        loss = distillation.soft_target_loss(teacher, session.task.loss, temperature=self.temperature, alpha=self.alpha)
        session.fit(model, epochs=self.epochs, learning_rate=self.learning_rate, loss=loss)
        session.note(
            f"the teacher was run for {teacher.computed:,} images; "
            f"{teacher.remembered:,} of its answers came from the cache."
        )
        return model

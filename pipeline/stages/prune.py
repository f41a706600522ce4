"""Set the smallest weights to zero and train the rest.

Unstructured magnitude pruning. The zeros are kept exactly by every later stage and stand in the deployed INT8
file. They buy bytes, not milliseconds: no maintained CPU runtime computes faster for them. ``scope = "global"``
compares weights across layers, so that wide layers give up more; ``"layer"`` takes the same share of each.
``schedule = "cubic"`` raises the sparsity over the first half of the stage (Zhu and Gupta 2017, equation 1);
``"one-shot"`` sets it at once. After quantize, the weights behind the fake quantisers are pruned.
"""

import math
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pipeline.protocols import Stage

if TYPE_CHECKING:
    from torch import nn

    from pipeline.session import Session


class Prune(Stage, frozen=True, kw_only=True):
    """Unstructured magnitude pruning."""

    sparsity: Annotated[float, Meta(ge=0, lt=1, description="share of the prunable weights that become zero")] = 0.5
    scope: Annotated[
        Literal["global", "layer"],
        Meta(description="compare weights over the whole network, or layer by layer"),
    ] = "global"
    schedule: Annotated[
        Literal["cubic", "one-shot"],
        Meta(description="raise the sparsity over the first half, or set it at once"),
    ] = "cubic"
    epochs: Annotated[int, Meta(ge=0, description="passes over the training data", extra={"unit": "epochs"})] = 20
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.01

    def prepare(self, model: "nn.Module") -> "nn.Module":
        """Register a mask of ones beside each prunable weight that has none."""
        from pipeline.engine import sparsity

        return sparsity.attach_masks(model)

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Prune along the schedule while training."""
        from pipeline.engine import sparsity

        model = self.prepare(model)
        start = sparsity.sparsity_of(model)
        target = max(start, self.sparsity)

        reached = start

        def prune(progress: float) -> None:
            nonlocal reached
            # Half of the stage is left for the weights that remain to settle at the final sparsity. Twenty
            # rises on the way: each one sorts all weights, which is dear on a large network.
            ramp = min(1.0, math.ceil(40 * progress) / 20) if self.schedule == "cubic" else 1.0
            wanted = sparsity.cubic(start, target, ramp)
            if wanted > reached:
                sparsity.raise_sparsity(model, wanted, scope=self.scope)
                reached = wanted

        session.fit(model, epochs=self.epochs, learning_rate=self.learning_rate, before_step=prune)
        sparsity.raise_sparsity(model, target, scope=self.scope)
        return model

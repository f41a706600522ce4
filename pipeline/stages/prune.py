"""Set the least important weights to zero and train the rest.

The zeros are kept exactly by every later stage and stand in the deployed INT8 file. They buy bytes, not
milliseconds: no maintained CPU runtime computes faster for them. ``importance = "magnitude"`` ranks by the size of a
weight, ``"gradient"`` by its size times the gradient of the loss over some training samples, taken anew at each rise
of the sparsity (first-order Taylor, Molchanov et al. 2019). ``scope = "global"`` compares weights across layers, so
that wide layers give up more, but none more than ``min_density`` allows; ``"layer"`` takes the same share of each.

``pattern = "2:4"`` leaves 2 weights of every 4 consecutive ones of an output channel: the sparsity follows from it, and
``sparsity``, ``scope`` and ``min_density`` are not used. Some accelerators execute that form, no CPU runtime does.
``schedule = "cubic"`` raises the sparsity over the first half of the stage (Zhu and Gupta 2017, equation 1), a pattern
by whole weights of its groups; ``"one-shot"`` sets it at once. After quantize, the weights behind the fake quantisers
are pruned. The layer of the logits and those that ``skip`` names stay dense and do not count.
"""

import math
import re
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta

from pipeline.errors import StageError
from pipeline.protocols import Stage

if TYPE_CHECKING:
    from torch import nn

    from pipeline.session import Session


class Prune(Stage, frozen=True, kw_only=True):
    """Pruning of single weights, by magnitude or gradient, free or in N:M groups."""

    sparsity: Annotated[
        float,
        Meta(ge=0, lt=1, description="share of the prunable weights that become zero; not used with an N:M pattern"),
    ] = 0.5
    importance: Annotated[
        Literal["magnitude", "gradient"],
        Meta(description="rank weights by size, or by size times gradient of the loss"),
    ] = "magnitude"
    pattern: Annotated[
        str, Meta(description="unstructured, or N:M such as 2:4: N weights stay of every M, which sets the sparsity")
    ] = "unstructured"
    scope: Annotated[
        Literal["global", "layer"],
        Meta(description="compare weights over the whole network, or layer by layer"),
    ] = "global"
    min_density: Annotated[
        float,
        Meta(ge=0, le=1, description="least share of its weights that every layer keeps; not used with a pattern"),
    ] = 0.0
    skip: Annotated[
        tuple[str, ...], Meta(description="layers left alone, by name or shell pattern such as layer1.*")
    ] = ()
    schedule: Annotated[
        Literal["cubic", "one-shot"],
        Meta(description="raise the sparsity over the first half, or set it at once"),
    ] = "cubic"
    epochs: Annotated[int, Meta(ge=0, description="passes over the training data", extra={"unit": "epochs"})] = 20
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.01

    def __post_init__(self) -> None:
        """Refuse a pattern that is none, and a sparsity that ``min_density`` forbids."""
        if self.pattern != "unstructured":
            kept, group = self._group
            if not 1 <= kept < group <= 16:
                raise ValueError(
                    f"pattern is {self.pattern!r}; it must be unstructured, or N:M with 1 <= N < M <= 16 such as 2:4"
                )
        elif self.sparsity + self.min_density > 1:
            raise ValueError(
                f"sparsity {self.sparsity:g} and min_density {self.min_density:g} are more than 1 together; lower one"
            )

    @property
    def _group(self) -> tuple[int, int]:
        """N and M of the pattern; zeros when it has none."""
        found = re.fullmatch(r"([0-9]{1,2}):([0-9]{1,2})", self.pattern)
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def prepare(self, model: "nn.Module") -> "nn.Module":
        """Register a mask of ones beside each prunable weight that has none."""
        from pipeline.engine import sparsity

        return sparsity.attach_masks(model)

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Prune along the schedule while training.

        Raises:
            StageError: ``skip`` names a layer that is not there, or the pattern fits none.
        """
        from pipeline.engine import sparsity

        model = self.prepare(model)
        start, target = self._levels(model, session)
        reached = 0.0

        def prune(progress: float) -> None:
            nonlocal reached
            # Half of the stage is left for the weights that remain to settle at the final sparsity. Twenty
            # rises on the way: each one ranks all weights, which is dear on a large network.
            ramp = min(1.0, math.ceil(40 * progress) / 20) if self.schedule == "cubic" else 1.0
            wanted = sparsity.cubic(start, target, ramp)
            if self.pattern != "unstructured":
                wanted = math.floor(wanted)
            if wanted > reached:
                self._raise_to(wanted, model, session)
                reached = wanted

        session.fit(
            model,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            before_step=prune,
            settled_after=0.5 if self.schedule == "cubic" else 0.0,
        )
        self._raise_to(target, model, session)
        return model

    def _levels(self, model: "nn.Module", session: "Session") -> tuple[float, float]:
        """Give what the schedule leads from and to: shares of zeros, or zeros in a group of the pattern."""
        from pipeline.engine import sparsity

        if self.pattern == "unstructured":
            return min(sparsity.sparsity_of(model, self.skip), self.sparsity), self.sparsity
        kept, group = self._group
        layers = sparsity.prunable(model, self.skip)
        unfit = [name for name, layer in layers.items() if sparsity.row_length(layer) % group]
        if len(unfit) == len(layers):
            raise StageError(
                f"pattern is {self.pattern!r}, but no layer has a multiple of {group} weights in an output channel; "
                "choose groups that divide them, or unstructured."
            )
        if unfit:
            session.note(
                f"pattern {self.pattern} leaves alone {', '.join(unfit)}: the weights of an output channel are no "
                f"multiple of {group} there."
            )
        return 0.0, group - kept

    def _raise_to(self, level: float, model: "nn.Module", session: "Session") -> None:
        from pipeline.engine import sparsity

        if self.importance == "gradient":
            was_training = model.training
            session.accumulate_gradients(model)
            model.train(was_training)
        if self.pattern == "unstructured":
            sparsity.raise_sparsity(
                model, level, scope=self.scope, importance=self.importance, skip=self.skip, min_density=self.min_density
            )
        else:
            _, group = self._group
            sparsity.raise_pattern(model, int(level), group, importance=self.importance, skip=self.skip)

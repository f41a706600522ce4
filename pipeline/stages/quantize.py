"""Train with INT8 arithmetic simulated, so that the network tolerates it.

Quantisation-aware training with straight-through fake quantisers: weights int8, symmetric, one scale per output
channel; activations uint8, affine, one scale per tensor. Ranges of activations are calibrated on training images, then
follow a moving average of what ``observer`` makes of each batch, and are frozen after the share ``freeze_after`` of
the steps. With ``learned_step`` the steps of weights and activations are trained instead (LSQ, Esser et al. 2020).
``epochs = 0`` calibrates only: post-training quantisation. Later stages go on training the fake-quantised network; it
is lowered to real INT8 once, after the last stage.

``weight_bits`` below 8 uses a coarser grid on the same INT8 kernels: fewer bytes once coded, no fewer milliseconds.
``reduce_range`` keeps weights on 7 bits, for processors without VNNI, DP4A or the like: their INT8 instructions add two
products in 16 bits, which overflow with full weights.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from msgspec import Meta

from pipeline import processor
from pipeline.protocols import Stage

if TYPE_CHECKING:
    from torch import nn

    from pipeline.session import Session


class Quantize(Stage, frozen=True, kw_only=True):
    """INT8 quantisation-aware training."""

    at_most_once: ClassVar[bool] = True

    weight_bits: Annotated[int, Meta(ge=2, le=8, description="width of the weights' grid", extra={"unit": "bit"})] = 8
    reduce_range: Annotated[
        bool, Meta(description="weights on 7 bits at most, for processors whose INT8 products overflow")
    ] = False
    first_last: Annotated[
        Literal["same", "8-bit", "float"],
        Meta(description="first and last layer: as all others, on 8 bits, or left in float"),
    ] = "same"
    observer: Annotated[
        Literal["min-max", "percentile", "mse"],
        Meta(description="range of an activation: extremes, 99.99 % of the values, or least square error"),
    ] = "min-max"
    learned_step: Annotated[bool, Meta(description="train the steps of all grids (LSQ)")] = False
    freeze_after: Annotated[
        float, Meta(ge=0, le=1, description="share of the steps after which the ranges are frozen")
    ] = 0.6
    epochs: Annotated[int, Meta(ge=0, description="passes over the training data", extra={"unit": "epochs"})] = 40
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.001

    def caution(self, runtimes: Collection[str]) -> str:
        """Tell where ONNX Runtime's products overflow: 8-bit weights on a processor that adds them in 16 bits."""
        is_full = not self.reduce_range and (self.weight_bits == 8 or self.first_last == "8-bit")
        found = processor.instruction_set()
        if not is_full or "onnxruntime" not in runtimes or found not in processor.SATURATING:
            return ""
        return f"quantize needs reduce_range = true: INT8 products overflow here ({found})."

    def prepare(self, model: "nn.Module") -> "nn.Module":
        """Insert the fake quantisers."""
        from pipeline.engine import placement

        scheme = placement.Scheme(
            weight_bits=min(self.weight_bits, 7) if self.reduce_range else self.weight_bits,
            first_last=self.first_last,
            end_bits=7 if self.reduce_range else 8,
            observer=self.observer,
            learned_step=self.learned_step,
        )
        return placement.prepare(model, scheme)

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Insert, calibrate and train."""
        model = self.prepare(model)
        session.calibrate(model)
        session.fit(
            model,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            freeze_after=self.freeze_after,
            settled_after=self.freeze_after,
        )
        return model

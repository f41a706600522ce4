"""Train with INT8 arithmetic simulated, so that the network tolerates it.

Quantisation-aware training with straight-through fake quantisers: weights int8, symmetric, one scale per output
channel; activations uint8, affine, one scale per tensor, ranges by a moving average of the extremes. The ranges are
first calibrated on training batches, then follow the training, and are frozen after the share ``freeze_after`` of
the steps. ``epochs = 0`` calibrates only. Later stages go on training the
fake-quantised network; it is lowered to real INT8 once, after the last stage. ``weight_bits`` below 8 uses a
coarser grid on the same INT8 kernels: fewer bytes once coded, no fewer milliseconds.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar

from msgspec import Meta

from pipeline.protocols import Stage

if TYPE_CHECKING:
    from torch import nn

    from pipeline.session import Session


class Quantize(Stage, frozen=True, kw_only=True):
    """INT8 quantisation-aware training."""

    at_most_once: ClassVar[bool] = True

    weight_bits: Annotated[int, Meta(ge=2, le=8, description="width of the weights' grid", extra={"unit": "bit"})] = 8
    freeze_after: Annotated[
        float, Meta(ge=0, le=1, description="share of the steps after which the ranges are frozen")
    ] = 0.6
    epochs: Annotated[int, Meta(ge=0, description="passes over the training data", extra={"unit": "epochs"})] = 40
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.001

    def prepare(self, model: "nn.Module") -> "nn.Module":
        """Insert the fake quantisers."""
        from pipeline.engine import placement

        return placement.prepare(model, placement.Scheme(weight_bits=self.weight_bits))

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Insert, calibrate and train."""
        model = self.prepare(model)
        session.calibrate(model)
        session.fit(model, epochs=self.epochs, learning_rate=self.learning_rate, freeze_after=self.freeze_after)
        return model

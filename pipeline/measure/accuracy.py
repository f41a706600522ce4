"""How many test samples a deployed file answers rightly."""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MeasurementError
from pipeline.protocols import Predict
from pipeline.report import Accuracy


def classify(predict: Predict, images: NDArray[np.uint8], batch_size: int = 256) -> NDArray[np.int64]:
    """Answer images with a deployed file: the class of the largest logit, ``(N,)``.

    Args:
        predict: from a runtime.
        images: ``(N, C, H, W)``.
        batch_size: images in a call.

    Raises:
        MeasurementError: the logits are not one row for each image, or not finite.
    """
    answers = [np.empty(0, np.int64)]
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        logits = predict(batch)
        if logits.ndim != 2 or len(logits) != len(batch):
            raise MeasurementError(
                f"the deployed file gives an output of shape {logits.shape} for {len(batch)} images; "
                "it must be one row of logits for each."
            )
        if not np.isfinite(logits).all():
            raise MeasurementError("the deployed file gives logits that are infinite or NaN: its training diverged.")
        answers.append(logits.argmax(axis=1).astype(np.int64))
    return np.concatenate(answers)


def accuracy(
    predict: Predict,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    runtime: str,
    trained: NDArray[np.int64] | None = None,
    batch_size: int = 256,
) -> Accuracy:
    """Count the right answers of a deployed file.

    Args:
        predict: from a runtime.
        images: ``(N, C, H, W)``.
        labels: class of each image, ``(N,)``.
        runtime: its name, for the record.
        trained: what the trained network answers, ``(N,)``, to tell how often both agree; None not to compare.
        batch_size: images in a call.

    Raises:
        MeasurementError: the logits are not one row for each image, or not finite.
    """
    answers = classify(predict, images, batch_size)
    return Accuracy(
        correct=int((answers == labels).sum()),
        total=len(labels),
        runtime=runtime,
        agreement=None if trained is None else float((answers == trained).mean()),
    )

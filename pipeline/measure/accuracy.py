"""How many test samples a deployed file answers rightly."""

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import MeasurementError
from pipeline.protocols import Predict
from pipeline.report import Accuracy, Machine, Paired


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
    answers: NDArray[np.int64],
    labels: NDArray[np.int64],
    *,
    runtime: str,
    machine: Machine,
    trained: NDArray[np.int64] | None = None,
    baseline: NDArray[np.int64] | None = None,
) -> Accuracy:
    """Count right answers, by themselves and against others' answers to the same samples.

    Args:
        answers: class that the deployed file gives each sample, ``(N,)``.
        labels: class of each sample, ``(N,)``.
        runtime: what executed the file.
        machine: where.
        trained: what the trained network answers, ``(N,)``, to tell how often both agree; None not to compare.
        baseline: what the baseline's file answers, ``(N,)``; None not to compare.
    """
    right = answers == labels
    paired = None
    if baseline is not None:
        was_right = baseline == labels
        paired = Paired(total=len(labels), gained=int((right & ~was_right).sum()), lost=int((was_right & ~right).sum()))
    return Accuracy(
        correct=int(right.sum()),
        total=len(labels),
        runtime=runtime,
        version=machine.versions.get(runtime, ""),
        instruction_set=machine.instruction_set,
        agreement=None if trained is None else float((answers == trained).mean()),
        versus_baseline=paired,
    )

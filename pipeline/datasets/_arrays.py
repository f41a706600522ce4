"""What the datasets share: the options of normalisation, and checks that name what is wrong with an array."""

import math
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from pipeline.errors import DatasetError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mean = Annotated[
    tuple[float, ...],
    Meta(description="mean of each channel, of pixels scaled to 0..1; when not set, that of the training images"),
]
Std = Annotated[
    tuple[float, ...],
    Meta(description="standard deviation of each channel, of pixels scaled to 0..1; when not set, as for mean"),
]


def normalisation(
    images: "NDArray[np.uint8]", mean: tuple[float, ...] | None, std: tuple[float, ...] | None
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the mean and standard deviation of each channel: the given ones, else those of the images.

    Args:
        images: training images, ``(N, C, H, W)``.
        mean: one number for each channel; None to compute them.
        std: one number above 0 for each channel; None to compute them.

    Raises:
        DatasetError: the given numbers do not fit the channels of the images.
    """
    channels = images.shape[1]
    for name, given in (("mean", mean), ("std", std)):
        if given is not None and (len(given) != channels or not all(math.isfinite(value) for value in given)):
            raise DatasetError(
                f"dataset.{name} is {list(given)}; the images have {channels} channel{'s' * (channels > 1)}, "
                f"so it must be a list of {channels} finite numbers."
            )
    if std is not None and min(std) <= 0:
        raise DatasetError(f"dataset.std is {list(std)}; every standard deviation must be above 0.")
    if mean is not None and std is not None:
        return mean, std
    found_mean, found_std = _measured(images)
    return mean or found_mean, std or found_std


def in_channel_order(images: "NDArray[np.uint8]", what: str) -> "NDArray[np.uint8]":
    """Bring images to ``(N, C, H, W)``; the axis of the channels is the one of length 1 or 3.

    Args:
        images: ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)``.
        what: what to call them in messages.

    Raises:
        DatasetError: there is no such axis, or there are two.
    """
    import numpy as np

    if images.ndim == 3:
        return np.ascontiguousarray(images[:, None])
    shape = tuple(images.shape)
    if images.ndim != 4:
        raise DatasetError(f"{what} has the shape {shape}; it must be (N, H, W), (N, H, W, C) or (N, C, H, W).")
    first, last = shape[1] in (1, 3), shape[3] in (1, 3)
    if first == last:
        reason = "both could be the channels" if first else "neither is"
        raise DatasetError(
            f"{what} has the shape {shape}; the second or the last axis must be the channels, 1 or 3 long, "
            f"and {reason}."
        )
    return np.ascontiguousarray(images if first else images.transpose(0, 3, 1, 2))


def labels(values: "NDArray[np.generic]", images: int, what: str) -> "NDArray[np.int64]":
    """Check that labels are one whole number for each image; ``(N, 1)`` is taken as ``(N,)``.

    Raises:
        DatasetError: another type, another shape or another length.
    """
    import numpy as np

    if values.dtype.kind not in "iu":
        raise DatasetError(f"{what} is of type {values.dtype}; labels must be whole numbers from 0.")
    if values.ndim != 1 and not (values.ndim == 2 and values.shape[1] == 1):
        raise DatasetError(f"{what} has the shape {tuple(values.shape)}; it must be (N,), one label for each image.")
    if len(values) != images:
        raise DatasetError(f"{what} holds {len(values)} labels for {images} images; there must be one for each.")
    return values.reshape(-1).astype(np.int64)


def _measured(images: "NDArray[np.uint8]") -> tuple[tuple[float, ...], tuple[float, ...]]:
    import numpy as np

    total = np.zeros(images.shape[1])
    squares = np.zeros(images.shape[1])
    for start in range(0, len(images), 1024):
        scaled = images[start : start + 1024].astype(np.float64) / 255
        total += scaled.sum(axis=(0, 2, 3))
        squares += np.square(scaled).sum(axis=(0, 2, 3))
    count = images.size / images.shape[1]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 0))
    # A channel that never varies has nothing to scale; dividing by its deviation would blow up rounding errors.
    std[std < 1e-4] = 1.0
    return tuple(mean.tolist()), tuple(std.tolist())

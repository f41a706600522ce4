"""Your own images as arrays in one NumPy archive: x_train, y_train, x_test and y_test.

Images are ``uint8``, ``(N, H, W)``, ``(N, H, W, C)`` or ``(N, C, H, W)`` with 1 or 3 channels; labels are whole
numbers from 0. An array ``classes`` may name the classes. The archive is read without unpickling anything.
Training images are shifted but not mirrored unless ``augmentation = "shift-flip"`` says that a mirrored image is
of the same class, as it is in photographs.
"""

import hashlib
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from pipeline import files
from pipeline.datasets import _arrays
from pipeline.errors import DatasetError
from pipeline.protocols import Augmentation, Dataset, Splits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

required = ("x_train", "y_train", "x_test", "y_test")


class Npz(Dataset, frozen=True, kw_only=True):
    """Arrays in a file of yours."""

    path: Annotated[
        str, Meta(description="an .npz file with x_train, y_train, x_test and y_test", extra={"path": True})
    ]
    augmentation: Annotated[
        Augmentation,
        Meta(description="what keeps the class of an image: nothing, a shift, or a shift and mirroring"),
    ] = "shift"
    mean: _arrays.Mean | None = None
    std: _arrays.Std | None = None

    def fingerprint(self) -> str:
        """Hash the file's bytes and the options.

        Raises:
            DatasetError: the file cannot be read.
        """
        try:
            content = files.sha256(Path(self.path))
        except OSError as error:
            raise DatasetError(f"the dataset {self.path!r} cannot be read: {error.strerror}.") from None
        options = msgspec.json.encode([content, self.augmentation, self.mean, self.std])
        return f"npz-{hashlib.sha256(options).hexdigest()}"

    def absent(self) -> str | None:
        """Say that the file is not there."""
        if Path(self.path).is_file():
            return None
        return f"there is no file {self.path!r}: set dataset.path to an .npz file with {', '.join(required)}."

    def load(self, progress: Callable[[int, int], None] | None = None) -> Splits:
        """Read and check the arrays.

        Raises:
            DatasetError: says which array is wrong, what was found and what is allowed.
        """
        arrays = _read(Path(self.path))
        try:
            return self._splits(arrays)
        except DatasetError as error:
            raise DatasetError(f"{self.path}: {error}") from None

    def _splits(self, arrays: "dict[str, NDArray[Any]]") -> Splits:
        x_train, y_train = _split(arrays, "train")
        x_test, y_test = _split(arrays, "test")
        if x_train.shape[1:] != x_test.shape[1:]:
            raise DatasetError(
                f"the images of x_train are (C, H, W) = {x_train.shape[1:]} and those of x_test {x_test.shape[1:]}; "
                "they must be equal."
            )
        mean, std = _arrays.normalisation(x_train, self.mean, self.std)
        return Splits(
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
            classes=_classes(arrays.get("classes"), y_train, y_test),
            mean=mean,
            std=std,
            augmentation=self.augmentation,
        )


def _read(path: Path) -> "dict[str, NDArray[Any]]":
    """Read the arrays that matter; every other member of the archive is left alone."""
    import numpy as np

    if not zipfile.is_zipfile(path):
        if not path.is_file():
            raise DatasetError(f"there is no file {str(path)!r}: set dataset.path to an .npz file.")
        raise DatasetError(f"{str(path)!r} is no .npz archive, or it is cut short: write it with numpy.savez.")
    key = ""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {}
            for key in (*required, "classes"):
                if key in archive.files:
                    found[key] = archive[key]
            known = ", ".join(archive.files) or "nothing"
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        if "allow_pickle" in str(error) and key:
            raise DatasetError(
                f"{path}: {key} is an array of Python objects, which is not read: save plain numbers (uint8 images, "
                "integer labels) or, for classes, an array of texts."
            ) from None
        raise DatasetError(f"{path}: {key or 'the archive'} is damaged ({error}): write the file again.") from None
    for key in required:
        if key not in found:
            raise DatasetError(f"{path}: {key} is missing; found {known}; needed are {', '.join(required)}.")
    return found


def _split(arrays: "dict[str, NDArray[Any]]", split: str) -> "tuple[NDArray[np.uint8], NDArray[np.int64]]":
    import numpy as np

    images = arrays[f"x_{split}"]
    if images.dtype != np.uint8:
        raise DatasetError(f"x_{split} is of type {images.dtype}; images must be uint8, 0 to 255.")
    if not images.size:
        raise DatasetError(f"x_{split} holds no image; there must be at least one.")
    images = _arrays.in_channel_order(images, f"x_{split}")
    return images, _arrays.labels(arrays[f"y_{split}"], len(images), f"y_{split}")


def _classes(
    names: "NDArray[Any] | None", y_train: "NDArray[np.int64]", y_test: "NDArray[np.int64]"
) -> tuple[str, ...]:
    """Name the classes; without names every number from 0 to the largest must occur in training."""
    import numpy as np

    if names is not None and (names.ndim != 1 or names.dtype.kind != "U"):
        raise DatasetError(
            f"classes is an array of type {names.dtype} and shape {tuple(names.shape)}; it must be a list of texts."
        )
    present = np.unique(y_train)
    count = len(present) if names is None else len(names)
    for key, values in (("y_train", y_train), ("y_test", y_test)):
        low, high = int(values.min()), int(values.max())
        if low < 0 or high >= count:
            because = f"{count} classes are named" if names is not None else f"y_train holds {count} different labels"
            raise DatasetError(f"{key} goes from {low} to {high}; {because}, so labels must be 0 to {count - 1}.")
    if count < 2:
        raise DatasetError("there is only one class; there must be at least 2.")
    return tuple(str(number) for number in range(count)) if names is None else tuple(names.tolist())

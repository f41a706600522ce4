"""Handwritten digits: 1,797 grey images of 8x8 pixels that come with scikit-learn.

Nothing is downloaded. 1,437 images train and 360 test; the split is fixed for ever and every class has the same
share of both. Images are never mirrored: a mirrored digit is another character.
"""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from pipeline.datasets import _arrays
from pipeline.errors import MissingDependency
from pipeline.protocols import Dataset, Splits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Digits(Dataset, frozen=True, kw_only=True):
    """Handwritten digits of scikit-learn."""

    def fingerprint(self) -> str:
        """Name the data and the version of the split."""
        return "digits-1"

    def load(self, progress: Callable[[int, int], None] | None = None) -> Splits:
        """Read the images from the installed scikit-learn.

        Raises:
            MissingDependency: scikit-learn is not installed or fails to import.
        """
        import numpy as np

        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise MissingDependency(
                f"the dataset 'digits' needs scikit-learn ({error}): install with 'uv pip install scikit-learn'."
            ) from error
        found = load_digits()
        images = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
        targets = found.target.astype(np.int64)
        train, test = _split(targets)
        mean, std = _arrays.normalisation(images[train], None, None)
        return Splits(
            x_train=images[train],
            y_train=targets[train],
            x_test=images[test],
            y_test=targets[test],
            classes=tuple(str(digit) for digit in range(10)),
            mean=mean,
            std=std,
            augmentation="shift",
        )


def _split(targets: "NDArray[np.int64]") -> "tuple[NDArray[np.int64], NDArray[np.int64]]":
    """Every fifth image of each class tests, in an order drawn by a hash: no library's generator can change it."""
    import numpy as np

    drawn = np.array([hashlib.sha256(f"digits {index}".encode()).hexdigest() for index in range(len(targets))])
    by_class = np.lexsort((drawn, targets))
    test = by_class[::5]
    train = np.setdiff1d(by_class, test)
    return train[np.argsort(drawn[train])], test[np.argsort(drawn[test])]

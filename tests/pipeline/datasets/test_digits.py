import subprocess
import sys

import numpy as np
import pytest

from pipeline.datasets.digits import Digits
from pipeline.protocols import Splits


@pytest.fixture(scope="module")
def splits() -> Splits:
    return Digits().load()


def test_the_images_are_bytes_from_black_to_white(splits):
    assert splits.x_train.shape == (1437, 1, 8, 8)
    assert splits.x_test.shape == (360, 1, 8, 8)
    assert splits.x_train.dtype == splits.x_test.dtype == np.uint8
    assert (splits.x_train.min(), splits.x_train.max()) == (0, 255)


def test_every_class_has_the_same_share_of_the_test_split(splits):
    train, test = np.bincount(splits.y_train), np.bincount(splits.y_test)
    assert len(train) == len(test) == len(splits.classes) == 10
    assert (abs(test - (train + test) / 5) < 1).all()


def test_no_image_stands_in_both_splits_and_none_is_lost(splits):
    from sklearn.datasets import load_digits

    def sums(images):
        return sorted(images.reshape(len(images), -1).astype(int).tolist())

    original = np.rint(load_digits().images * 255 / 16).astype(int)
    assert sums(np.concatenate([splits.x_train, splits.x_test])) == sums(original)


def test_the_split_is_fixed_for_ever(splits):
    assert splits.y_train[:12].tolist() == [1, 3, 9, 1, 8, 8, 9, 1, 0, 3, 4, 3]
    assert splits.y_test[:12].tolist() == [2, 8, 0, 1, 4, 3, 7, 9, 4, 5, 8, 0]


def test_digits_are_never_mirrored(splits):
    assert splits.augmentation == "shift"


def test_the_statistics_are_those_of_the_training_images(splits):
    scaled = splits.x_train / 255
    assert splits.mean == pytest.approx([scaled.mean()])
    assert splits.std == pytest.approx([scaled.std()])


def test_the_data_are_identified_without_reading_them():
    code = (
        "from pipeline.datasets.digits import Digits; import sys; print(Digits().fingerprint());"
        "print([name for name in ('torch', 'sklearn') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split("\n")[:2] == [Digits().fingerprint(), "[]"]

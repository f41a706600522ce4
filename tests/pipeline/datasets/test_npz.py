import re

import numpy as np
import pytest

from pipeline.datasets.npz import Npz
from pipeline.errors import DatasetError


def arrays(**changes):
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (12, 6, 5, 3), dtype=np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": rng.integers(0, 256, (4, 6, 5, 3), dtype=np.uint8),
        "y_test": np.arange(4) % 3,
    } | changes


def written(folder, **changes):
    path = folder / "data.npz"
    np.savez(path, **{key: value for key, value in arrays(**changes).items() if value is not None})
    return path


def fails(path, **options):
    with pytest.raises(DatasetError) as caught:
        Npz(path=str(path), **options).load()
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_channels_last_become_channels_first(tmp_path):
    given = arrays()
    splits = Npz(path=str(written(tmp_path))).load()
    assert splits.x_train.shape == (12, 3, 6, 5)
    assert splits.x_train.flags.c_contiguous
    np.testing.assert_array_equal(splits.x_train[7, 2], given["x_train"][7, :, :, 2])
    assert splits.y_train.dtype == np.int64
    assert splits.classes == ("0", "1", "2")


@pytest.mark.parametrize(
    ("shape", "expected"), [((6, 5), (1, 6, 5)), ((3, 6, 5), (3, 6, 5)), ((6, 5, 1), (1, 6, 5)), ((1, 6, 5), (1, 6, 5))]
)
def test_every_common_layout_is_read(tmp_path, shape, expected):
    path = written(tmp_path, x_train=np.zeros((12, *shape), np.uint8), x_test=np.zeros((4, *shape), np.uint8))
    assert Npz(path=str(path)).load().x_train.shape == (12, *expected)


def test_statistics_come_from_the_training_images_or_from_the_options(tmp_path):
    path = str(written(tmp_path))
    splits = Npz(path=path).load()
    assert splits.mean == pytest.approx((splits.x_train / 255).mean((0, 2, 3)))
    assert splits.std == pytest.approx((splits.x_train / 255).std((0, 2, 3)))
    given = Npz(path=path, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)).load()
    assert (given.mean, given.std) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0))


def test_an_image_of_one_colour_does_not_divide_by_zero(tmp_path):
    path = written(tmp_path, x_train=np.full((12, 6, 5), 40, np.uint8), x_test=np.zeros((4, 6, 5), np.uint8))
    assert Npz(path=str(path)).load().std == (1.0,)


def test_classes_may_be_named_and_labels_may_be_a_column(tmp_path):
    path = written(tmp_path, classes=np.array(["cat", "dog", "owl", "yak"]), y_train=np.arange(12)[:, None] % 3)
    splits = Npz(path=str(path)).load()
    assert splits.classes == ("cat", "dog", "owl", "yak")
    assert splits.y_train.shape == (12,)


@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"y_test": None}, "y_test is missing; found x_train, y_train, x_test; needed are"),
        ({"x_train": np.zeros((12, 6, 5, 3))}, "x_train is of type float64; images must be uint8"),
        ({"x_train": np.zeros((0, 6, 5, 3), np.uint8)}, "x_train holds no image"),
        ({"x_train": np.zeros((12, 6), np.uint8)}, r"x_train has the shape \(12, 6\); it must be"),
        ({"x_train": np.zeros((12, 3, 5, 3), np.uint8)}, "both could be the channels"),
        ({"x_train": np.zeros((12, 4, 5, 4), np.uint8)}, "neither is"),
        ({"x_test": np.zeros((4, 7, 5, 3), np.uint8)}, r"\(3, 6, 5\) and those of x_test \(3, 7, 5\)"),
        ({"y_train": np.arange(11) % 3}, "y_train holds 11 labels for 12 images"),
        ({"y_train": np.zeros(12)}, "y_train is of type float64; labels must be whole numbers"),
        ({"y_train": np.array(3)}, r"y_train has the shape \(\); it must be"),
        ({"y_train": np.zeros((12, 3), np.int64)}, r"y_train has the shape \(12, 3\)"),
        ({"y_train": np.arange(12) % 3 + 1}, "y_train goes from 1 to 3; y_train holds 3 different labels"),
        ({"y_train": np.arange(12) % 3 - 1}, "y_train goes from -1 to 1"),
        ({"y_test": np.full(4, 3)}, "y_test goes from 3 to 3; y_train holds 3 .* 0 to 2"),
        ({"y_train": np.zeros(12, int), "y_test": np.zeros(4, int)}, "only one class"),
        ({"classes": np.array(["a", "b"])}, "y_train goes from 0 to 2; 2 classes are named"),
        ({"classes": np.arange(3)}, "classes is an array of type int64"),
        ({"classes": np.array(["a", None, "c"], dtype=object)}, "classes is an array of Python objects"),
        ({"x_train": np.array([{}] * 12, dtype=object)}, "x_train is an array of Python objects"),
    ],
)
def test_what_is_wrong_with_an_array_is_said_in_one_sentence(tmp_path, changes, pattern):
    assert re.search(pattern, fails(written(tmp_path, **changes)))


def test_statistics_that_do_not_fit_the_channels_are_refused(tmp_path):
    path = written(tmp_path)
    assert "must be a list of 3 finite numbers" in fails(path, mean=(0.5,))
    assert "must be a list of 3 finite numbers" in fails(path, mean=(0.5, 0.5, float("nan")))
    assert "must be above 0" in fails(path, std=(0.5, 0.0, 0.5))


def test_a_file_that_is_no_archive_is_named(tmp_path):
    path = tmp_path / "data.npz"
    assert "there is no file" in fails(path)
    path.write_bytes(b"not a zip")
    assert "is no .npz archive" in fails(path)
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "is no .npz archive" in fails(tmp_path / "one.npy")


def test_a_file_cut_short_is_named(tmp_path):
    path = written(tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    assert "cut short" in fails(path)


def test_a_damaged_array_is_named(tmp_path):
    path = written(tmp_path)
    content = bytearray(path.read_bytes())
    content[500:540] = bytes(40)
    path.write_bytes(content)
    assert "x_train is damaged" in fails(path)


def test_a_file_is_absent_until_it_is_there(tmp_path):
    dataset = Npz(path=str(tmp_path / "data.npz"))
    assert "set dataset.path" in str(dataset.absent())
    written(tmp_path)
    assert dataset.absent() is None


def test_the_fingerprint_follows_content_and_options_and_not_the_place(tmp_path):
    path = written(tmp_path)
    first = Npz(path=str(path)).fingerprint()
    moved = path.rename(tmp_path / "moved.npz")
    assert Npz(path=str(moved)).fingerprint() == first
    assert Npz(path=str(moved), augmentation="shift-flip").fingerprint() != first
    assert Npz(path=str(moved), mean=(0.5, 0.5, 0.5)).fingerprint() != first
    assert Npz(path=str(written(tmp_path, y_test=np.ones(4, int)))).fingerprint() != first
    with pytest.raises(DatasetError, match="cannot be read"):
        Npz(path=str(path.with_name("gone.npz"))).fingerprint()


def test_real_images_are_read(shared_data):
    splits = Npz(path=str(shared_data / "cifar10-small.npz"), augmentation="shift-flip").load()
    assert splits.x_train.shape == (9000, 3, 32, 32)
    assert splits.x_test.shape == (3000, 3, 32, 32)
    assert len(splits.classes) == 10
    assert splits.mean == pytest.approx((0.4914, 0.4822, 0.4465), abs=0.01)

import re

import numpy as np
import pytest
from PIL import Image

from pipeline.datasets.folder import Folder
from pipeline.errors import DatasetError


def picture(path, size=(32, 32), colour=(10, 20, 30), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)


@pytest.fixture
def root(tmp_path):
    for split, count in (("train", 3), ("test", 1)):
        for number, name in enumerate(("cat", "dog")):
            for index in range(count):
                picture(tmp_path / split / name / f"{index}.png", colour=(100 * number, index, 7))
    return tmp_path


def fails(root, **options):
    with pytest.raises(DatasetError) as caught:
        Folder(path=str(root), **options).load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_classes_are_the_names_of_the_folders_in_order(root):
    splits = Folder(path=str(root)).load()
    assert splits.classes == ("cat", "dog")
    assert splits.y_train.tolist() == [0, 0, 0, 1, 1, 1]
    assert splits.y_test.tolist() == [0, 1]
    assert splits.x_train.shape == (6, 3, 32, 32)
    assert splits.x_train[4, :, 5, 5].tolist() == [100, 1, 7]


@pytest.mark.parametrize("ending", ["png", "jpg", "JPEG", "bmp", "ppm", "webp"])
def test_every_common_kind_of_picture_is_read(root, ending):
    picture(root / "train" / "cat" / f"more.{ending}", colour=(200, 200, 200))
    splits = Folder(path=str(root)).load()
    assert len(splits.x_train) == 7
    assert abs(int(splits.x_train[:4].max()) - 200) <= 3


def test_pictures_are_scaled_and_cropped_to_the_middle_square(root):
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(root / "test" / "cat" / "0.png")
    splits = Folder(path=str(root), size=10).load()
    assert splits.x_test.shape == (2, 3, 10, 10)
    assert (splits.x_test[0] == 255).mean() > 0.75


def test_grey_levels_have_one_channel(root):
    splits = Folder(path=str(root), channels="gray").load()
    assert splits.x_train.shape == (6, 1, 32, 32)
    assert len(splits.mean) == len(splits.std) == 1


def test_palettes_and_transparency_are_flattened(root):
    Image.new("P", (32, 32)).save(root / "train" / "cat" / "palette.png")
    Image.new("RGBA", (32, 32), (1, 2, 3, 4)).save(root / "train" / "dog" / "alpha.png")
    assert Folder(path=str(root)).load().x_train.shape == (8, 3, 32, 32)


def test_files_that_are_no_pictures_are_left_alone(root):
    (root / "train" / "cat" / "notes.txt").write_text("no picture")
    (root / "train" / "cat" / ".hidden.png").write_text("no picture")
    (root / "train" / ".cache").mkdir()
    (root / "train" / "README").write_text("no class")
    assert len(Folder(path=str(root)).load().x_train) == 6


def test_a_class_of_one_split_only_is_named(root):
    picture(root / "train" / "owl" / "0.png")
    assert "test/ has no folder for the class 'owl'" in fails(root)
    picture(root / "test" / "owl" / "0.png")
    picture(root / "test" / "yak" / "0.png")
    assert "train/ has no folder for the class 'yak'" in fails(root)


def test_an_empty_class_is_named(root):
    (root / "train" / "owl").mkdir()
    assert re.search("owl' holds no picture; known endings are .*.png", fails(root))


def test_a_damaged_picture_is_named(root):
    path = root / "test" / "dog" / "0.png"
    path.write_bytes(path.read_bytes()[:60])
    assert str(path) in fails(root)
    path.write_bytes(b"nonsense")
    assert str(path) in fails(root)


def test_pixels_of_sixteen_bits_are_refused(root):
    Image.fromarray(np.full((32, 32), 60000, np.uint16)).save(root / "test" / "dog" / "deep.png")
    assert "more than 8 bits" in fails(root)


def test_an_absent_folder_is_named(root):
    assert Folder(path=str(root)).absent() is None
    assert "no folder" in str(Folder(path=str(root / "gone")).absent())
    assert "There is no folder" in fails(root / "gone")
    assert "train/cat/train" in str(Folder(path=str(root / "train" / "cat")).absent())


def test_one_class_is_too_few(tmp_path):
    for split in ("train", "test"):
        picture(tmp_path / split / "cat" / "0.png")
    assert "at least 2" in fails(tmp_path)


def test_the_fingerprint_follows_files_and_options_and_not_the_place(root, tmp_path_factory):
    first = Folder(path=str(root)).fingerprint()
    assert Folder(path=str(root), size=16).fingerprint() != first
    assert Folder(path=str(root), channels="gray").fingerprint() != first
    moved = root.rename(tmp_path_factory.mktemp("elsewhere") / "data")
    assert Folder(path=str(moved)).fingerprint() == first
    picture(moved / "test" / "cat" / "1.png")
    assert Folder(path=str(moved)).fingerprint() != first

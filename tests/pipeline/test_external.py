"""A dataset from outside: named in the recipe, imported when it is loaded and not before."""

import sys
from pathlib import Path

import pytest

from pipeline import keys, recipe
from pipeline.errors import BrokenPlugin, DatasetError, RecipeError

module = """
from typing import Annotated

from msgspec import Meta

from pipeline.protocols import Dataset


class Mine(Dataset, frozen=True, kw_only=True):
    path: str
    level: Annotated[int, Meta(ge=1)] = 1

    def fingerprint(self):
        return f"mine-{self.level}"

    def absent(self):
        return "fetch the images first." if self.path.endswith("absent") else None

    def load(self, progress=None):
        return self.path, self.level
"""


@pytest.fixture
def outside(tmp_path, monkeypatch):
    (tmp_path / "my_data.py").write_text(module)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_data", raising=False)


def read(dataset):
    text = f'name = "n"\nbackbone = "tiny"\ndataset = {dataset}'
    return recipe.loads(text, source="x.toml", folder=Path("/home/me"))


def test_reading_a_recipe_imports_nothing_and_writing_it_gives_an_equal_one():
    found = read('{ name = "no_such_package.data:Mine", path = "./x", level = 2, names = ["a", "b"] }')
    assert found.dataset.name == "no_such_package.data:Mine"
    assert found.document()["dataset"] == {
        "name": "no_such_package.data:Mine",
        "path": "/home/me/x",
        "level": 2,
        "names": ["a", "b"],
    }
    assert recipe.loads(found.to_toml(), source="x.toml", folder=Path("/elsewhere")) == found
    assert found.dataset.absent() is None


def test_a_dataset_without_options_is_a_name():
    assert read('"my_data:Mine"').document()["dataset"] == "my_data:Mine"


def test_the_class_answers_with_the_options_of_the_recipe(outside):
    found = read('{ name = "my_data:Mine", path = "../data", level = 3 }').dataset
    assert "my_data" not in sys.modules
    assert found.fingerprint() == "mine-3"
    assert found.load() == ("/home/data", 3)


def test_the_fingerprint_of_the_class_is_part_of_every_key(outside):
    one, two = (read(f'{{ name = "my_data:Mine", path = "x", level = {level} }}') for level in (1, 2))
    assert keys.stage_keys(one) != keys.stage_keys(two)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ('path = "x", level = 0', RecipeError, r"dataset\.level is 0; it must be a whole number at least 1"),
        ('path = "x", levle = 2', RecipeError, r"dataset\.levle is not an option here; did you mean 'level'"),
        ("level = 2", RecipeError, r"dataset\.path is missing"),
        ('path = "absent"', DatasetError, r"fetch the images first\."),
    ],
)
def test_wrong_options_and_absent_data_are_told_when_it_is_loaded(outside, options, error, message):
    found = read(f'{{ name = "my_data:Mine", {options} }}').dataset
    with pytest.raises(error, match=message):
        found.load()


def test_a_module_that_is_not_there_is_told_when_it_is_loaded():
    with pytest.raises(BrokenPlugin, match="the dataset 'no_such_package:Mine' cannot be imported"):
        read('"no_such_package:Mine"').dataset.load()

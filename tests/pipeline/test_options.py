from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct

from pipeline.errors import RecipeError
from pipeline.options import Option, absolute, build, options_of


class Fruit(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    weight: Annotated[float, Meta(gt=0, le=5, description="how heavy", extra={"unit": "kg"})] = 1.0
    count: Annotated[int, Meta(ge=1)] | None = None
    colour: Annotated[Literal["red", "green"], Meta(description="what it looks like")] = "red"
    source: Annotated[str, Meta(extra={"path": True})]
    scale: tuple[float, ...] | None = None
    sizes: tuple[Annotated[int, Meta(ge=1)], ...] = (1,)
    shares: tuple[Annotated[float, Meta(gt=0, lt=1)], ...] = (0.5,)
    care: Annotated[dict[str, Any], Meta(description="what it needs")] = {}
    ripe: bool = False


def option(name: str) -> Option:
    return next(option for option in options_of(Fruit) if option.name == name)


def test_an_option_knows_what_its_declaration_says():
    weight = option("weight")
    assert (weight.kind, weight.default, weight.minimum, weight.maximum) == ("float", 1.0, 0, 5)
    assert (weight.open_minimum, weight.open_maximum, weight.help, weight.unit) == (True, False, "how heavy", "kg")
    assert option("colour").choices == ("red", "green")
    assert option("count").optional
    assert option("source").required
    assert option("source").is_path
    assert option("scale").items == "float"
    assert option("sizes").items == "int"
    assert (option("care").kind, option("care").default) == ("table", {})


def test_what_is_allowed_is_said_in_words():
    assert option("weight").allowed() == "a number above 0 and at most 5"
    assert option("count").allowed() == "a whole number at least 1, or nothing"
    assert option("colour").allowed() == "one of red, green"
    assert option("ripe").allowed() == "true or false"
    assert option("shares").allowed() == "a list of numbers above 0 and below 1"
    assert option("care").allowed() == "a table like { name = value }"


def test_a_table_stands_last_as_in_toml():
    assert [option.name for option in options_of(Fruit)][-2:] == ["ripe", "care"]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("weight", " 2.5 ", 2.5),
        ("count", "3", 3),
        ("count", "", None),
        ("colour", "green", "green"),
        ("ripe", "yes", True),
        ("scale", "[0.5, 1]", [0.5, 1.0]),
        ("shares", "0.25, 0.75", [0.25, 0.75]),
        ("sizes", "1, 8", [1, 8]),
        ("care", '{ water = "much", days = [1, 2] }', {"water": "much", "days": [1, 2]}),
        ("care", "", {}),
    ],
)
def test_a_typed_text_becomes_a_value(name, text, value):
    assert option(name).parse(text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("weight", "0"),
        ("weight", "nan"),
        ("sizes", "1, 0"),
        ("sizes", "1.5"),
        ("weight", "heavy"),
        ("count", "1.5"),
        ("colour", "blue"),
        ("ripe", "maybe"),
        ("shares", "0.5, 1"),
        ("care", "water"),
        ("care", "3"),
    ],
)
def test_an_illegal_text_is_refused_with_what_is_allowed(name, text):
    with pytest.raises(RecipeError, match=option(name).allowed()):
        option(name).parse(text)


def test_a_record_is_built_from_decoded_values():
    fruit = build(Fruit, {"source": "x", "weight": 2, "scale": [1, 2]}, where="fruit")
    assert fruit == Fruit(source="x", weight=2.0, scale=(1.0, 2.0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"source": "x", "wieght": 1.0}, r"fruit\.wieght is not an option here; did you mean 'weight'\?"),
        ({"source": "x", "weight": 6}, r"fruit\.weight is 6; it must be a number above 0 and at most 5\."),
        ({"source": "x", "count": True}, r"fruit\.count is True; it must be a whole number"),
        ({"source": "x", "count": 10**5000}, r"fruit\.count is a number of 16,610 bits; it must be a whole number"),
        ({"source": "x", "weight": "y" * 10**5}, r"fruit\.weight is 'y{79}\.\.\.; it must be a number"),
        ({}, r"fruit\.source is missing; it must be a text\."),
    ],
)
def test_a_wrong_table_is_refused_with_its_key_path(values, message):
    with pytest.raises(RecipeError, match=message):
        build(Fruit, values, where="fruit")


def test_a_path_that_goes_up_comes_out_as_the_folder_that_it_leads_to(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "link").symlink_to(here)
    assert absolute("../there/x.npz", here) == str(tmp_path / "there" / "x.npz")
    assert absolute("../x.npz", tmp_path / "link") == str(tmp_path / "x.npz")
    assert absolute("/a/../b", here) == "/a/../b"

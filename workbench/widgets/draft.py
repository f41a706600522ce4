"""A recipe that is being composed: what a person typed, field by field, legal or not yet."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import tomlkit
from msgspec import Struct

from pipeline import catalog, recipe
from pipeline.errors import PipelineError, RecipeError
from pipeline.options import Option, options_of
from pipeline.recipe import Document, Recipe
from pipeline.sections import Baseline, Measure, Training

Kind = Literal["recipe", "dataset", "baseline", "stage", "training", "measure"]


class Part:
    """One part of a draft: a stage, the dataset, or a section; its texts are what stands in the fields."""

    def __init__(
        self, kind: Kind, name: str, options: tuple[Option, ...], values: Mapping[str, Any] | None = None
    ) -> None:
        self.kind = kind
        self.name = name
        """Title: the name of the stage or dataset, or of the section."""
        self.options = options
        self.texts = {option.name: text_of(option.default) for option in options}
        for key, value in (values or {}).items():
            if key in self.texts:
                self.texts[key] = text_of(value)

    def problem(self, option: Option) -> str:
        """Say what is wrong with what stands in a field; empty when it is legal."""
        text = self.texts[option.name]
        if not text.strip() and option.kind == "list":
            return ""
        try:
            option.parse(text)
        except RecipeError as error:
            return str(error)
        return f"{option.name} is empty; it must be {option.allowed()}." if option.required and not text.strip() else ""

    @property
    def has_problem(self) -> bool:
        """Some field is not legal."""
        return any(self.problem(option) for option in self.options)

    def values(self) -> dict[str, Any]:
        """Read every field that is set.

        Raises:
            RecipeError: a field is not legal.
        """
        found = {}
        for option in self.options:
            if problem := self.problem(option):
                raise RecipeError(problem)
            text = self.texts[option.name]
            if text.strip():
                found[option.name] = option.parse(text)
        return found

    def summary(self) -> str:
        """Say in one short line what distinguishes this part."""
        texts = self.texts
        match self.kind:
            case "recipe":
                return texts["name"]
            case "baseline":
                return "checkpoint" if texts["checkpoint"].strip() else f"{texts['epochs'].strip() or '?'} ep"
            case "stage":
                first = next((o.name for o in self.options if o.name not in ("epochs", "learning_rate")), "")
                return f"{first} {texts.get(first, '')}, {texts.get('epochs', '0')} ep"
            case "training":
                return f"batch {texts['batch_size']}"
            case "measure":
                return texts["runtimes"]
            case _:
                return self.name


class Draft:
    """Everything that Compose edits."""

    def __init__(self, source: Recipe) -> None:
        """Begin with a recipe, taken over whole."""
        document = source.document()
        dataset = document["dataset"]
        values = {} if isinstance(dataset, str) else dataset
        self.head = Part("recipe", "recipe", _head_options(), document)
        self.dataset = dataset_part(source.dataset.name, values)
        self.baseline = Part("baseline", "baseline", options_of(Baseline), document["baseline"])
        self.stages = [stage_part(stage["stage"], stage) for stage in document["stages"]]
        self.training = Part("training", "training", options_of(Training), document["training"])
        self.measure = Part("measure", "measure", options_of(Measure), document["measure"])

    @property
    def parts(self) -> list[Part]:
        """Everything in the order in which it is shown."""
        return [self.head, self.dataset, self.baseline, *self.stages, self.training, self.measure]

    def document(self) -> Document:
        """Give the plain values of every part.

        Raises:
            RecipeError: names the part and what is wrong with a field of it.
        """
        head = self._values(self.head)
        return {
            **head,
            "dataset": {"name": self.dataset.name, **self._values(self.dataset)},
            "baseline": self._values(self.baseline),
            "training": self._values(self.training),
            "stages": [{"stage": part.name, **self._values(part)} for part in self.stages],
            "measure": self._values(self.measure),
        }

    def recipe(self) -> Recipe:
        """Validate the whole; relative paths count from the folder in which the workbench was started.

        Raises:
            RecipeError: one sentence about the first thing that is wrong.
        """
        return recipe.parse(self.document(), folder=Path.cwd())

    def title(self, part: Part) -> str:
        """Name a part for a sentence: ``stage 2, quantize``."""
        place = next((place for place, stage in enumerate(self.stages) if stage is part), None)
        return part.kind if place is None else f"stage {place + 1}, {part.name}"

    def _values(self, part: Part) -> dict[str, Any]:
        try:
            return part.values()
        except RecipeError as error:
            raise RecipeError(f"{self.title(part)}: {error}") from None

    def can_add(self, name: str) -> str:
        """Say why a stage cannot be added; empty when it can."""
        try:
            record = catalog.load("stages", name)
        except PipelineError as error:
            return str(error)
        if record.at_most_once and any(part.name == name for part in self.stages):
            return "a recipe may hold only one"
        return ""


def stage_part(name: str, values: Mapping[str, Any] | None = None) -> Part:
    """Make a stage with its defaults, or with given values."""
    return Part("stage", name, options_of(catalog.load("stages", name)), values)


def dataset_part(name: str, values: Mapping[str, Any] | None = None) -> Part:
    """Make a dataset with its defaults, or with given values.

    Raises:
        PluginError: the dataset cannot be loaded.
    """
    if not catalog.is_external(name):
        return Part("dataset", name, options_of(catalog.load("datasets", name)), values)
    given = {key: value for key, value in (values or {}).items() if key != "name"}
    return Part("dataset", name, tuple(_undeclared(key, value) for key, value in given.items()), given)


def _undeclared(name: str, value: Any) -> Option:
    """Describe an option by its value: what declares it is not imported here."""
    kinds: dict[type, Any] = {bool: "bool", int: "int", float: "float", list: "list", dict: "table"}
    holds_texts = isinstance(value, list) and any(isinstance(item, str) for item in value)
    return Option(
        name=name, kind=kinds.get(type(value), "str"), default=None, required=True, optional=False,
        items="str" if holds_texts else "float",
    )  # fmt: skip


def text_of(value: Any) -> str:
    """Write a value as a person types it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case list() | tuple():
            return ", ".join(text_of(item) for item in value)
        case dict():
            table = tomlkit.inline_table()
            table.update(value)
            return table.as_string() if value else ""
        case _:
            return str(value)


class _Head(Struct, frozen=True, kw_only=True):
    name: str
    backbone: str
    seed: int = 0


def _head_options() -> tuple[Option, ...]:
    name, backbone, seed = options_of(_Head)
    change = {"name": "what the run is called", "backbone": "the network that is compressed"}
    return (
        _described(name, help=change["name"]),
        _described(backbone, help=change["backbone"]),
        _described(seed, help="start of every random stream", minimum=0.0, maximum=2.0**31 - 1),
    )


def _described(option: Option, **changes: Any) -> Option:
    import msgspec

    return msgspec.structs.replace(option, **changes)

"""The parts of a recipe as a form shows them: a stage, the dataset, a section; what was typed, field by field."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
import tomlkit
from msgspec import Struct

from pipeline import catalog, decoding, editing
from pipeline.errors import RecipeError
from pipeline.options import Option, options_of
from pipeline.sections import Baseline, Measure, Training

Kind = Literal["recipe", "dataset", "baseline", "stage", "training", "measure"]


class Part:
    """One part of a draft: a stage, the dataset, or a section; its texts are what stands in the fields."""

    def __init__(
        self,
        kind: Kind,
        name: str,
        options: tuple[Option, ...],
        values: Mapping[str, Any] | None = None,
        path: editing.Path = (),
    ) -> None:
        self.kind = kind
        self.name = name
        """Title: the name of the stage or dataset, or of the section."""
        self.options = options
        self.path = path
        """Where it stands in the recipe; empty for what stands before the first table."""
        self.told: dict[str, str] = {}
        """What is wrong with the recipe as a whole, by the option that it is about; empty: the whole part."""
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

    def remark(self, option: Option) -> str:
        """Say what stands below a field: what is wrong with it, or with the recipe because of it."""
        return self.problem(option) or self.told.get(option.name, "")

    @property
    def has_problem(self) -> bool:
        """Some field is not legal, or the recipe is not because of this part."""
        return bool(self.told) or any(self.problem(option) for option in self.options)

    def value(self, option: Option) -> Any:
        """Read a field: None where it is not set, the text itself where it is not legal."""
        text = self.texts[option.name]
        if self.problem(option):
            return text
        return option.parse(text) if text.strip() else None

    def summary(self) -> str:
        """Say in one short line what distinguishes this part."""
        texts = self.texts
        match self.kind:
            case "recipe":
                return f"{texts['backbone']}, seed {texts['seed']}"
            case "baseline":
                return "checkpoint" if texts["checkpoint"].strip() else f"{texts['epochs'].strip() or '?'} ep"
            case "stage":
                first = next(
                    (o.name for o in self.options if o.name not in ("epochs", "learning_rate", "training")), ""
                )
                said = [f"{first} {texts[first]}"] if first else []
                return ", ".join([*said, f"{texts['epochs']} ep"] if "epochs" in texts else said)
            case "training":
                return f"batch {texts['batch_size']}"
            case "measure":
                return texts["runtimes"]
            case _:
                return self.name


def parts_of(text: str) -> list[Part]:
    """Make the parts of a recipe, legal or not yet, in the order in which they are shown.

    Raises:
        RecipeError: the text is not TOML, or holds what no field shows.
        PluginError: a stage or the dataset cannot be loaded.
    """
    document = decoding.toml(text)
    try:
        return _parts(document)
    except (TypeError, KeyError, AttributeError, ValueError):
        raise RecipeError("the text is TOML, but not laid out as a recipe.") from None


def _parts(document: dict[str, Any]) -> list[Part]:
    dataset = document.get("dataset", "")
    table = dataset if isinstance(dataset, dict) else {}
    stages = document.get("stages", [])
    parts = [
        Part("recipe", "recipe", _head_options(), document),
        dataset_part(str(table.get("name", "") if table else dataset), table),
        _section(Baseline, "baseline", document.get("baseline", {"epochs": 30})),
        *(stage_part(stage["stage"], stage, place) for place, stage in enumerate(stages)),
        _section(Training, "training", document.get("training")),
        _section(Measure, "measure", document.get("measure")),
    ]
    shown: list[tuple[Any, Part, set[str]]] = [
        (document, parts[0], {"dataset", "baseline", "training", "stages", "measure"}),
        (table, parts[1], {"name"}),
        (document.get("baseline"), parts[2], set()),
        *((stage, part, {"stage"}) for stage, part in zip(stages, parts[3:-2], strict=True)),
        (document.get("training"), parts[-2], set()),
        (document.get("measure"), parts[-1], set()),
    ]
    for values, part, further in shown:
        for key in values or {}:
            if key not in further and key not in part.texts:
                raise RecipeError(f"{'.'.join(map(str, (*part.path, key)))} is not an option that can be shown.")
    return parts


def _section(record: type[Struct], name: Literal["baseline", "training", "measure"], values: Any) -> Part:
    return Part(name, name, options_of(record), values, (name,))


def stage_part(name: str, values: Mapping[str, Any], place: int) -> Part:
    """Make a stage with given values.

    Raises:
        PluginError: the stage cannot be loaded.
    """
    return Part("stage", name, options_of(catalog.load("stages", name)), values, ("stages", place))


def dataset_part(name: str, values: Mapping[str, Any] | None = None) -> Part:
    """Make a dataset with its defaults, or with given values.

    Raises:
        PluginError: the dataset cannot be loaded.
    """
    if not catalog.is_external(name):
        return Part("dataset", name, options_of(catalog.load("datasets", name)), values, ("dataset",))
    given = {key: value for key, value in (values or {}).items() if key != "name"}
    return Part("dataset", name, tuple(_undeclared(key, value) for key, value in given.items()), given, ("dataset",))


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
    return msgspec.structs.replace(option, **changes)

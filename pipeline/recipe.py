"""What a run does: backbone, dataset, baseline and an ordered list of stages; TOML in, TOML out.

Reading a recipe validates it against the declarations of the stages and datasets it names. It never imports a
backbone, never touches data and never runs anything.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import tomli
import tomlkit
from msgspec import Meta, Struct

from pipeline import catalog, options
from pipeline.errors import PluginError, RecipeError
from pipeline.protocols import Dataset, Stage

R = TypeVar("R", bound=Struct)
Document = dict[str, Any]
"""A decoded TOML document."""


class Baseline(Struct, frozen=True, kw_only=True):
    """The FP32 start of the pipeline, and the teacher of distill."""

    epochs: (
        Annotated[int, Meta(ge=0, description="train from random weights so long", extra={"unit": "epochs"})] | None
    ) = None
    checkpoint: (
        Annotated[
            str,
            Meta(description="load trained weights instead (.pt, .th, .safetensors)", extra={"path": True}),
        ]
        | None
    ) = None
    learning_rate: Annotated[float, Meta(gt=0, description="peak step size")] = 0.1


class Training(Struct, frozen=True, kw_only=True):
    """How every stage trains."""

    batch_size: Annotated[int, Meta(ge=2, le=65536, description="images in a step", extra={"unit": "images"})] = 128
    momentum: Annotated[float, Meta(ge=0, lt=1, description="Nesterov momentum of SGD")] = 0.9
    weight_decay: Annotated[float, Meta(ge=0, lt=1, description="L2 penalty on all weights")] = 5e-4
    schedule: Annotated[Literal["cosine", "constant"], Meta(description="how the step size falls over a stage")] = (
        "cosine"
    )
    warmup: Annotated[float, Meta(ge=0, lt=1, description="share of a stage over which the step size rises")] = 0.05
    augment: Annotated[
        Literal["auto", "none", "shift", "shift-flip"],
        Meta(description="what is done to training images; auto: what suits the dataset"),
    ] = "auto"
    validation: Annotated[
        float, Meta(gt=0, lt=1, description="share of the training images held out to steer the training")
    ] = 0.1
    device: Annotated[
        Literal["auto", "cpu", "cuda"],
        Meta(description="where the training runs; auto: the GPU if there is one"),
    ] = "auto"


class Measure(Struct, frozen=True, kw_only=True):
    """How the deployed network is measured."""

    runtimes: Annotated[tuple[str, ...], Meta(description="what executes the deployed file")] = ("onnxruntime",)
    threads: Annotated[int, Meta(ge=1, le=1024, description="threads of the runtime")] = 1
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="images in a call", extra={"unit": "images"})] = 1
    samples: Annotated[int, Meta(ge=200, le=1_000_000, description="timed calls of each network")] = 400


class Recipe(Struct, frozen=True, kw_only=True):
    """What a run does, whole and validated."""

    name: str
    """What a person calls it; any text on one line."""
    backbone: str
    """A name of the catalogue, or ``package.module:build``."""
    dataset: Dataset
    """Where the images come from."""
    seed: int = 0
    """Start of every random stream."""
    baseline: Baseline = Baseline(epochs=30)
    """The FP32 start."""
    training: Training = Training()
    """How every stage trains."""
    stages: tuple[Stage, ...] = ()
    """What is done to the baseline, in this order."""
    measure: Measure = Measure()
    """How the result is measured."""

    def document(self) -> Document:
        """Give the recipe as plain values, in the order in which a person writes it; what is not set is left out."""
        raw = msgspec.to_builtins(self)
        dataset = raw["dataset"]
        raw["dataset"] = dataset["name"] if len(_present(dataset)) == 1 else _present(dataset)
        for section in ("baseline", "training", "measure"):
            raw[section] = _present(raw[section])
        raw["stages"] = [_present(stage) for stage in raw["stages"]]
        order = ("name", "backbone", "dataset", "seed", "baseline", "training", "stages", "measure")
        return {key: raw[key] for key in order}

    def to_toml(self) -> str:
        """Write the recipe as TOML that ``loads`` reads back to an equal recipe."""
        return tomlkit.dumps(self.document())

    @property
    def plan(self) -> tuple[tuple[str, int | None], ...]:
        """The baseline and each stage in order: name, and passes over the training data (None where it has none)."""
        stages = ((stage.name, getattr(stage, "epochs", None)) for stage in self.stages)
        return ("baseline", self.baseline.epochs), *stages

    @property
    def letters(self) -> str:
        """The stages by their initials, in order: ``PQD``; empty without stages."""
        return "".join(stage.name[0].upper() for stage in self.stages)


def load(path: Path, *, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe file; relative paths in it are resolved against its folder.

    Args:
        path: a TOML file.
        overrides: ``key.path=value`` texts which replace what the file says.

    Raises:
        RecipeError: names the file, the line or the key path, what was found and what is allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise RecipeError(f"the recipe {str(path)!r} cannot be read: {reason}.") from None
    return loads(text, source=str(path), folder=path.resolve().parent, overrides=overrides)


def loads(text: str, *, source: str, folder: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe from TOML text.

    Args:
        text: the document.
        source: what to call it in messages.
        folder: relative paths in it are resolved against this one.
        overrides: ``key.path=value`` texts which replace what the text says.

    Raises:
        RecipeError: names the source, the line or the key path, what was found and what is allowed.
    """
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise RecipeError(f"{source}: not valid TOML: {error}.") from None
    try:
        for override in overrides:
            _override(document, override)
        return parse(document, folder=folder)
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from None


def parse(document: Mapping[str, Any], *, folder: Path) -> Recipe:
    """Make a recipe from a decoded document.

    Raises:
        RecipeError: names the key path, what was found, what is allowed and the nearest name.
    """
    known = Recipe.__struct_fields__
    for key in document:
        if key not in known:
            raise RecipeError(f"{key} is not part of a recipe; {options.suggest(key, known)}")
    recipe = Recipe(
        name=_name(document),
        backbone=_plugin(document.get("backbone"), "backbone", "backbones"),
        dataset=_dataset(document, folder),
        seed=_seed(document),
        baseline=_baseline(document, folder),
        training=_section(Training, document, "training"),
        stages=_stages(document),
        measure=_section(Measure, document, "measure"),
    )
    for index, runtime in enumerate(recipe.measure.runtimes):
        _known("runtimes", runtime, f"measure.runtimes[{index}]")
    if not recipe.measure.runtimes:
        raise RecipeError(f"measure.runtimes is empty; name at least one of {', '.join(catalog.names('runtimes'))}.")
    return recipe


def _name(document: Mapping[str, Any]) -> str:
    name = document.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        found = "missing" if name is None else repr(name)
        raise RecipeError(f"name is {found}; it must be a text on one line.")
    return name


def _seed(document: Mapping[str, Any]) -> int:
    seed = document.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise RecipeError(f"seed is {seed!r}; it must be a whole number at least 0 and below {2**31}.")
    return seed


def _plugin(name: Any, where: str, kind: catalog.Kind) -> str:
    if not isinstance(name, str):
        found = "missing" if name is None else repr(name)
        raise RecipeError(f"{where} is {found}; it must be one of {', '.join(catalog.names(kind))}.")
    _known(kind, name, where)
    return name


def _known(kind: catalog.Kind, name: str, where: str) -> None:
    try:
        catalog.check(kind, name)
    except PluginError as error:
        raise RecipeError(f"{where}: {error}") from None


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise RecipeError(f"{where} is {value!r}; it must be a table of options.")
    return dict(value)


def _section(record: type[R], document: Mapping[str, Any], key: str) -> R:
    return options.build(record, _table(document.get(key, {}), key), where=key)


def _baseline(document: Mapping[str, Any], folder: Path) -> Baseline:
    if "baseline" not in document:
        return Baseline(epochs=30)
    table = _resolve(Baseline, _table(document["baseline"], "baseline"), folder)
    baseline = options.build(Baseline, table, where="baseline")
    if (baseline.epochs is None) == (baseline.checkpoint is None):
        found = "neither" if baseline.epochs is None else "both"
        raise RecipeError(f"baseline has {found} of epochs and checkpoint; give exactly one of them.")
    return baseline


def _dataset(document: Mapping[str, Any], folder: Path) -> Dataset:
    value = document.get("dataset")
    values = dict(value) if isinstance(value, Mapping) else {}
    named = values.pop("name", None) if isinstance(value, Mapping) else value
    name = _plugin(named, "dataset.name" if isinstance(value, Mapping) else "dataset", "datasets")
    record: type[Dataset] = catalog.load("datasets", name)
    return options.build(record, _resolve(record, values, folder), where="dataset")


def _stages(document: Mapping[str, Any]) -> tuple[Stage, ...]:
    tables = document.get("stages", [])
    if not isinstance(tables, list):
        raise RecipeError(f"stages is {tables!r}; write each stage as a [[stages]] table.")
    stages: list[Stage] = []
    for index, value in enumerate(tables):
        where = f"stages[{index}]"
        table = _table(value, where)
        name = _plugin(table.pop("stage", None), f"{where}.stage", "stages")
        record: type[Stage] = catalog.load("stages", name)
        if record.at_most_once and any(isinstance(stage, record) for stage in stages):
            raise RecipeError(f"{where} is a second {name!r}; a recipe may hold only one.")
        stages.append(options.build(record, table, where=where))
    return tuple(stages)


def _resolve(record: type[Struct], values: dict[str, Any], folder: Path) -> dict[str, Any]:
    paths = {option.name for option in options.options_of(record) if option.is_path}
    return {
        key: str(folder / Path(value).expanduser()) if key in paths and isinstance(value, str) else value
        for key, value in values.items()
    }


def _present(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def _override(document: Document, text: str) -> None:
    """Apply ``stages.0.sparsity=0.8``: the value is TOML, or a plain text when it is not."""
    path, separator, literal = text.partition("=")
    if not separator or not path.strip():
        raise RecipeError(f"the override {text!r} is not of the form key.path=value.")
    try:
        value = tomli.loads(f"value = {literal.strip()}")["value"]
    except tomli.TOMLDecodeError:
        value = literal.strip()
    parts = path.strip().replace("[", ".").replace("]", "").split(".")
    if parts[0] == "dataset" and len(parts) > 1 and isinstance(document.get("dataset"), str):
        document["dataset"] = {"name": document["dataset"]}
    place: Any = document
    for part in parts[:-1]:
        place = _step(place, part, text)
    if isinstance(place, list):
        _step(place, parts[-1], text)
        place[int(parts[-1])] = value
    elif isinstance(place, dict):
        place[parts[-1]] = value
    else:
        raise RecipeError(f"the override {text!r} goes into something that is no table.")


def _step(place: Any, part: str, text: str) -> Any:
    if isinstance(place, list):
        if not part.isdigit() or int(part) >= len(place):
            raise RecipeError(f"the override {text!r} names {part!r}; the list holds {len(place)}, counted from 0.")
        return place[int(part)]
    if not isinstance(place, dict):
        raise RecipeError(f"the override {text!r} goes into something that is no table.")
    return place.setdefault(part, {})

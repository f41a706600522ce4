"""What a run does: backbone, dataset, baseline and an ordered list of stages; TOML in, TOML out.

Reading a recipe validates it against the declarations of the stages and datasets it names. It never imports a
backbone, never touches data and never runs anything.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from pipeline import catalog, decoding, options, overriding
from pipeline.errors import PluginError, RecipeError
from pipeline.external import External
from pipeline.protocols import Dataset, Stage
from pipeline.sections import Baseline, Measure, Training

R = TypeVar("R", bound=Struct)
Document = dict[str, Any]
"""A decoded TOML document."""


_SHARED = frozenset({"validation", "device", "teacher_cache_mib"})
"""Settings that are one for all stages: results on other images, or from elsewhere, could not be compared."""


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
    """How every stage trains, unless it says otherwise."""
    stages: tuple[Stage, ...] = ()
    """What is done to the baseline, in this order."""
    measure: Measure = Measure()
    """How the result is measured."""

    def document(self) -> Document:
        """Give the recipe as plain values, in the order in which a person writes it; what is not set is left out."""
        raw = msgspec.to_builtins(self)
        dataset = _present(self.dataset.table())
        raw["dataset"] = dataset["name"] if len(dataset) == 1 else dataset
        for section in ("baseline", "training", "measure"):
            raw[section] = _present(raw[section])
        raw["stages"] = [_present(stage) for stage in raw["stages"]]
        order = ("name", "backbone", "dataset", "seed", "baseline", "training", "stages", "measure")
        return {key: raw[key] for key in order}

    def to_toml(self) -> str:
        """Write the recipe as TOML that ``loads`` reads back to an equal recipe."""
        import tomlkit

        return tomlkit.dumps(self.document())

    @property
    def plan(self) -> "tuple[Entry, ...]":
        """Every network that the run trains, in order: baseline, stages, and a teacher right before its first pupil."""
        entries = [Entry(name="baseline", recipe=self.first(0))]
        for count, stage in enumerate(self.stages, start=1):
            teacher = stage.teacher_in(self)
            if teacher is not None and all(entry.recipe != teacher for entry in entries):
                entries.append(Entry(name="teacher", recipe=teacher))
            entries.append(Entry(name=stage.name, recipe=self.first(count)))
        return tuple(entries)

    def first(self, count: int) -> "Recipe":
        """Give the recipe that ends after so many stages; 0 is the baseline alone."""
        return msgspec.structs.replace(self, stages=self.stages[:count])

    def network(self, backbone: str, checkpoint: str | None) -> "Recipe":
        """Give the recipe of another baseline on the same data.

        Args:
            backbone: a name of the catalogue, or ``package.module:build``.
            checkpoint: file of its weights; None to take them from where the baseline takes them.
        """
        baseline = self.baseline
        if checkpoint is not None:
            baseline = msgspec.structs.replace(baseline, epochs=None, checkpoint=checkpoint)
        return msgspec.structs.replace(self, backbone=backbone, baseline=baseline, stages=())

    @property
    def last(self) -> Baseline | Stage:
        """What is done last."""
        return self.stages[-1] if self.stages else self.baseline

    @property
    def last_training(self) -> Training:
        """The settings that what is done last trains with: its own, else those of the section."""
        return msgspec.convert(msgspec.to_builtins(self.training) | self.last.training, Training)

    @property
    def paths(self) -> dict[str, str]:
        """The files that the baseline and the stages name, by their key path (``stages[2].teacher_checkpoint``)."""
        parts = {"baseline": self.baseline} | {f"stages[{index}]": stage for index, stage in enumerate(self.stages)}
        found = ((f"{where}.{name}", getattr(part, name)) for where, part in parts.items() for name in path_names(part))
        return {where: path for where, path in found if path is not None}

    @property
    def letters(self) -> str:
        """The stages by their initials, in order: ``PQD``; empty without stages."""
        return "".join(stage.name[0].upper() for stage in self.stages)


class Entry(Struct, frozen=True, kw_only=True):
    """One network that a run trains, as the recipe whose result it is."""

    name: str
    """``baseline``, ``teacher`` or the name of the stage that is done last."""
    recipe: Recipe
    """Everything that leads to the network; a teacher is the baseline of a recipe of its own."""

    @property
    def epochs(self) -> int | None:
        """Passes over the training data; None where it has none."""
        return getattr(self.recipe.last, "epochs", None)


def path_names(part: Struct) -> list[str]:
    """Name the options of a stage, a dataset or a section that are paths."""
    return [option.name for option in options.options_of(type(part)) if option.is_path]


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
        document = decoding.toml(text)
    except RecipeError as error:
        raise RecipeError(f"{source}: {error}") from None
    try:
        for override in overrides:
            overriding.apply(document, override)
        return parse(document, folder=folder)
    except RecipeError as error:
        # What an override put there stands in no line.
        from pipeline import editing

        raise RecipeError(f"{source}: {error if overrides else editing.located(str(error), text)}") from None


def parse(document: Mapping[str, Any], *, folder: Path) -> Recipe:
    """Make a recipe from a decoded document.

    Raises:
        RecipeError: names the key path, what was found, what is allowed and the nearest name.
    """
    known = Recipe.__struct_fields__
    for key in document:
        if key not in known:
            raise RecipeError(f"{key[: options.LONGEST_VALUE]} is not part of a recipe; {options.suggest(key, known)}")
    recipe = Recipe(
        name=_name(document),
        backbone=_plugin(document.get("backbone"), "backbone", "backbones"),
        dataset=_dataset(document, folder),
        seed=_seed(document),
        baseline=_baseline(document, folder),
        training=_section(Training, document, "training"),
        stages=_stages(document, folder),
        measure=_section(Measure, document, "measure"),
    )
    for index, runtime in enumerate(recipe.measure.runtimes):
        _known("runtimes", runtime, f"measure.runtimes[{index}]")
    for index, stage in enumerate(recipe.stages):
        try:
            stage.teacher_in(recipe)
        except RecipeError as error:
            raise RecipeError(f"stages[{index}].{error}") from None
    if not recipe.measure.runtimes:
        raise RecipeError(f"measure.runtimes is empty; name at least one of {', '.join(catalog.names('runtimes'))}.")
    return recipe


def _name(document: Mapping[str, Any]) -> str:
    name = document.get("name")
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        found = "missing" if name is None else options.quoted(name)
        raise RecipeError(f"name is {found}; it must be a text on one line.")
    return name


def _seed(document: Mapping[str, Any]) -> int:
    seed = document.get("seed", 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise RecipeError(f"seed is {options.quoted(seed)}; it must be a whole number at least 0 and below {2**31}.")
    return seed


def _plugin(name: Any, where: str, kind: catalog.Kind) -> str:
    if not isinstance(name, str):
        found = "missing" if name is None else options.quoted(name)
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
        raise RecipeError(f"{where} is {options.quoted(value)}; it must be a table of options.")
    return dict(value)


def _section(record: type[R], document: Mapping[str, Any], key: str) -> R:
    return options.build(record, _table(document.get(key, {}), key), where=key)


def _baseline(document: Mapping[str, Any], folder: Path) -> Baseline:
    if "baseline" not in document:
        return Baseline(epochs=30)
    table = options.resolve(Baseline, _table(document["baseline"], "baseline"), folder)
    _check_overrides(table, "baseline")
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
    if catalog.is_external(name):
        return External(path=name, options={key: _from_folder(value, folder) for key, value in values.items()})
    record: type[Dataset] = catalog.load("datasets", name)
    return options.build(record, options.resolve(record, values, folder), where="dataset")


def _stages(document: Mapping[str, Any], folder: Path) -> tuple[Stage, ...]:
    tables = document.get("stages", [])
    if not isinstance(tables, list):
        raise RecipeError(f"stages is {options.quoted(tables)}; write each stage as a [[stages]] table.")
    stages: list[Stage] = []
    for index, value in enumerate(tables):
        where = f"stages[{index}]"
        table = _table(value, where)
        name = _plugin(table.pop("stage", None), f"{where}.stage", "stages")
        record: type[Stage] = catalog.load("stages", name)
        if record.at_most_once and any(isinstance(stage, record) for stage in stages):
            raise RecipeError(f"{where} is a second {name!r}; a recipe may hold only one.")
        _check_overrides(table, where)
        stages.append(options.build(record, options.resolve(record, table, folder), where=where))
    return tuple(stages)


def _check_overrides(table: Mapping[str, Any], where: str) -> None:
    """Refuse a table ``training`` of a stage or the baseline that is not legal."""
    where = f"{where}.training"
    overrides = _table(table.get("training", {}), where)
    for key in sorted(_SHARED & overrides.keys()):
        raise RecipeError(f"{where}.{key} cannot differ between stages; set it in [training].")
    options.build(Training, overrides, where=where)


def _from_folder(value: Any, folder: Path) -> Any:
    """Resolve a text that can only be a path; which options are paths is not known before a dataset is imported."""
    is_path = isinstance(value, str) and value.startswith(("./", "../", "~/"))
    return options.absolute(value, folder) if is_path else value


def _present(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None and value != {}}

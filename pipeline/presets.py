"""The recipes that come with the workbench, and those that a person saved."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline import catalog, decoding, editing, files, recipe
from pipeline.errors import PipelineError, RecipeError
from pipeline.options import options_of, suggest
from pipeline.sections import Baseline

package = Path(__file__).parent
shipped = next(folder for folder in (package / "_presets", package.parent / "presets") if folder.is_dir())
"""Inside an installed wheel, or beside the package in a checkout."""


def presets(saved: Path | None = None) -> dict[str, Path]:
    """List presets by name; a saved one hides a shipped one of the same name.

    Args:
        saved: folder of a person's own presets; it need not exist.
    """
    folders = [shipped, *([saved] if saved is not None else [])]
    found = {path.stem: path for folder in folders for path in sorted(folder.glob("*.toml"))}
    return dict(sorted(found.items()))


def find(name: str, saved: Path | None = None) -> Path:
    """Find a recipe by the name of a preset or by a path.

    Raises:
        RecipeError: there is no such preset and no such file; says the nearest and all known names.
    """
    path = Path(name).expanduser()
    if path.suffix == ".toml" or len(path.parts) > 1:
        if not path.is_file():
            raise RecipeError(f"there is no recipe file {str(path)!r}.")
        return path
    known = presets(saved)
    if name not in known:
        raise RecipeError(f"no preset is called {name!r}; {suggest(name, known)} A file needs its ending .toml.")
    return known[name]


def is_name(name: str) -> bool:
    """Tell whether a preset may be called so: letters, digits, dots, dashes and underscores, no dot in front."""
    return len(name) <= 100 and re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*", name) is not None


def problem(path: Path) -> str:
    """Say in one sentence, with file and line, why a preset is no recipe; empty when it is one."""
    try:
        recipe.load(path)
    except PipelineError as error:
        return str(error)
    return ""


def save(text: str, name: str, saved: Path, *, folder: Path) -> Path:
    """Write the text of a recipe as a person's own preset; one of the same name is replaced.

    Args:
        text: valid TOML; comments and order are kept.
        name: see ``is_name``.
        saved: folder of a person's own presets; made when it is not there.
        folder: relative paths in the text count from here; they are rewritten to count from ``saved``.

    Raises:
        RecipeError: the name is not legal, or the folder cannot be written.
    """
    if not is_name(name):
        raise RecipeError(f"{name!r} cannot name a preset; use letters, digits, dots, dashes and underscores.")
    path = saved / f"{name}.toml"
    try:
        saved.mkdir(parents=True, exist_ok=True)
        files.write_text(path, rebased(text, folder, saved))
    except OSError as error:
        raise RecipeError(f"the preset {str(path)!r} cannot be written: {error.strerror}.") from None
    return path


def delete(name: str, saved: Path) -> None:
    """Remove a person's own preset.

    Raises:
        RecipeError: there is none of that name, or it cannot be removed.
    """
    path = saved / f"{name}.toml"
    try:
        path.unlink()
    except OSError as error:
        raise RecipeError(f"the preset {str(path)!r} cannot be removed: {error.strerror}.") from None


def rebased(text: str, old: Path, new: Path) -> str:
    """Give the text of a recipe with the relative paths that count from one folder counting from another."""
    old, new = old.resolve(), new.resolve()
    if old == new:
        return text
    for place, value in _relative_paths(decoding.toml(text)):
        path = os.path.relpath(old / value, new)
        # Of a dataset from elsewhere, a text is known as a path by its beginning alone.
        text = editing.put(text, place, path if path.startswith(".") else f"./{path}")
    return text


def _relative_paths(document: recipe.Document) -> Iterator[tuple[editing.Path, str]]:
    parts: list[tuple[editing.Path, Any]] = [(("baseline",), document.get("baseline"))]
    parts += [(("stages", at), stage) for at, stage in enumerate(document.get("stages", []))]
    parts.append((("dataset",), document.get("dataset")))
    for place, values in parts:
        for key, value in values.items() if isinstance(values, dict) else ():
            is_path = isinstance(value, str) and _is_path(place, values, key, value)
            if is_path and not Path(value).is_absolute() and not value.startswith("~"):
                yield (*place, key), value


def _is_path(place: editing.Path, values: dict[str, Any], key: str, value: str) -> bool:
    try:
        if place[0] == "baseline":
            record: type[Struct] = Baseline
        elif place[0] == "stages":
            record = catalog.load("stages", values["stage"])
        elif catalog.is_external(values["name"]):
            return value.startswith(("./", "../"))
        else:
            record = catalog.load("datasets", values["name"])
    except (PipelineError, KeyError):
        return False
    return any(option.name == key and option.is_path for option in options_of(record))

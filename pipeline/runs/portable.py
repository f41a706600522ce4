"""What an export says about its run, free of the paths of the machine on which it was made."""

from pathlib import Path
from typing import Any

import msgspec
import tomlkit

from pipeline.recipe import Recipe
from pipeline.runs.description import Description
from pipeline.runs.store import Run


def report(run: Run) -> Description:
    """Describe a run with paths relative to its store, and of the files that its recipe names only the names.

    Raises:
        RecipeError: the recipe does not fit this version.
        CorruptRun: a line of the log is not an event.
    """
    found = run.describe()
    artifacts = tuple(
        msgspec.structs.replace(one, path=Path(one.path).relative_to(run.store).as_posix()) for one in found.artifacts
    )
    folder = run.folder.relative_to(run.store).as_posix()
    return msgspec.structs.replace(found, recipe=document(found.recipe), artifacts=artifacts, folder=folder)


def toml(mine: Recipe) -> str:
    """Write a recipe as TOML, of the files that it names only the names."""
    return tomlkit.dumps(document(mine.document()))


def document(mine: dict[str, Any]) -> dict[str, Any]:
    """Cut the paths in a recipe to their last parts; a recipe's own are absolute (see ``pipeline.recipe.load``)."""
    return {key: value if key in ("name", "backbone") else _cut(value) for key, value in mine.items()}


def _cut(value: Any) -> Any:
    match value:
        case str() if value.startswith("/"):
            return Path(value).name
        case dict():
            return {key: _cut(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_cut(inner) for inner in value]
        case _:
            return value

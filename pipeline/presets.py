"""The recipes that come with the workbench, and those that a person saved."""

import re
from pathlib import Path

from pipeline import files
from pipeline.errors import RecipeError
from pipeline.options import suggest
from pipeline.recipe import Recipe

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


def save(recipe: Recipe, name: str, saved: Path) -> Path:
    """Write a recipe as a person's own preset; one of the same name is replaced.

    Args:
        recipe: what to keep.
        name: see ``is_name``.
        saved: folder of a person's own presets; made when it is not there.

    Raises:
        RecipeError: the name is not legal, or the folder cannot be written.
    """
    if not is_name(name):
        raise RecipeError(f"{name!r} cannot name a preset; use letters, digits, dots, dashes and underscores.")
    path = saved / f"{name}.toml"
    try:
        saved.mkdir(parents=True, exist_ok=True)
        files.write_text(path, recipe.to_toml())
    except OSError as error:
        raise RecipeError(f"the preset {str(path)!r} cannot be written: {error.strerror}.") from None
    return path

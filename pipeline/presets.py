"""The recipes that come with the workbench, and those that a person saved."""

from pathlib import Path

from pipeline.errors import RecipeError
from pipeline.options import suggest

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

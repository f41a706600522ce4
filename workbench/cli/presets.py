"""``presets``: the recipes that come with the workbench, and those that a person saved."""

import argparse
from pathlib import Path

from pipeline import files, presets
from pipeline.errors import RecipeError
from workbench import locations
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """List the presets, or print or copy one.

    Raises:
        Refusal: there is no such preset, or the copy cannot be written.
    """
    if arguments.name is None:
        if arguments.copy is not None:
            raise exit_codes.Refusal("--copy needs the name of a preset: pqd-workbench presets NAME --copy FILE.")
        return _list()
    text = _read(arguments.name)
    if arguments.copy is None:
        output.say(text.rstrip("\n"))
        return exit_codes.DONE
    target = Path(arguments.copy).expanduser()
    if target.exists():
        raise exit_codes.Refusal(f"{str(target)!r} exists; choose another name or remove it.")
    try:
        files.write_text(target, text)
    except OSError as error:
        raise exit_codes.Refusal(f"{str(target)!r} cannot be written: {error.strerror}.", exit_codes.TROUBLE) from None
    output.say(str(target))
    return exit_codes.DONE


def _list() -> int:
    saved = locations.presets_folder()
    table = output.table("preset", "what it is", "from")
    for name, path in presets.presets(saved).items():
        table.add_row(name, output.clean(summary(path)), "saved" if path.parent == saved else "shipped")
    output.console().print(table)
    return exit_codes.DONE


def _read(name: str) -> str:
    try:
        path = presets.find(name, locations.presets_folder())
    except RecipeError as error:
        raise exit_codes.Refusal(str(error), exit_codes.NOT_FOUND) from None
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise exit_codes.Refusal(f"the preset {str(path)!r} cannot be read as UTF-8 text.") from None


def summary(path: Path) -> str:
    """Give the comment in the first line of a recipe; empty when it has none."""
    try:
        with path.open(encoding="utf-8") as opened:
            first = opened.readline()
    except (OSError, UnicodeDecodeError):
        return "cannot be read"
    return first.lstrip("#").strip() if first.startswith("#") else ""

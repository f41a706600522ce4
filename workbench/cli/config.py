"""``config``: show, check, begin and edit the settings of the workbench."""

import argparse
import os
import shlex
import subprocess
import sys

from pipeline import files
from workbench import config_file, settings
from workbench.cli import exit_codes, output

ACTIONS: dict[str, str] = {
    "show": "the settings that hold, and where each comes from",
    "validate": "say what is wrong; the exit code is 2 when something is",
    "schema": "the JSON Schema of the file",
    "path": "where the file lies",
    "init": "write a file that explains every setting",
    "edit": "open the file in the editor ($VISUAL, $EDITOR)",
    "keys": "every id that [keys] can name, with its keys",
}
"""One phrase for each thing that can be done."""


def main(arguments: argparse.Namespace) -> int:
    """Do what the command line says.

    Raises:
        Refusal: the file cannot be written, or an editor cannot be opened.
    """
    return {
        "show": _show, "validate": _validate, "schema": _schema, "path": _path, "init": _init, "edit": _edit,
        "keys": _keys,
    }[arguments.action](arguments)  # fmt: skip


def _show(arguments: argparse.Namespace) -> int:
    loaded = settings.load()
    plain = settings.plain(loaded.settings)
    if arguments.json:
        output.document({"path": str(settings.config_path()), "settings": plain, "sources": loaded.sources})
    else:
        for name, value in plain.items():
            words = "{}" if value == {} else value if isinstance(value, dict) else config_file.toml(value)
            output.say(f"{name} = {words}" + (f"    # {loaded.sources[name]}" if name in loaded.sources else ""))
    return _tell(loaded.problems)


def _validate(arguments: argparse.Namespace) -> int:
    loaded = settings.load()
    problems = [*loaded.problems, *_more(loaded)]
    if arguments.json:
        output.document({"path": str(settings.config_path()), "problems": problems})
    elif not problems:
        path = settings.config_path()
        output.say(f"{path} is right." if path.exists() else f"there is no {path}; the defaults hold.")
    else:
        _tell(problems)
    return exit_codes.USAGE if problems else exit_codes.DONE


def _more(loaded: settings.Loaded) -> list[str]:
    """Find what only the app's own names can tell: themes and keys."""
    from pipeline.errors import PipelineError
    from workbench import keys, themes

    path = settings.config_path()
    text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    found = []
    if loaded.settings.theme != "auto":
        try:
            themes.resolve(loaded.settings.theme)
        except PipelineError as error:
            source = loaded.sources.get("theme", "")
            line = f", line {settings.line_of(text, 'theme')}" if source == str(path) else ""
            found.append(f"{source}{line}: theme: {error}")
    for name, problem in keys.problems(loaded.settings.keys, loaded.settings.key_preset):
        found.append(f"{path}, line {settings.line_of(text, name, 'keys')}: {problem}")
    return found


def _schema(arguments: argparse.Namespace) -> int:
    output.document(config_file.schema())
    return exit_codes.DONE


def _path(arguments: argparse.Namespace) -> int:
    output.say(str(settings.config_path()))
    return exit_codes.DONE


def _init(arguments: argparse.Namespace) -> int:
    path = settings.config_path()
    if path.exists():
        raise exit_codes.Refusal(f"{str(path)!r} exists; 'pqd-workbench config edit' opens it.")
    _write(config_file.sample())
    output.say(f"written: {path}")
    return exit_codes.DONE


def _edit(arguments: argparse.Namespace) -> int:
    path = settings.config_path()
    if not path.exists():
        _write(config_file.sample())
    if not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        raise exit_codes.Refusal(f"an editor needs a terminal, and this is none; the file is {str(path)!r}.")
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        subprocess.run([*editor, str(path)], check=False)
    except OSError as error:
        raise exit_codes.Refusal(
            f"the editor {editor[0]!r} cannot be started ({error.strerror}); set EDITOR."
        ) from None
    return _validate(arguments)


def _keys(arguments: argparse.Namespace) -> int:
    from workbench import keys

    found = keys.known()
    if arguments.json:
        output.document(
            {name: [{"keys": e.keys, "where": e.owner, "does": e.tooltip} for e in of] for name, of in found.items()}
        )
        return exit_codes.DONE
    table = output.table("id", "keys", "where", "does", whole=("id", "keys"))
    for name, entries in sorted(found.items()):
        for entry in entries:
            table.add_row(name, " ".join(entry.keys), entry.owner, entry.tooltip)
    output.console().print(table)
    return exit_codes.DONE


def _write(text: str) -> None:
    path = settings.config_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, text)
    except OSError as error:
        raise exit_codes.Refusal(f"{str(path)!r} cannot be written: {error.strerror}.", exit_codes.TROUBLE) from None


def _tell(problems: "tuple[str, ...] | list[str]") -> int:
    for problem in problems:
        output.remark(problem)
    return exit_codes.DONE

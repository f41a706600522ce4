"""Hand a text to the editor that a person has chosen, and take back what they left."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import PipelineError


class EditorError(PipelineError):
    """No editor can be started, or it failed; what a person typed elsewhere is untouched."""


def command(environment: Mapping[str, str] | None = None) -> list[str]:
    """Find the editor: ``VISUAL``, else ``EDITOR``, with the arguments that stand there.

    Raises:
        EditorError: neither is set, or names no program.
    """
    values = os.environ if environment is None else environment
    name = next((name for name in ("VISUAL", "EDITOR") if values.get(name, "").strip()), None)
    if name is None:
        raise EditorError("no editor is known: set VISUAL or EDITOR, as in EDITOR=nano, and start again.")
    try:
        words = shlex.split(values[name])
    except ValueError as error:
        raise EditorError(f"{name} is {values[name]!r}, which cannot be read: {error}.") from None
    if not words or shutil.which(words[0]) is None:
        raise EditorError(f"{name} is {values[name]!r}, but there is no such program; set it to one that is installed.")
    return words


def edit(text: str, words: list[str]) -> str:
    """Let a person edit a text; returns when the editor ends. The terminal must be free.

    Args:
        text: what the file holds at first.
        words: the editor and its arguments; the file's path is put behind them.

    Raises:
        EditorError: the editor cannot be started or ended with an error, or left no text.
    """
    with tempfile.TemporaryDirectory(prefix="pqd-") as folder:
        path = Path(folder) / "recipe.toml"
        path.write_text(text, encoding="utf-8")
        try:
            status = subprocess.run([*words, str(path)], check=False).returncode
            found = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise EditorError(f"the editor {words[0]!r} left nothing that can be read: {error}.") from None
    if status:
        raise EditorError(f"the editor {words[0]!r} ended with {status}; nothing was taken over.")
    return found

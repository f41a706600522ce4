"""Copying out of a terminal, near or far: as the terminal's own command, and into a file, which never fails silently.

A program cannot learn whether the terminal took a text. Inside tmux and screen the command is sent twice: as it is,
which they may pass on, and wrapped, which others of their settings let through.
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

from pipeline import files
from workbench import locations

LARGEST = 74_994
"""Bytes of a text that terminals accept; longer ones only go into the file."""
NAME = "clipboard.txt"


def path() -> Path:
    """Give the file that holds what was copied last."""
    return locations.state_folder() / NAME


def keep(text: str) -> Path | None:
    """Write a text to the file; gives None where that cannot be done."""
    target = path()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(target, text)
    except (OSError, UnicodeEncodeError):
        return None
    return target


def sequence(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Give what makes the terminal take a text; empty for one that is too long.

    Args:
        text: what is copied.
        environment: variables; None for those of the process.
    """
    variables = os.environ if environment is None else environment
    content = text.encode("utf-8", errors="replace")
    if len(content) > LARGEST:
        return ""
    command = f"\x1b]52;c;{base64.b64encode(content).decode()}\x07"
    term = variables.get("TERM", "")
    if "TMUX" in variables or term.startswith("tmux"):
        return command + "\x1bPtmux;" + command.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if "STY" in variables or term.startswith("screen"):
        # It takes short pieces only, and the command must not end a piece before its own end.
        pieces = [command[start : start + 250] for start in range(0, len(command), 250)]
        return command + "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return command

"""The command as a person types it: a process of its own, with or without a terminal."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.workbench.terminals import Terminal

COMMAND = (sys.executable, "-m", "workbench")


def call(*words: str | Path, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line without a terminal; its exit code must be ``code``."""
    done = subprocess.run(
        [*COMMAND, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=os.environ | environment,
        timeout=120,
    )
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


def refusal(*words: str | Path, code: int) -> str:
    """Run a command line that is refused; gives its one sentence."""
    done = call(*words, code=code)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("pqd-workbench: ")
    assert line.endswith(".")
    return line.removeprefix("pqd-workbench: ")


def on_terminal(*words: str | Path, columns: int = 80, **environment: str) -> tuple[int, str]:
    """Run a command line on a terminal of its own; gives the exit code and everything that was written."""
    ours = {"COLUMNS": "", "NO_COLOR": ""} | environment
    with Terminal([*COMMAND, *map(str, words)], size=(columns, 40), environment=ours) as terminal:
        return terminal.end(60.0), terminal.sent


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r\n", "\n")

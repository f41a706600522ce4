"""What the dialog and the command line share of exporting: its words, and a look at where the files go."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from pipeline import options
from pipeline.errors import ExportError, PipelineError
from pipeline.runs import wording
from pipeline.runs.export import Check, Estimate, Exported, Progress, Written, available, estimate
from pipeline.runs.rows import Row
from pipeline.runs.store import Run

steps = {
    "writing": (">", "writing"),
    "opening": (">", "opening it again"),
    "checking": (">", "comparing its answers"),
    "checked": ("ok", ""),
}
"""Glyph and words of each step of a format."""
WAITING = ("..", "waiting")
"""The same before the first."""


def row(name: str, progress: Progress | None) -> tuple[str, str, str, str]:
    """Say how far one format is: glyph, name, size and words.

    Args:
        name: of the format.
        progress: the newest that was told of it; None before it is begun.
    """
    glyph, words = steps[progress.step] if progress is not None else WAITING
    size = wording.bytes_of(progress.bytes) if progress is not None and progress.bytes is not None else ""
    if progress is not None and progress.check is not None:
        words = progress.check.short
    return glyph, name, size, words


def files_of(made: Exported) -> list[tuple[Check | None, Sequence[Written]]]:
    """Sort the files of an export by format, with what each answered; last those that describe it."""
    by_name = {one.name: one for one in made.files}
    found: list[tuple[Check | None, Sequence[Written]]] = [
        (check, [by_name.pop(name) for name in check.files if name in by_name]) for check in made.checks
    ]
    return [*found, (None, list(by_name.values()))]


class Job(Struct, frozen=True, kw_only=True):
    """One run to export."""

    row: Row
    name: str
    """Of the folder that is made."""
    formats: tuple[str, ...]
    """Those that the run can be exported to; empty where it can be exported to none of those that were chosen."""


class Place(Struct, frozen=True, kw_only=True):
    """What is known of the folder that exports go to."""

    free_bytes: int | None = None
    """On its disk; None where that cannot be told."""
    taken: tuple[str, ...] = ()
    """Names that something there bears already."""
    problem: str = ""
    """Why nothing can be written there, in one sentence; empty where it can."""


def sizes(run: Run) -> dict[str, Estimate | None]:
    """Tell what each format would take that the run can be exported to; reads the run, so call it in a thread."""
    try:
        state = run.state()
    except (PipelineError, OSError):
        return {}
    return {name: estimate(state, name) for name in available(state)}


def look(folder: Path, names: Sequence[str]) -> Place:
    """Look at a folder, which need not exist; reads the disk, so call it in a thread."""
    try:
        there = next(path for path in (folder, *folder.parents) if path.exists())
        if not there.is_dir():
            return Place(problem=f"{str(there)!r} is a file; name a folder.")
        free = shutil.disk_usage(there).free
        taken = tuple(name for name in names if (folder / name).exists())
    except OSError as error:
        return Place(problem=f"{str(folder)!r} cannot be used: {error.strerror}.")
    if not os.access(there, os.W_OK | os.X_OK):
        return Place(free_bytes=free, taken=taken, problem=f"nothing can be written in {str(there)!r}.")
    return Place(free_bytes=free, taken=taken)


def folder_of(text: str) -> Path:
    """Understand the folder that a person typed.

    Raises:
        PipelineError: it is empty, or no path can be written so.
    """
    if not text.strip():
        raise ExportError("name a folder.")
    return Path(options.absolute(text.strip(), Path.cwd()))


def complete(text: str) -> str | None:
    """Complete the folder that a person types; None where there is none, or nothing was typed of its name.

    Reads the disk, so call it in a thread.
    """
    parent, _, begun = text.rpartition("/")
    if not begun or begun in (".", "..") or (text.startswith("~") and not parent):
        return None
    try:
        with os.scandir(folder_of(parent + "/") if parent or text.startswith("/") else Path.cwd()) as entries:
            fits = sorted(entry.name for entry in entries if entry.name.startswith(begun) and entry.is_dir())
    except (OSError, PipelineError):
        return None
    return f"{text}{fits[0][len(begun) :]}/" if fits else None

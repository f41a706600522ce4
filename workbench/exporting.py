"""How an export is put into words: the same in the dialog and on the command line."""

from collections.abc import Sequence

from pipeline.runs import wording
from pipeline.runs.export import Check, Exported, Progress, Written

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

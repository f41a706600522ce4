"""Where words go: answers to stdout, remarks to stderr; rich only where something is drawn."""

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import msgspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDE = 200
"""Columns of a table that goes into a file or a pipe: nothing is cut there."""


def console(*, stderr: bool = False) -> "Console":
    """Make a console that takes every text letter by letter: brackets are no markup, colons no emoji."""
    from rich.console import Console

    class QuietConsole(Console):
        def on_broken_pipe(self) -> NoReturn:
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream.isatty() or "COLUMNS" in os.environ else WIDE
    return QuietConsole(stderr=stderr, markup=False, emoji=False, highlight=False, width=wide)


def table(*columns: str, right: tuple[str, ...] = (), whole: tuple[str, ...] = (), title: str | None = None) -> "Table":
    """Make an empty table without lines.

    Args:
        columns: the headers.
        right: those whose cells are aligned to the right and never broken.
        whole: others whose cells are never broken.
        title: a line above; None for none.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(box=SIMPLE_HEAD, title=title, title_justify="left", pad_edge=False, show_edge=False)
    made.title_style, made.collapse_padding = "bold", True
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in right else "left"
        made.add_column(column, justify=justify, overflow="fold", no_wrap=column in right + whole)
    return made


def say(text: str) -> None:
    """Write a line of the answer."""
    print(clean(text), flush=True)


def remark(text: str) -> None:
    """Write a line that is not part of the answer."""
    print(clean(text), file=sys.stderr, flush=True)


def document(content: Any) -> None:
    """Write the one JSON document of ``--json``; a number that is not finite becomes null."""
    print(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def clean(text: str) -> str:
    """Replace what would steer the terminal instead of being shown on it."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)

"""What can be copied of runs, as texts."""

import shlex
from collections.abc import Callable, Sequence
from functools import partial

from msgspec import Struct

from pipeline.runs.rows import Row
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.widgets import words


class Offer(Struct, frozen=True, kw_only=True):
    """One text."""

    name: str
    """What it is, for the list."""
    preview: str
    """What is shown beside the list."""
    text: Callable[[], str]
    """Gives the text; may read a file.

    Raises:
        OSError: the file cannot be read.
    """


def offers(rows: Sequence[Row], store: RunStore) -> list[Offer]:
    """List what can be copied of some runs, the plainest first."""
    lines = {
        "run id": [row.id for row in rows],
        "folder": [str(store.run(row.id).folder) for row in rows],
        "command to watch it": [command("watch", row.id, store) for row in rows],
        "command to run it again": [
            command("run", str(store.run(row.id).folder / "recipe.toml"), store) for row in rows
        ],
        "command to show its numbers": [command("show", row.id, store) for row in rows],
        "numbers as a row": [HEADER, *(numbers(row) for row in rows)],
    }
    made = {name: "\n".join(texts) for name, texts in lines.items()}
    found = [Offer(name=name, preview=text, text=partial(str, text)) for name, text in made.items()]
    return [*found, Offer(name="recipe", preview="the text of recipe.toml", text=partial(recipes, rows, store))]


def command(verb: str, of: str, store: RunStore) -> str:
    """Write a command that does something with a run, whatever the shell's folder and environment."""
    parts = ["pqd-workbench", verb, of]
    if store.folder.absolute() != locations.store_folder().absolute():
        parts += ["--store", str(store.folder.absolute())]
    return shlex.join(parts)


HEADER = "run\tstages\tstatus\ttop1 %\tpoints\tMiB\tms\tspeedup"
"""Names of the columns of ``numbers``."""


def numbers(row: Row) -> str:
    """Write the numbers of a run as a row of a spreadsheet, between tabs; a dash where there is none."""
    cells = (
        row.name, row.letters, row.status.value, words.number(row.top1, 2), words.number(row.points, 2, signed=True),
        words.mib(row.size_bytes), words.milliseconds(row.median_ms), words.number(row.speedup, 2),
    )  # fmt: skip
    return "\t".join(cell.replace("\t", " ") for cell in cells)


def recipes(rows: Sequence[Row], store: RunStore) -> str:
    """Read the recipes of runs."""
    texts = [(store.run(row.id).folder / "recipe.toml").read_text(encoding="utf-8", errors="replace") for row in rows]
    return "\n".join(texts)

"""``compare``: runs side by side; what is equal in all of them is left out unless asked for."""

import argparse
import sys
from pathlib import Path

import msgspec

from pipeline.errors import PipelineError
from pipeline.runs import rows
from pipeline.runs.store import Run, RunStore
from workbench import comparison, locations, writing
from workbench.cli import exit_codes, output
from workbench.comparison import Line, Side


def main(arguments: argparse.Namespace) -> int:
    """Print the table, or one JSON document, or write a file.

    Raises:
        RunNotFound: no run has one of the names.
        CorruptRun: a run cannot be read.
        ExportError: the file cannot be written.
        Refusal: fewer than two runs were named.
    """
    store = RunStore(locations.store_folder(arguments.store))
    runs = list({run.id: run for run in map(store.open, arguments.runs)}.values())
    if len(runs) < 2:
        raise exit_codes.Refusal(f"{len(runs)} run was named; name two or more to compare.")
    sides = [side_of(run) for run in runs]
    lines = [line for line in comparison.compare(sides) if arguments.all or not line.is_equal]
    if arguments.out is not None:
        path = Path(arguments.out).expanduser()
        writing.write(path, comparison.formats, lambda ending: comparison.formats[ending](sides, lines))
        output.remark(f"written: {path}")
    if arguments.json:
        output.document(document(sides, lines))
    elif arguments.out is None:
        _print(sides, lines)
    return exit_codes.DONE


def side_of(run: Run) -> Side:
    """Read a run whole.

    Raises:
        CorruptRun: its log cannot be read.
    """
    state = run.state()
    try:
        recipe = run.recipe()
    except PipelineError as error:
        output.remark(f"{run.id}: {error}")
        recipe = None
    return Side(row=rows.row_of(run.id, recipe, state, run.annotations()), recipe=recipe, state=state)


def document(sides: list[Side], lines: list[Line]) -> dict[str, object]:
    """Give the JSON document: the rows of the runs, and the table."""
    table = [{"section": line.section, "name": line.name, "values": line.values} for line in lines]
    return {"runs": [msgspec.to_builtins(side.row) for side in sides], "table": table}


def _print(sides: list[Side], lines: list[Line]) -> None:
    for section in dict.fromkeys(line.section for line in lines):
        names = [f"{side.row.name} {side.row.id[-4:]}" for side in sides]
        # Two runs of one name have headers of their own by the end of the id.
        table = output.table(section, *map(output.clean, names), whole=(section,) if sys.stdout.isatty() else ())
        for line in lines:
            if line.section == section:
                table.add_row(output.clean(line.name), *(output.clean(cell) for cell in comparison.cells(line)))
        output.console().print(table)
        output.say("")
    output.say(f"Changes are against {sides[0].row.name}; ns: the change to its own baseline may be chance.")

"""``metrics``: every number that trainings recorded."""

import argparse
from pathlib import Path

from pipeline.runs import metrics
from pipeline.runs.store import RunStore
from workbench import locations, writing
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Print a table, or one JSON document, or write a file.

    Raises:
        RunNotFound: no run has one of the names.
        CorruptRun: a run cannot be read.
        ExportError: the file cannot be written.
    """
    store = RunStore(locations.store_folder(arguments.store))
    runs = {run.id: run for run in map(store.open, arguments.runs)}
    found = metrics.records(runs.values())
    if arguments.out is not None:
        path = Path(arguments.out).expanduser()
        writing.write(path, metrics.formats, lambda ending: metrics.formats[ending](found))
        output.remark(f"written: {path}")
    else:
        output.say((metrics.json if arguments.json else metrics.csv)(found).decode().rstrip("\n"))
    return exit_codes.DONE

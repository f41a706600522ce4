"""``delete``: put runs that are over into the trash."""

import argparse

from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes, output, reporting


def main(arguments: argparse.Namespace) -> int:
    """Delete all of the runs, or none where one is unknown or alive, and say how to bring them back.

    Raises:
        PipelineError: there is no such run, it is alive, or its folder cannot be moved.
    """
    store = RunStore(locations.store_folder(arguments.store))
    runs = list({run.id: run for run in map(store.open, arguments.runs)}.values())
    store.delete(*runs)
    if arguments.json:
        output.document({"deleted": [run.id for run in runs]})
        return exit_codes.DONE
    for run in runs:
        output.say(f"deleted {run.id}")
    output.remark(f"To bring back within a day: {reporting.command(arguments.store, 'restore')}")
    return exit_codes.DONE

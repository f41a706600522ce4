"""``restore``: bring runs back from the trash."""

import argparse

from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Bring back one run, or those of the last deletion.

    Raises:
        PipelineError: the trash is empty or holds no such run, or it cannot be moved.
    """
    store = RunStore(locations.store_folder(arguments.store))
    name = arguments.run
    runs = store.restore_last() if name is None else [store.restore(store.open_trashed(name).id)]
    if arguments.json:
        output.document({"restored": [run.id for run in runs]})
        return exit_codes.DONE
    for run in runs:
        output.say(f"restored {run.id}")
    return exit_codes.DONE

"""``resume``: launch the recipe of an unfinished run once more; what was trained is reused, the rest goes on."""

import argparse

from pipeline.runs import process
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli.run import launched, refuse_absent_data


def main(arguments: argparse.Namespace) -> int:
    """Launch, then follow unless told to detach.

    Raises:
        PipelineError: there is no such run, it goes on or is finished, or its recipe or the store is not as it must be.
        Refusal: its data is absent.
    """
    run = RunStore(locations.store_folder(arguments.store)).open(arguments.run)
    process.refuse_to_resume(run)
    refuse_absent_data(run.recipe())
    return launched(process.relaunch(run, queue=arguments.queue), arguments)

"""``resume``: launch the recipe of a run that is over once more; what was trained is reused, the rest goes on."""

import argparse

from pipeline.runs import process
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes
from workbench.cli.run import launched, refuse_absent_data


def main(arguments: argparse.Namespace) -> int:
    """Launch, then follow unless told to detach.

    Raises:
        PipelineError: there is no such run, it is alive, or its recipe or the store is not as it must be.
        Refusal: the run is finished, or its data is absent.
    """
    run = RunStore(locations.store_folder(arguments.store)).open(arguments.run)
    if run.state().status is Status.FINISHED:
        raise exit_codes.Refusal(f"the run {run.id} is finished: nothing is left to do; to time it again: measure.")
    refuse_absent_data(run.recipe())
    return launched(process.relaunch(run, queue=arguments.queue), arguments)

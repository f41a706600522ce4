"""``stop``: ask a run to end at its next step, or after its epoch or stage, and wait until it has."""

import argparse
import time

from pipeline.runs import process
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes, follow, output


def main(arguments: argparse.Namespace) -> int:
    """Ask, and wait unless told not to.

    Raises:
        PipelineError: there is no such run, or it is not alive.
    """
    run = RunStore(locations.store_folder(arguments.store)).open(arguments.run)
    if arguments.withdraw:
        process.withdraw_stop(run)
        output.say(f"the run {run.id} goes on.")
        return exit_codes.DONE
    process.stop(run, arguments.after or "now")
    if arguments.no_wait:
        when = f" after its {arguments.after}" if arguments.after else ""
        output.say(f"the run {run.id} was asked to stop{when}.")
        return exit_codes.DONE
    while run.is_alive():
        time.sleep(follow.POLL_S)
    state = run.state()
    output.say(f"the run {run.id} is {state.status.value}.")
    return exit_codes.DONE if state.status is Status.STOPPED else exit_codes.BY_STATUS[state.status]

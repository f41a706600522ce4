"""``queue``: the runs that wait for their turn, in order, and how many go on at once."""

import argparse

from pipeline.runs import queue
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Change what is asked for, then print the limit and the order.

    Raises:
        PipelineError: there is no such run, it does not wait, or the limit is not legal.
    """
    store = RunStore(locations.store_folder(arguments.store))
    if arguments.limit is not None:
        queue.set_limit(store, arguments.limit)
    if arguments.first is not None:
        queue.move(store.open(arguments.first), -len(queue.waiting(store)))
    if arguments.start is not None:
        queue.start_now(store.open(arguments.start))
    allowed, waiting = queue.limit(store), [run.id for run in queue.waiting(store)]
    if arguments.json:
        output.document({"limit": allowed, "waiting": waiting})
        return exit_codes.DONE
    output.say(f"{allowed} run{'s' * (allowed != 1)} at once; {len(waiting) or 'none'} waiting.")
    for number, run_id in enumerate(waiting, start=1):
        output.say(f"{number:>3}  {run_id}")
    if not waiting:
        output.say("To queue one: pqd-workbench run smoke --queue")
    return exit_codes.DONE

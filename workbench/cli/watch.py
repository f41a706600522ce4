"""``watch``: follow a run that was launched before, by whomever."""

import argparse

from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import follow


def main(arguments: argparse.Namespace) -> int:
    """Follow the run as ``run`` does.

    Raises:
        PipelineError: there is no such run, or it cannot be read.
    """
    run = RunStore(locations.store_folder(arguments.store)).open(arguments.run)
    return follow.to_the_end(run, arguments)

"""Entry of the pipeline process; people use ``pqd-workbench``."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Read the command line of the launcher and do the run."""
    parser = argparse.ArgumentParser(prog="python -m pipeline")
    verbs = parser.add_subparsers(required=True)
    work = verbs.add_parser("work", help="do the run in a folder")
    work.add_argument("folder", type=Path)
    work.add_argument("--lock", type=int, required=True, help="descriptor that holds run.lock")
    arguments = parser.parse_args()

    from pipeline import worker

    return worker.work(arguments.folder, arguments.lock)


if __name__ == "__main__":
    sys.exit(main())

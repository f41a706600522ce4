"""``export``: leave finished runs in a folder, as files that other software opens."""

import argparse
from pathlib import Path

from pipeline import catalog
from pipeline.runs import export
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Export each run into a folder of its own; says where.

    Raises:
        PipelineError: a run or a format is unknown, a run is not finished, or the folder cannot be written.
    """
    store = RunStore(locations.store_folder(arguments.store))
    for name in arguments.formats or ():
        catalog.check("exports", name)
    # All are looked up before the first is written: a slip of the finger costs nothing.
    runs = [store.open(name) for name in arguments.runs]
    for run in runs:
        made = export.export(run, Path(arguments.to).expanduser(), arguments.formats)
        output.say(f"{run.id}: exported to {made.folder}")
        for path in sorted(made.folder.iterdir()):
            output.say(f"  {path.name}  {path.stat().st_size:,} bytes")
        for check in made.checks:
            output.say(f"  {check.files[0]}: {check.sentence}")
    return exit_codes.DONE

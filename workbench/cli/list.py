"""``list``: all runs of the store, newest first."""

import argparse
from typing import Any

from pipeline.errors import PipelineError
from pipeline.runs import wording
from pipeline.runs.store import Run, RunStore
from workbench import locations
from workbench.cli import exit_codes, output
from workbench.cli.numbers import CONTENDED


def main(arguments: argparse.Namespace) -> int:
    """Print a table, or a JSON list; a run that cannot be read stands there with the reason.

    Raises:
        RunStoreError: the store cannot be read.
    """
    store = RunStore(locations.store_folder(arguments.store))
    rows = [summary(run) for run in store.runs()]
    if arguments.json:
        output.document(rows)
        return exit_codes.DONE
    if not rows:
        output.say(f"no runs in {str(store.folder)!r}. To launch one: pqd-workbench run smoke")
        return exit_codes.DONE
    right = ("top-1 %", "points", "MiB", "ms")
    table = output.table("run", "stages", "status", *right, right=right, whole=("stages", "status"))
    for row in rows:
        table.add_row(
            row["id"],
            row["stages"] or wording.NOTHING,
            row["status_words"],
            wording.number(row["top1"], ".2f"),
            row["points_words"],
            wording.mib(row["size_bytes"], unit=False),
            wording.milliseconds(row["median_ms"], unit=False) + ("!" if row["contended"] else ""),
        )
    output.console().print(table)
    output.say("top-1 of the deployed file; points against its baseline, ± of the 95 % interval;")
    output.say("MiB of the checkpoint; median ms of a call.")
    if any(row["contended"] for row in rows):
        output.say(CONTENDED)
    for row in rows:
        if row["error"] is not None:
            output.say(f"{row['id']}: {row['error']}")
    return exit_codes.DONE


def summary(run: Run) -> dict[str, Any]:
    """Give the numbers of a run in a flat record; ``error`` says why it cannot be read, else it is None."""
    row: dict[str, Any] = dict.fromkeys(
        (
            "name", "top1", "top1_points", "top1_margin", "p_value", "size_bytes", "size_ratio", "median_ms", "runtime",
            "contended", "started_s", "ended_s",
        )
    )  # fmt: skip
    row |= {"id": run.id, "stages": "", "status": "unreadable", "status_words": "unreadable", "error": None}
    row |= {"folder": str(run.folder), "points_words": wording.NOTHING}
    try:
        recipe, state = run.recipe(), run.state()
    except PipelineError as error:
        return row | {"error": str(error)}
    deployed, versus = state.deployed, state.deployed.versus(state.baseline)
    fastest, paired = deployed.fastest, versus.paired
    return row | {
        "name": recipe.name,
        "stages": recipe.letters,
        "status": state.status.value,
        "status_words": wording.status(state),
        "top1": deployed.accuracy.top1 if deployed.accuracy else None,
        "top1_points": versus.top1_points,
        "top1_margin": paired.margin if paired else None,
        "p_value": paired.p_value if paired else None,
        "points_words": wording.points(versus.top1_points, paired),
        "size_bytes": deployed.size.size_bytes if deployed.size else None,
        "size_ratio": versus.size_ratio,
        "median_ms": fastest.median_ms if fastest else None,
        "runtime": fastest.runtime if fastest else None,
        "contended": fastest.contended if fastest else None,
        "started_s": state.started_s,
        "ended_s": state.ended_s,
    }

"""``list``: the runs of the store, newest first."""

import argparse

import msgspec

from pipeline.errors import PipelineError
from pipeline.runs import wording
from pipeline.runs.index import Index
from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from workbench import filters, locations
from workbench.cli import exit_codes, output
from workbench.cli.numbers import CONTENDED


def main(arguments: argparse.Namespace) -> int:
    """Print a table, or a JSON list; a run that cannot be read stands there with the reason.

    Raises:
        FilterError: the filter cannot be understood.
        OSError: the store cannot be read.
    """
    wanted = filters.parse(" ".join(arguments.filter))
    store = RunStore(locations.store_folder(arguments.store))
    index = Index(store)
    index.look()
    rows = [row for row in index.rows if wanted.matches(row)]
    if arguments.json:
        output.document([{**msgspec.to_builtins(row), "folder": str(store.run(row.id).folder)} for row in rows])
        return exit_codes.DONE
    if not rows:
        output.say(_nothing(store, wanted.text, len(index.rows)))
        return exit_codes.DONE
    _print(rows)
    for row in rows:
        reason = _unreadable(store, row)
        if reason:
            output.say(f"{row.id}: {reason}")
    return exit_codes.DONE


def _nothing(store: RunStore, text: str, count: int) -> str:
    if count:
        return f"none of {count} runs in {str(store.folder)!r} passes the filter {text!r}."
    return f"no runs in {str(store.folder)!r}. To launch one: pqd-workbench run smoke"


def _print(rows: list[Row]) -> None:
    right = ("top-1 %", "points", "MiB", "ms")
    table = output.table("run", "stages", "status", *right, right=right, whole=("stages", "status"))
    for row in rows:
        table.add_row(
            row.id,
            row.letters or wording.NOTHING,
            _status(row),
            wording.number(row.top1, ".2f"),
            _points(row),
            wording.mib(row.size_bytes, unit=False),
            wording.milliseconds(row.median_ms, unit=False) + ("!" if row.contended else ""),
        )
    output.console().print(table)
    output.say("top-1 of the deployed file; points against its baseline, ± of the 95 % interval;")
    output.say("MiB of the checkpoint; median ms of a call.")
    if any(row.contended for row in rows):
        output.say(CONTENDED)


def _status(row: Row) -> str:
    if row.problem:
        return "unreadable"
    is_running = row.status is Status.RUNNING
    return f"{row.status.value} {100 * row.progress:.0f} %" if is_running else row.status.value


def _points(row: Row) -> str:
    margin = "" if row.points_margin is None else f" ± {row.points_margin:.2f}"
    return f"{wording.number(row.points, '+.2f')}{margin}"


def _unreadable(store: RunStore, row: Row) -> str:
    """Say why a run, or its recipe alone, cannot be read; empty where it can."""
    if row.problem or row.letters != "?":
        return row.problem
    try:
        store.run(row.id).recipe()
    except PipelineError as error:
        return str(error)
    return ""

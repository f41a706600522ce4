"""``measure``: measure finished runs again, side by side."""

import argparse
import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pipeline import catalog, options
from pipeline.errors import PipelineError
from pipeline.report import Latency
from pipeline.runs import wording
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run, RunStore
from pipeline.sections import Measure
from workbench import locations
from workbench.cli import exit_codes, output
from workbench.cli.numbers import CONTENDED

if TYPE_CHECKING:
    from rich.table import Table


def main(arguments: argparse.Namespace) -> int:
    """Measure, say what goes on, and print the old numbers beside the new ones.

    Raises:
        PipelineError: there is no such run or runtime, or an option is out of bounds.
        Refusal: a run is not finished, no run is named, or the process that measures died.
    """
    wanted = _wanted(arguments)
    runs = _runs(arguments)
    before = [run.state() for run in runs]
    failed = _measure(runs, wanted)
    after = [run.state() for run in runs]
    if arguments.json:
        output.document([run.describe() for run in runs])
    else:
        output.console().print(table(runs, before, after))
        output.say("median ms of a call, before -> now; files of one line and one batch took turns in one process.")
        if any(one.contended for state in after for one in _latencies(state)):
            output.say(CONTENDED)
    return exit_codes.TROUBLE if failed else exit_codes.DONE


def _wanted(arguments: argparse.Namespace) -> str:
    """Check what the command line asks for, and write it for the process that measures."""
    given = {"runtimes": arguments.runtimes, "threads": arguments.threads, "batch_sizes": arguments.batch_sizes}
    given = {name: value for name, value in given.items() if value is not None}
    options.build(Measure, given, where="")
    for runtime in arguments.runtimes or ():
        catalog.check("runtimes", runtime)
    return msgspec.json.encode(given | {"report": arguments.report}).decode()


def _runs(arguments: argparse.Namespace) -> list[Run]:
    store = RunStore(locations.store_folder(arguments.store))
    if bool(arguments.runs) is arguments.all:
        raise exit_codes.Refusal("name the runs to measure, or give --all, not both.")
    if arguments.all:
        found = [run for run in store.runs() if _is_finished(run)]
        if not found:
            raise exit_codes.Refusal(f"no run in {str(store.folder)!r} is finished yet.", exit_codes.NOT_FOUND)
        return found
    named = {run.id: run for run in map(store.open, arguments.runs)}
    for run in named.values():
        status = run.state().status
        if status is not Status.FINISHED:
            raise exit_codes.Refusal(f"the run {run.id} is {status.value}; only a finished run can be measured again.")
    return list(named.values())


def _is_finished(run: Run) -> bool:
    try:
        return run.state().status is Status.FINISHED
    except PipelineError:
        return False


def _measure(runs: Sequence[Run], wanted: str) -> bool:
    """Measure in a process of its own, and pass on what it says; tells whether something could not be measured."""
    command = [sys.executable, "-m", "pipeline", "measure", *(str(run.folder) for run in runs), "--wanted", wanted]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                told = json.loads(line)
                output.remark(f"{'not measured: ' if told['failed'] else ''}{told['text']}")
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            process.wait()
            output.remark("interrupted: the runs are as they were.")
            raise
    if process.returncode not in (0, 1):
        raise exit_codes.Refusal(
            f"the process that measures ended with {process.returncode}; what it said stands above, and no run was "
            "changed.",
            exit_codes.TROUBLE,
        )
    return process.returncode == 1


def table(runs: Sequence[Run], before: Sequence[RunState], after: Sequence[RunState]) -> "Table":
    """Set the old medians beside the new ones, a line for each run and condition.

    Args:
        runs: those that were measured.
        before: the state of each before.
        after: the state of each now.
    """
    right = ("baseline", "deployed", "faster")
    made = output.table("run", "in", *right, "", right=right, whole=("in", ""))
    for run, old, new in zip(runs, before, after, strict=True):
        faster = new.deployed.versus(new.baseline).speedup
        for condition in {**new.deployed.latency, **new.baseline.latency}:
            pairs = [
                (was.latency.get(condition), now.latency.get(condition))
                for was, now in ((old.baseline, new.baseline), (old.deployed, new.deployed))
            ]
            noisy = any(now is not None and now.contended for _, now in pairs)
            cells = (_change(was, now) for was, now in pairs)
            made.add_row(run.id, condition, *cells, wording.ratio(faster.get(condition)), "!" if noisy else "")
    return made


def _change(was: Latency | None, now: Latency | None) -> str:
    if now is None:
        return wording.NOTHING
    new = wording.milliseconds(now.median_ms, unit=False)
    return new if was is None or was == now else f"{wording.milliseconds(was.median_ms, unit=False)} -> {new}"


def _latencies(state: RunState) -> list[Latency]:
    return [*state.baseline.latency.values(), *state.deployed.latency.values()]

"""``frontier``: finished runs beside each other, and which of them no other beats in everything."""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.errors import PipelineError
from pipeline.report import Latency, Report, pareto_front
from pipeline.runs import wording
from pipeline.runs.state import Status
from pipeline.runs.store import Run, RunStore
from workbench import locations
from workbench.cli import exit_codes, output
from workbench.cli.numbers import CONTENDED


class Entry(Struct, frozen=True, kw_only=True):
    """A measured run."""

    id: str
    name: str
    stages: str
    """Initials of the stages, in order."""
    status: str
    backbone: str
    dataset: str
    """The dataset with its options, as JSON where it has any."""
    top1: float
    """Percent of the test split."""
    size_bytes: int
    median_ms: float | None
    """In the fastest runtime; None when not measured."""
    contended: bool
    """Something else used the processor while the latency was measured."""
    top1_points: float | None
    """Against the run's own baseline."""
    size_ratio: float | None
    speedup: float | None
    conditions: str
    """How the latency was measured; numbers of different conditions do not compare."""
    on_front: bool = False
    """No other run of the group is at least as good in everything and better in something."""


def main(arguments: argparse.Namespace) -> int:
    """Print a table for each dataset, and a plot on a terminal.

    Raises:
        RunStoreError: the store cannot be read.
    """
    found = [entry(run) for run in RunStore(locations.store_folder(arguments.store)).runs()]
    measured = [one for one in found if one is not None and (arguments.all or one.status == Status.FINISHED)]
    grouped = groups(measured, by=arguments.x)
    if arguments.json:
        output.document([{"dataset": dataset, "runs": runs} for dataset, runs in grouped.items()])
        return exit_codes.DONE
    if not grouped:
        output.say("no finished run has been measured yet. To launch one: pqd-workbench run smoke")
    for dataset, runs in grouped.items():
        _print(dataset, runs)
        if sys.stdout.isatty():
            plot(runs, x=arguments.x)
    return exit_codes.DONE


def entry(run: Run) -> Entry | None:
    """Read a run; None when it cannot be read or was not measured."""
    try:
        recipe, state = run.recipe(), run.state()
    except PipelineError:
        return None
    deployed: Report = state.deployed
    if deployed.accuracy is None or deployed.size is None:
        return None
    fastest, versus = deployed.fastest, deployed.versus(state.baseline)
    dataset = recipe.document()["dataset"]
    return Entry(
        id=run.id,
        name=recipe.name,
        stages=recipe.letters or "none",
        status=state.status.value,
        backbone=recipe.backbone,
        dataset=dataset if isinstance(dataset, str) else msgspec.json.encode(dataset).decode(),
        top1=deployed.accuracy.top1,
        size_bytes=deployed.size.size_bytes,
        median_ms=fastest.median_ms if fastest else None,
        contended=fastest is not None and fastest.contended,
        top1_points=versus.top1_points,
        size_ratio=versus.size_ratio,
        speedup=versus.speedup.get(fastest.condition) if fastest else None,
        conditions=_conditions(fastest),
    )


def groups(entries: Sequence[Entry], *, by: str) -> dict[str, list[Entry]]:
    """Sort the runs into those that compare, smallest (or fastest) first, the Pareto front marked."""
    made: dict[str, list[Entry]] = {}
    for one in entries:
        made.setdefault(one.dataset, []).append(one)
    for key, runs in made.items():
        front = {one.id for one in pareto_front((one, _costs(one)) for one in runs)}
        marked = [msgspec.structs.replace(one, on_front=one.id in front) for one in runs]
        made[key] = sorted(marked, key=lambda one: one.size_bytes if by == "size" else _or_nan(one.median_ms))
    return dict(sorted(made.items()))


def plot(runs: Sequence[Entry], *, x: str) -> None:
    """Draw accuracy against size or latency, the front apart from the rest."""
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(None, 20)
    drawn = False
    for on_front, marker, label in ((True, "@", "front"), (False, "o", "beaten by another")):
        chosen = [one for one in runs if one.on_front is on_front and (x == "size" or one.median_ms is not None)]
        if chosen:
            xs = [one.size_bytes / wording.MIB if x == "size" else one.median_ms for one in chosen]
            plotext.scatter(xs, [one.top1 for one in chosen], marker=marker, label=label)
            drawn = True
    if drawn:
        plotext.xlabel("checkpoint, MiB" if x == "size" else "median latency, ms")
        plotext.ylabel("top-1, %")
        output.say(plotext.uncolorize(plotext.build()))


def _print(title: str, runs: Sequence[Entry]) -> None:
    right = ("top-1 %", "points", "MiB", "smaller", "ms", "faster")
    table = output.table(
        "", "run", "id", "backbone", "stages", *right, right=right, whole=("id", "stages"), title=output.clean(title)
    )
    for one in runs:
        table.add_row(
            "*" if one.on_front else "",
            output.clean(one.name if one.status == Status.FINISHED else f"{one.name} ({one.status})"),
            one.id[-4:],
            output.clean(one.backbone),
            one.stages,
            wording.number(one.top1, ".2f"),
            wording.number(one.top1_points, "+.2f"),
            wording.mib(one.size_bytes, unit=False),
            wording.ratio(one.size_ratio),
            wording.milliseconds(one.median_ms, unit=False) + ("!" if one.contended else ""),
            wording.ratio(one.speedup),
        )
    output.console().print(table)
    output.say("* no other run here is as good in accuracy, size and latency, and better in one.")
    if any(one.contended for one in runs):
        output.say(CONTENDED)
    conditions = sorted({one.conditions for one in runs if one.conditions})
    if len(conditions) == 1:
        output.say(f"latency: {conditions[0]}")
    elif conditions:
        output.say("latency was measured under different conditions, so compare it with care: " + "; ".join(conditions))
    output.say("")


def _conditions(latency: Latency | None) -> str:
    if latency is None:
        return ""
    threads = f"{latency.threads} thread{'s' * (latency.threads != 1)}"
    return f"{latency.runtime}, {threads}, batch {latency.batch_size}, {latency.machine.cpu}"


def _costs(one: Entry) -> tuple[float, ...]:
    return (-one.top1, float(one.size_bytes), _or_nan(one.median_ms))


def _or_nan(value: Any) -> float:
    return math.nan if value is None else float(value)

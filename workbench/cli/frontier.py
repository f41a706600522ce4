"""``frontier``: finished runs beside each other, and which of them no other beats."""

import argparse
import sys
from functools import partial
from pathlib import Path

import msgspec

from pipeline.runs import wording
from pipeline.runs.index import Index
from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from workbench import filters, locations, writing
from workbench.cli import exit_codes, output
from workbench.cli.numbers import CONTENDED
from workbench.widgets import figures, scatter
from workbench.widgets.scatter import Axis, Scene


class Entry(figures.Entry, frozen=True, kw_only=True):
    """A measured run in the JSON document."""

    status: str
    size_ratio: float | None
    """How many times smaller than the run's own baseline."""
    speedup: float | None
    """How many times faster than the run's own baseline."""


def main(arguments: argparse.Namespace) -> int:
    """Print a table for each data, and a plot on a terminal; or write figures.

    Raises:
        RunStoreError: the store cannot be read.
        ExportError: a figure cannot be written.
        Refusal: the filter cannot be understood.
    """
    index = Index(RunStore(locations.store_folder(arguments.store)))
    index.look()
    try:
        wanted = filters.parse(" ".join(arguments.filter))
    except filters.FilterError as error:
        raise exit_codes.Refusal(str(error)) from None
    scenes = groups(
        [row for row in index.rows if (arguments.all or row.is_finished) and wanted.matches(row)],
        *(scatter.axis(key) for key in (arguments.x, arguments.y, arguments.z)),
    )
    if arguments.out:
        _write(scenes, arguments.out)
    if arguments.json:
        output.document([{"dataset": data, "runs": entries(made)} for data, made in scenes.items()])
        return exit_codes.DONE
    if not scenes:
        output.say(
            f"none of the finished runs passes {wanted.text!r}."
            if wanted.text
            else "no finished run has been measured yet. To launch one: pqd-workbench run smoke"
        )
    for data, made in scenes.items():
        _print(data, made)
        if sys.stdout.isatty():
            _plot(made)
    return exit_codes.DONE


def groups(rows: list[Row], x: Axis, y: Axis, z: Axis) -> dict[str, Scene]:
    """Make a scene of the runs on each data; only they compare."""
    made = {
        data: scatter.scene([row for row in rows if row.data == data], x, y, z) for data in {row.data for row in rows}
    }
    return {data: made[data] for data in sorted(made) if made[data].points}


def entries(made: Scene) -> list[Entry]:
    """List the runs of a scene from left to right."""
    return [
        Entry(
            **msgspec.structs.asdict(entry), status=point.row.status.value, size_ratio=point.row.size_ratio,
            speedup=point.row.speedup,
        )
        for entry, point in zip(figures.entries(made), made.points, strict=True)
    ]  # fmt: skip


def _write(scenes: dict[str, Scene], names: list[str]) -> None:
    if len(scenes) > 1:
        data = ", ".join(repr(one) for one in scenes)
        raise exit_codes.Refusal(f"a figure is of runs on the same data, and these are on {data}; narrow them down.")
    # Without a point nothing is written, and the reason is said.
    made = next(iter(scenes.values()), scatter.scene([], *map(scatter.axis, ("size", "top1", "latency"))))
    for name in names:
        path = Path(name).expanduser()
        writing.write(path, figures.formats, partial(figures.make, made))
        output.remark(f"written: {path}")


def _plot(made: Scene) -> None:
    """Draw the runs over the axes, the front apart from the rest."""
    import plotext

    from workbench.widgets import raster

    axes = raster.frame(made, x_most=8, y_most=6)
    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plotsize(None, 20)
    rest = [point for point in made.points if point.row.id not in made.front]
    others = "beaten by another" if made.has_front else "run"
    # What is drawn later covers what is drawn earlier.
    for label, marker, points in (
        (others, "o", rest), ("baseline", "x", made.baselines), ("front", "@", made.front_points()),
    ):  # fmt: skip
        if points:
            xs = [made.x.place(point.x) for point in points]
            plotext.scatter(xs, [made.y.place(point.y) for point in points], marker=marker, label=label)
    plotext.xlim(*axes.x_limits)
    plotext.ylim(*axes.y_limits)
    plotext.xticks(*zip(*axes.x_ticks, strict=True))
    plotext.yticks(*zip(*axes.y_ticks, strict=True))
    plotext.xlabel(made.x.title)
    plotext.ylabel(made.y.title)
    output.say(plotext.uncolorize(plotext.build()))


def _print(title: str, made: Scene) -> None:
    more = [
        axis.column
        for axis in dict.fromkeys((made.y, made.x, made.z))
        if axis.key not in ("top1", "points", "size", "ratio", "latency", "speedup")
    ]
    right = ("top-1 %", "points", "MiB", "smaller", "ms", "faster", *(column.title for column in more))
    table = output.table(
        "", "run", "id", "backbone", "stages", *right, right=right, whole=("id", "stages"), title=output.clean(title)
    )
    for row in (point.row for point in made.points):
        table.add_row(
            "*" if row.id in made.front else "+" if row.id in made.deep_front else "",
            output.clean(row.name if row.status is Status.FINISHED else f"{row.name} ({row.status.value})"),
            row.id[-4:],
            output.clean(row.backbone),
            row.letters or "none",
            wording.number(row.top1, ".2f"),
            wording.number(row.points, "+.2f"),
            wording.mib(row.size_bytes, unit=False),
            wording.ratio(row.size_ratio),
            wording.milliseconds(row.median_ms, unit=False) + ("!" if row.contended else ""),
            wording.ratio(row.speedup),
            *(column.text(row) for column in more),
        )
    output.console().print(table)
    _explain(made)


def _explain(made: Scene) -> None:
    y, x, z = (axis.column.title for axis in (made.y, made.x, made.z))
    if made.has_front:
        output.say(f"* no other run here is as good in {y} and {x}, and better in one.")
        output.say(f"+ the same in these and {z} alone.")
    if made.left_out:
        output.say(f"{made.left_out} more without a number for an axis.")
    if any(point.row.contended for point in made.points):
        output.say(CONTENDED)
    conditions = scatter.conditions(made.points)
    if len(conditions) == 1:
        output.say(f"latency: {conditions[0]}")
    elif conditions:
        output.say("latency was measured under different conditions, so compare it with care: " + "; ".join(conditions))
    output.say("")

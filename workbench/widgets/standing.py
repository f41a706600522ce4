"""The pane of the frontier: a run's numbers beside its baseline's, where it stands, and what a step would cost."""

import math
from collections.abc import Sequence

from rich.text import Text

from pipeline.runs.rows import Row
from pipeline.runs.wording import SIGNIFICANT
from workbench.columns import Column, columns
from workbench.widgets import scatter, words
from workbench.widgets.scatter import Point, Scene

NOTHING = """No finished run with numbers yet.

Press 2 to compose one, 3 to watch what goes on."""
HIDDEN = """None of the finished runs has a place here.

Press / for another filter, f for other data, x y z for other axes."""
NUMBERS = ("top1", "size", "latency", "sparsity", "roof")
"""What always stands in the pane; the quantities of the axes come beside."""


def caption(made: Scene, rows: Sequence[Row], others: int, width: int) -> Text:
    """Name the axes with the keys that change them, arrows to the better side, and what is shown.

    Args:
        made: the scene.
        rows: the runs that it was made of.
        others: how many other groups of runs could be shown.
        width: cells of the line.
    """
    upright, aside = {"higher": " ↑", "lower": " ↓", "": ""}, {"higher": " →", "lower": " ←", "": ""}
    text = Text(no_wrap=True)
    for key, title in (
        ("y", made.y.title + upright[made.y.column.better]),
        ("x", made.x.title + aside[made.x.column.better]),
        ("z", made.z.column.title),
    ):
        text.append(f"{key} ", style="bold")
        text.append(f"{title}  ")
    if rows:
        backbones = {row.backbone for row in rows}
        what = rows[0].backbone if len(backbones) == 1 else f"{len(backbones)} backbones"
        more = f"; f: {others} more" if others > 0 else ""
        room = max(8, width - text.cell_len)
        count, where = f"{len(made.points)} of {len(rows)}", f" on {rows[0].dataset}{more}"
        shown = (f"{count} finished, {what}{where}", f"{count}, {what}{where}", f"{count}{where}")
        fitting = next((one for one in shown if len(one) <= room), shown[-1])
        text.append(words.cut(fitting, room).rjust(room))
    return text


def about(column: Column) -> str:
    """Say what a quantity is and which side of it is better."""
    side = f"{column.better} is better" if column.better else "no side is better, so there is no front"
    return f"{column.title}\n{column.help}\n{side}"


def name(made: Scene, row: Row) -> Text:
    """Say in one line which run it is, with the numbers of the axes."""
    axes = dict.fromkeys((made.y, made.x, made.z))
    found = ", ".join(f"{axis.column.text(row).strip()} {axis.column.title}" for axis in axes)
    return Text(f"{row.name}: {found}", no_wrap=True, overflow="ellipsis")


def head(row: Row, width: int, *, is_marked: bool, place: int, together: int) -> list[Text]:
    """Say which run it is, and how many stand where it stands.

    Args:
        row: the run.
        width: cells of a line.
        is_marked: a person marked it.
        place: which of those that share its cell it is, from 1.
        together: how many share it.
    """
    lines = [Text(words.cut(("* " if is_marked else "") + row.name, width), style="bold")]
    if together > 1:
        lines.append(Text(f"{place} of {together} here (tab: next)"))
    about = f"{row.backbone}, {words.letters(row) or 'baseline only'}, seed {row.seed}"
    return [*lines, Text(words.cut(about, width), style="dim")]


def numbers(made: Scene, row: Row) -> list[Text]:
    """Set the run beside its baseline, a line for each quantity."""
    base = scatter.baseline_of(row)
    keys = dict.fromkeys((*NUMBERS, *(axis.key for axis in (made.y, made.x, made.z) if axis.key not in _changes)))
    lines = [Text(f"{'':8}{'this':>8}{'base':>8}", style="dim")]
    for key in keys:
        axis = scatter.axis(key, is_log=False)
        mine, theirs = axis.value(row), axis.value(base)
        if math.isnan(mine):
            continue
        line = Text(f"{axis.column.title:8}{axis.column.text(row):>8}", no_wrap=True)
        line.append(f"{axis.column.text(base) if not math.isnan(theirs) else '':>8}", style="dim")
        if not math.isnan(theirs):
            line.append(f" {significance(row) if key == 'top1' else axis.change(theirs, mine)}")
        lines.append(line)
    return lines


_changes = ("points", "ratio", "speedup", "seed")
"""Quantities that the third column says already, or that have no better side."""


def significance(row: Row) -> str:
    """Write the points above the run's baseline with half of their interval; ``ns`` where they may be chance."""
    if row.points is None:
        return ""
    text = f"{row.points:+.1f}"
    if row.points_margin is not None:
        text += f" ±{row.points_margin:.1f}"
    if row.p_value is None:
        return f"{text} pt"
    return f"{text}{' ns' if row.p_value >= SIGNIFICANT else ' pt'}"


def conditions(row: Row) -> list[Text]:
    """Say how accuracy and latency were measured, and what makes them doubtful."""
    lines = []
    if row.top1_low is not None and row.top1_high is not None:
        lines.append(Text(f"top1 95 %  {row.top1_low:.1f} to {row.top1_high:.1f}", style="dim"))
    if row.p90_ms is not None:
        lines.append(Text(f"p90 {words.milliseconds(row.p90_ms)} ms, {row.condition}", style="dim", no_wrap=True))
    if row.contended:
        lines.append(Text("! contended: measure it again"))
    return lines


def place(made: Scene, point: Point, width: int) -> list[Text]:
    """Say whether the run is on the front, who beats it, and what the next steps along the front cost."""
    lines: list[Text] = []
    if made.has_front:
        here, deep = point.row.id in made.front, point.row.id in made.deep_front
        lines.append(Text(f"on the front: {'yes' if here else 'no'}", style="bold" if here else ""))
        beating = scatter.beaten_by(made, point)
        if beating:
            more = f" (+{len(beating) - 1})" if len(beating) > 1 else ""
            lines.append(Text(f"beaten by {words.cut(beating[0].row.name, width - 10 - len(more))}{more}"))
        if not here and deep:
            lines.append(Text(f"but not in {made.z.column.title}: of all three, yes", style="dim"))
        # The arrows are the keys that take the step.
        trades = ((arrow, scatter.trade(made, point, by)) for arrow, by in (("↓", -1), ("↑", 1)))
        lines += [Text(words.cut(f"next {arrow} {trade}", width)) for arrow, trade in trades if trade]
    return lines


def doubts(made: Scene) -> str:
    """Say what makes the latencies of the picture hard to compare; empty where nothing does, or none is shown."""
    if "latency" not in (made.x.key, made.y.key, made.z.key):
        return ""
    found = scatter.conditions(made.points)
    if len(found) > 1:
        return f"! latencies under {len(found)} conditions do not compare: {'; '.join(found)}"
    noisy = sum(bool(point.row.contended) for point in made.points)
    what = f"! {noisy} latenc{'ies' if noisy > 1 else 'y'} contended"
    return f"{what}; to time all together: pqd-workbench measure --all" if noisy else ""


def front(made: Scene, selected: str | None, width: int, most: int) -> list[Text]:
    """List the runs of the front from left to right, those around the selected one where not all fit.

    Args:
        made: the scene.
        selected: id of the selected run.
        width: cells of a line.
        most: lines that there are, the header included.
    """
    points = made.front_points()
    axes = list(dict.fromkeys((made.y, made.x, made.z)))
    wide = max(8, width - 2 - 8 * len(axes))
    title = f"the front, {len(points)} run{'s' * (len(points) != 1)}"
    lines = [Text(f"{title:{wide + 2}}" + "".join(f"{axis.column.title:>8}" for axis in axes), style="dim")]
    room = max(1, most - 2)
    here = next((number for number, point in enumerate(points) if point.row.id == selected), 0)
    start = max(0, min(here - room // 2, len(points) - room))
    for point in points[start : start + room]:
        is_here = point.row.id == selected
        cells = "".join(f"{columns[axis.key].text(point.row):>8}" for axis in axes)
        line = f"{'> ' if is_here else '  '}{words.cut(point.row.name, wide - 1):{wide}}{cells}"
        lines.append(Text(line, style="bold" if is_here else "", no_wrap=True))
    if len(points) > room:
        lines.append(Text(f"  {len(points) - room} more", style="dim"))
    return lines

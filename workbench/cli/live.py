"""A run at work on a terminal: one bar for each entry of the plan, drawn again only when something changed."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pipeline.events import AnyEvent
from pipeline.runs import wording
from pipeline.runs.state import RunState, StageState
from workbench.cli import output

REDRAW_S = 1.0
"""Seconds after which the time that is left is written anew although nothing happened."""


class LiveView:
    """Bars that stand in place and go away when the run is over."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._changed = True
        self._drawn_s = 0.0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def take(self, event: AnyEvent, state: RunState) -> None:
        """Remember that there is something to draw."""
        self._changed = True

    def tick(self, state: RunState) -> None:
        """Draw, if there is something to."""
        now_s = time.time()
        if self._changed or now_s - self._drawn_s >= REDRAW_S:
            self._live.update(render(state, now_s), refresh=True)
            self._changed, self._drawn_s = False, now_s


def render(state: RunState, now_s: float) -> Group:
    """Draw the plan, one row an entry, above a line that says what is going on.

    Args:
        state: where the run is.
        now_s: seconds since 1970; times that are left count from here.
    """
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("stage", no_wrap=True)
    table.add_column("")
    for header in ("epochs", "top-1", "loss", "images/s", "left"):
        table.add_column(header, justify="right", no_wrap=True)
    for index, stage in enumerate(state.stages):
        left = state.stage_eta_s(now_s) if index == state.index else None
        table.add_row(Text(wording.stage_name(state, index)), _bar(stage), *_cells(stage), wording.duration(left))
    if state.download is not None:
        table.add_row(Text("download"), ProgressBar(total=1.0, completed=state.download, width=18))
    return Group(table, Text(output.clean(_activity(state, now_s)), style="bold", overflow="ellipsis", no_wrap=True))


def _bar(stage: StageState) -> ProgressBar | Text:
    if stage.reused:
        return Text("reused", style="green")
    return ProgressBar(total=1.0, completed=stage.progress, width=18)


def _cells(stage: StageState) -> tuple[str, str, str, str]:
    loss, speed = stage.metrics.get("loss"), stage.metrics.get("images_per_s")
    done = stage.epochs if stage.is_over else stage.epoch
    return (
        f"{done}/{stage.epochs}",
        wording.percent(stage.top1),
        wording.NOTHING if loss is None else f"{loss:.4f}",
        wording.NOTHING if speed is None or stage.is_over else f"{speed:,.0f}",
    )


def _activity(state: RunState, now_s: float) -> str:
    going_on = state.activity
    if not going_on and state.index is not None:
        going_on = f"training {wording.stage_name(state, state.index)} on {state.device}"
    parts = [wording.status(state), wording.stopping(state.stopping), going_on]
    if state.started_s is not None:
        parts.append(f"for {wording.duration((state.ended_s or now_s) - state.started_s)}")
    left = state.eta_s(now_s)
    if left is not None:
        parts.append(f"{wording.duration(left)} of training left")
    return ", ".join(part for part in parts if part)

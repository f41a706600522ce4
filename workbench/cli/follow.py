"""Follow a run's event log until the run is over: bars on a terminal, lines elsewhere."""

import argparse
import sys
import time
from types import TracebackType
from typing import IO, Protocol, Self

from pipeline import events as e
from pipeline.runs.state import RunState
from pipeline.runs.store import Run
from workbench.cli import exit_codes, output, reporting, wording

POLL_S = 0.2
"""Seconds between two looks at the log."""


class View(Protocol):
    """Shows what happens; entered before the first event and left after the last."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def take(self, event: e.AnyEvent, state: RunState) -> None:
        """Something happened; the state is the one after it."""

    def tick(self, state: RunState) -> None:
        """Time passed; called after each look at the log."""


def follow(run: Run, view: View) -> RunState:
    """Show a run from its beginning until it is over; gives its last state.

    Raises:
        CorruptRun: a line of the log is not an event.
    """
    state, offset = RunState(), 0
    with view:
        while True:
            # Asked before the log is read: a process that ends in between has then written its last event.
            alive = run.is_alive()
            events, offset = run.events(offset)
            for event in events:
                state = state.after(event)
                view.take(event, state)
            view.tick(state)
            if state.status.is_over or not alive:
                return run.settle(state, alive=alive)
            time.sleep(POLL_S)


def to_the_end(run: Run, arguments: argparse.Namespace) -> int:
    """Follow a run, print what it came to, and give the exit code that its ending deserves.

    Raises:
        PipelineError: a file of the run cannot be read.
    """
    stream = sys.stderr if arguments.json else sys.stdout
    try:
        state = follow(run, _view(stream))
    except KeyboardInterrupt:
        watch, stop = (reporting.command(arguments.store, verb, run.id) for verb in ("watch", "stop"))
        output.remark(f"detached: the run {run.id} goes on. To follow it again: {watch}\nTo end it: {stop}")
        return exit_codes.DETACHED
    if arguments.json:
        output.document(run.describe())
    else:
        reporting.report(run, state, store=arguments.store)
    misfortune = reporting.misfortune(run, state)
    if misfortune is not None:
        output.remark(f"pqd-workbench: {misfortune}")
    return exit_codes.BY_STATUS[state.status]


def _view(stream: IO[str]) -> View:
    if not stream.isatty():
        return PlainView(stream)
    from workbench.cli.live import LiveView

    return LiveView(output.console(stderr=stream is sys.stderr))


class PlainView:
    """One line for each epoch, stage and activity, for logs and pipes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._activity = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def take(self, event: e.AnyEvent, state: RunState) -> None:
        """Print what the event says, if it is worth a line."""
        line = describe(event, state)
        if line:
            print(output.clean(line), file=self._stream, flush=True)

    def tick(self, state: RunState) -> None:
        """Print nothing: only facts make lines."""


def describe(event: e.AnyEvent, state: RunState) -> str:
    """Put an event into one line; empty for one that a log need not repeat."""
    match event:
        case e.RunStarted():
            return f"started on {event.host}, training on {event.device}: {len(event.plan)} entries in the plan"
        case e.Waited():
            return f"waiting: {event.reason}"
        case e.Downloaded():
            return f"downloading: {wording.mib(event.done)}" + (
                f" of {wording.mib(event.total)}" if event.total else ""
            )
        case e.StageStarted():
            stage = state.stages[event.index]
            return f"{wording.stage_name(state, event.index)}: begins, {stage.epochs} epochs, {event.steps:,} steps"
        case e.StageReused():
            name = wording.stage_name(state, event.index)
            return f"{name}: reused, {_metrics(event.metrics)} (cost {wording.duration(event.seconds)} then)"
        case e.EpochFinished() if state.stages[event.index].status == "running":
            name, epochs = wording.stage_name(state, event.index), state.stages[event.index].epochs
            left = state.eta_s(event.time_s)
            rest = "" if left is None else f", {wording.duration(left)} left"
            return f"{name}: epoch {event.epoch}/{epochs}, {_metrics(event.metrics)}{rest}"
        case e.StageFinished():
            name = wording.stage_name(state, event.index)
            return f"{name}: finished in {wording.duration(event.seconds)}, {_metrics(event.metrics)}"
        case e.Noted():
            return f"note: {event.text}"
        case e.ModelLowered():
            return f"lowered: {event.subject}, {sum(event.operators.values())} operators"
        case e.Measuring():
            return f"measuring {event.what}"
        case e.AccuracyMeasured():
            return f"top-1 of {event.subject}: {wording.accuracy(event.accuracy)}"
        case e.SizeMeasured():
            return f"checkpoint of {event.subject}: {wording.size(event.size)}"
        case e.LatencyMeasured():
            return f"latency of {event.subject} in {event.latency.runtime}: {wording.latency(event.latency)}"
        case e.RunFinished() | e.RunFailed() | e.RunStopped():
            return state.status.value
        case _:
            return ""


def _metrics(metrics: dict[str, float | None]) -> str:
    speed = metrics.get("images_per_s")
    sparsity = metrics.get("sparsity")
    # While training the loss of the training images, at the end of a stage that of the validation images.
    losses = (("loss", metrics.get("train_loss")), ("validation loss", metrics.get("validation_loss")))
    parts = [
        *[f"{name} {loss:.4g}" for name, loss in losses if loss is not None][:1],
        f"top-1 {wording.percent(metrics.get('top1'))}",
        "" if not sparsity else f"{100 * sparsity:.1f} % zeros",
        "" if speed is None else f"{speed:,.0f} images/s",
    ]
    return ", ".join(part for part in parts if part)

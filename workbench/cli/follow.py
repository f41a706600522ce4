"""Follow a run's event log until the run is over: bars on a terminal, lines elsewhere."""

import argparse
import sys
import time
from types import TracebackType
from typing import IO, Protocol, Self

from pipeline import events as e
from pipeline.runs import wording
from pipeline.runs.state import RunState
from pipeline.runs.store import Run
from workbench.cli import exit_codes, output, reporting

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
        reporting.ending(run, state, store=arguments.store)
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
        line = wording.describe(event, state)
        if line:
            print(output.clean(line), file=self._stream, flush=True)

    def tick(self, state: RunState) -> None:
        """Print nothing: only facts make lines."""

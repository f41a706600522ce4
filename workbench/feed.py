"""The one reader of the store: a thread that polls event logs by byte offset and posts frozen pictures.

A run that is over is read again only when its log grew: it was measured once more. Only the followed run is read for
its curves and its printed log.
"""

import math
import re
import threading
import time
from collections.abc import Callable, Sequence

from textual.message import Message

from pipeline.errors import PipelineError
from pipeline.runs.state import History, RunState, Status
from pipeline.runs.store import Run, RunStore
from workbench.messages import Curves, FeedFailed, Points, RunChanged, RunsChanged, RunView
from workbench.settings import Settings

MOST_POINTS = 300
"""Points of a curve that are kept: two for each column of a wide terminal's chart."""
LOG_BYTES = 65536
"""How much of the end of a log is read when a run is first followed."""
control = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Feed:
    """Reads the store in a thread of its own; what it finds is posted, never drawn here."""

    def __init__(self, store: RunStore, post: Callable[[Message], object], settings: Settings) -> None:
        self._store = store
        self._post = post
        self._settings = settings
        self._watched: dict[str, _Watched] = {}
        self._shown: tuple[RunView, ...] | None = None
        self._failure = ""
        self._wanted: str | None = None
        self._followed: _Followed | None = None
        self._is_new = False
        self._wake = threading.Event()
        self._closed = False

    def follow(self, run_id: str | None) -> None:
        """Read the curves and the log of this run from its start and as it goes on; None to read no run's."""
        self._wanted, self._is_new = run_id, True
        self._wake.set()

    def look(self) -> None:
        """Poll at once instead of at the next beat."""
        self._wake.set()

    def close(self) -> None:
        """End the thread at its next step."""
        self._closed = True
        self._wake.set()

    def work(self) -> None:
        """Poll until closed; the body of the thread."""
        while not self._closed:
            self.poll()
            self._wake.wait(self._settings.poll_s)
            self._wake.clear()

    def poll(self) -> None:
        """Look once and post what changed."""
        try:
            self._poll_runs()
            self._poll_followed()
        except Exception as error:
            # The thread must outlive whatever lies in the store: say it once and look again.
            reason = f"The store {str(self._store.folder)!r} cannot be read: {_sentence(error)}"
            if reason != self._failure:
                self._failure = reason
                self._post(FeedFailed(reason))

    def _poll_runs(self) -> None:
        runs = self._store.runs()
        self._watched = {run.id: self._watched.get(run.id) or _Watched(run) for run in runs}
        views = tuple(watched.look() for watched in self._watched.values())
        if self._shown is None or [id(view) for view in views] != [id(view) for view in self._shown]:
            self._shown = views
            self._post(RunsChanged(views))

    def _poll_followed(self) -> None:
        if self._is_new:
            self._followed, self._is_new = None, False
        wanted = self._wanted
        if wanted is None:
            return
        if self._followed is None:
            watched = self._watched.get(wanted)
            self._followed = _Followed(watched.run) if watched else None
        if self._followed is not None:
            message = self._followed.look(self._settings.redraw_s)
            if message is not None:
                self._post(message)


class _Watched:
    """One run of the list: how far its log has been read, and its picture."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.view = RunView(run=run, name=run.id)
        self._state = RunState()
        self._offset = 0
        self._settled: int | None = None
        """Size of the log when the run was found to be over, or unreadable."""
        self._named = False

    def look(self) -> RunView:
        """Read on; gives the same object when nothing changed."""
        # Asked before the log is read: what is added in between is read at the next look.
        size = self._log_size()
        if self._settled == size:
            return self.view
        try:
            view = self._read()
            is_settled = view.state.status.is_over and view.state.status is not Status.LOST
        except Exception as error:
            # A folder may hold anything; a run that cannot be read is shown as such beside the others.
            is_settled = True
            view = RunView(run=self.run, name=self.view.name, recipe=self.view.recipe, problem=_sentence(error))
        self._settled = size if is_settled else None
        if view != self.view:
            self.view = view
        return self.view

    def _log_size(self) -> int:
        try:
            return self.run.events_path.stat().st_size
        except OSError:
            return 0

    def _read(self) -> RunView:
        name, recipe = self.view.name, self.view.recipe
        if not self._named:
            self._named = True
            try:
                recipe = self.run.recipe()
                name = recipe.name
            except PipelineError:
                recipe = None
        return RunView(run=self.run, name=name, recipe=recipe, state=self._read_state())

    def _read_state(self) -> RunState:
        if self.run.summary_path.exists():
            return self.run.state()
        # Asked before the log is read: a run that ends in between has then written its last event.
        alive = self.run.is_alive()
        events, self._offset = self.run.events(self._offset)
        for event in events:
            self._state = self._state.after(event)
        return self.run.settle(self._state, alive=alive)


class _Followed:
    """The run whose curves and log are on the screen."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._history = History()
        self._offset = 0
        self._log_offset: int | None = None
        self._cut = b""
        self._dirty = True
        self._broken = False
        self._drawn_s = -math.inf

    def look(self, redraw_s: float) -> RunChanged | None:
        """Read on; gives a message when there is something to show and the last one is old enough."""
        if not self._broken:
            try:
                events, self._offset = self.run.events(self._offset)
                for event in events:
                    self._dirty |= self._history.add(event)
            except Exception:
                # The list already says what is wrong with this log; the curves up to there remain.
                self._broken = True
        now = time.monotonic()
        if now - self._drawn_s < redraw_s:
            return None
        lines = self._read_log()
        curves = thin(self._history) if self._dirty else None
        if curves is None and not lines:
            return None
        self._dirty, self._drawn_s = False, now
        return RunChanged(self.run.id, curves, lines)

    def _read_log(self) -> tuple[str, ...]:
        try:
            size = self.run.log_path.stat().st_size
            if self._log_offset is None:
                self._log_offset = max(0, size - LOG_BYTES)
            if size == self._log_offset:
                return ()
            with self.run.log_path.open("rb") as log:
                log.seek(self._log_offset)
                content = self._cut + log.read(LOG_BYTES)
                self._log_offset = log.tell()
        except OSError:
            return ()
        *lines, self._cut = content.split(b"\n")
        return tuple(_printable(line) for line in lines)


def thin(history: History) -> Curves:
    """Copy the curves of a history, thinned, so that another thread may keep them."""
    series = {name: thinned(xs, ys) for name, (xs, ys) in history.series.items()}
    return Curves(series=series, borders=tuple(history.borders))


def thinned(xs: Sequence[float], ys: Sequence[float]) -> Points:
    """Keep the lowest and the highest point of each of equally long pieces, so that no spike is lost."""
    if len(xs) <= MOST_POINTS:
        return tuple(xs), tuple(ys)
    pieces = MOST_POINTS // 2
    kept: list[int] = []
    for piece in range(pieces):
        places = range(piece * len(xs) // pieces, (piece + 1) * len(xs) // pieces)
        low = min(places, key=lambda place: _or(ys[place], math.inf))
        high = max(places, key=lambda place: _or(ys[place], -math.inf))
        kept += sorted({low, high})
    kept[-1] = len(xs) - 1
    return tuple(xs[place] for place in kept), tuple(ys[place] for place in kept)


def _or(value: float, instead: float) -> float:
    return value if math.isfinite(value) else instead


def _printable(line: bytes) -> str:
    # A progress bar overwrites its line by carriage returns; only what stood there last is kept.
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", errors="replace")
    return control.sub("", text).replace("\t", "    ")


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}."

"""The one reader of the store: a thread that reads rows through the index and posts frozen pictures.

The details of a run (its recipe, its stages, its curves, what it printed) are read for the runs of interest alone.
"""

import math
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from textual.message import Message

from pipeline.errors import PipelineError
from pipeline.runs.rows import Row
from pipeline.runs.state import History, RunState
from pipeline.runs.store import Run, RunStore
from workbench.messages import Curves, Detail, DetailsChanged, FeedFailed, Interest, LogGrew, RowsChanged
from workbench.pace import Pace
from workbench.settings import Settings
from workbench.tail import Tail

if TYPE_CHECKING:
    from pipeline.events import AnyEvent
    from pipeline.recipe import Recipe
    from pipeline.runs.index import Index

MOST_POINTS = 2000
"""Points of a curve that are kept: enough to look closely at a tenth of it. Twice as many before it is thinned."""
LOOK_S = 0.1
"""How long reading runs for the first time may hold up what is already known."""


class Feed:
    """Reads the store in a thread of its own; what it finds is posted, never drawn here."""

    def __init__(self, store: RunStore, post: Callable[[Message], object], settings: Settings) -> None:
        self._store = store
        self._post = post
        self._settings = settings
        self._index: Index | None = None
        self._shown: tuple[tuple[Row, ...], bool] | None = None
        self._failure = ""
        self._interest = Interest()
        self._followed: dict[str, _Followed] = {}
        self._log: Tail | None = None
        self._pace = Pace(settings.redraw_s)
        self._wake = threading.Event()
        self._closed = False

    def follow(self, interest: Interest) -> None:
        """Read the details of these runs, and of no others, from now on."""
        self._interest = interest
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
            if self._index is not None and not self._index.is_complete:
                continue
            self._wake.wait(self._settings.poll_s)
            self._wake.clear()

    def poll(self) -> None:
        """Look once and post what changed."""
        try:
            self._poll_rows()
            self._poll_interest()
            self._failure = ""
        except Exception as error:
            # The thread must outlive whatever lies in the store: say it once and look again.
            reason = f"The store {str(self._store.folder)!r} cannot be read: {_sentence(error)}"
            if reason != self._failure:
                self._failure = reason
                self._post(FeedFailed(reason))

    def _poll_rows(self) -> None:
        if self._index is None:
            from pipeline.runs.index import Index

            # What the index kept is shown before any folder is looked at.
            self._index = Index(self._store, is_written=not self._settings.read_only)
            if self._index.rows:
                self._tell(self._index.rows, is_complete=False)
        self._index.look(budget_s=LOOK_S)
        self._tell(self._index.rows, is_complete=self._index.is_complete)

    def _tell(self, rows: tuple[Row, ...], *, is_complete: bool) -> None:
        if self._shown is None or self._shown[0] is not rows or self._shown[1] != is_complete:
            self._shown = rows, is_complete
            self._post(RowsChanged(rows, is_complete=is_complete))

    def _poll_interest(self) -> None:
        """Tell of the runs of interest: of new ones at once, of all others at the same moment, as one drawing."""
        interest, is_due = self._interest, self._pace.is_due
        self._followed = {
            run_id: self._followed.get(run_id) or _Followed(self._store.run(run_id)) for run_id in interest.ids
        }
        looks = [each.look(has_curves=interest.has_curves, is_due=is_due) for each in self._followed.values()]
        details = tuple(detail for detail in looks if detail is not None)
        log = self._look_at_log(interest.log, is_due=is_due)
        if details:
            self._post(DetailsChanged(details))
        if log is not None:
            self._post(log)
        if details or log is not None:
            self._pace.drew()

    def _look_at_log(self, run_id: str | None, *, is_due: bool) -> LogGrew | None:
        if run_id is None:
            self._log = None
            return None
        if self._log is None or self._log.run.id != run_id:
            self._log = Tail(self._store.run(run_id), self._settings.log_lines)
        elif not is_due:
            # Each time moves every line in sight.
            return None
        lines, earlier = self._log.look()
        return LogGrew(run_id, lines, earlier) if lines else None


class _Followed:
    """A run of interest."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._recipe: Recipe | None = None
        self._is_named = False
        self._state = RunState()
        self._history = History()
        self._bad: dict[str, int] = {}
        self._offset = 0
        self._told: Detail | None = None
        self._curves: Curves | None = None
        self._settled: int | None = None
        """Size of the log of a run that is over."""

    def look(self, *, has_curves: bool, is_due: bool) -> Detail | None:
        """Read on; gives a picture when there is something new and a drawing is due."""
        lacks_curves = has_curves and self._curves is None
        if self._told is not None and not is_due and not lacks_curves:
            return None
        size = _size(self.run)
        if self._settled == size and not lacks_curves:
            return None
        problem = ""
        try:
            state = self._read(has_curves=has_curves)
            self._settled = size if state.status.is_over else None
        except Exception as error:
            # A folder may hold anything; what was read up to there remains.
            problem, state, self._settled = _sentence(error), self._state, size
            self._curves = self._curves or Curves()
        detail = Detail(run=self.run, recipe=self._recipe, state=state, curves=self._curves, problem=problem)
        if detail == self._told:
            return None
        self._told = detail
        return detail

    def _read(self, *, has_curves: bool) -> RunState:
        if not self._is_named:
            self._is_named = True
            try:
                self._recipe = self.run.recipe()
            except PipelineError:
                self._recipe = None
        if not has_curves and self._offset == 0 and self.run.summary_path.exists():
            return self.run.state()
        # Asked before the log is read: a run that ends in between has then written its last event.
        alive = self.run.is_alive()
        events, self._offset = self.run.events(self._offset)
        is_new = self._curves is None
        for event in events:
            self._state = self._state.after(event)
            is_new |= self._history.add(event)
            self._count_bad(event)
        if not has_curves:
            self._curves = None
        elif is_new:
            self._curves = msgspec.structs.replace(thin(self._history, self._curves), bad=dict(self._bad))
        return self.run.settle(self._state, alive=alive)

    def _count_bad(self, event: "AnyEvent") -> None:
        if metrics := getattr(event, "metrics", None):
            for name, value in metrics.items():
                if value is None or not math.isfinite(value):
                    self._bad[name] = self._bad.get(name, 0) + 1


def _size(run: Run) -> int:
    try:
        return run.events_path.stat().st_size
    except OSError:
        return 0


def thin(history: History, before: Curves | None = None) -> Curves:
    """Copy the curves of a history, so that another thread may keep them; what has grown long is thinned first.

    Args:
        history: what a run recorded, which only ever grows.
        before: the last copy; curves that have not grown stay the same objects.
    """
    known = before.series if before is not None else {}
    for name, (xs, ys) in history.series.items():
        if len(xs) > 2 * MOST_POINTS:
            history.series[name] = thinned(xs, ys)
    if len(history.clock[0]) > 2 * MOST_POINTS:
        history.clock = thinned(*history.clock)
    return Curves(
        series={
            name: known[name] if name in known and len(known[name][0]) == len(xs) else (tuple(xs), tuple(ys))
            for name, (xs, ys) in history.series.items()
        },
        borders=tuple(history.borders),
        clock=(tuple(history.clock[0]), tuple(history.clock[1])),
    )


def thinned(xs: Sequence[float], ys: Sequence[float], most: int = MOST_POINTS) -> tuple[list[float], list[float]]:
    """Keep the lowest and the highest point of each of equally long pieces, so that no spike is lost.

    A piece in which nothing is finite keeps its gap.
    """
    if len(xs) <= most:
        return list(xs), list(ys)
    pieces = max(1, most // 2)
    kept: list[int] = []
    for piece in range(pieces):
        places = range(piece * len(xs) // pieces, (piece + 1) * len(xs) // pieces)
        low = min(places, key=lambda place: _or(ys[place], math.inf))
        high = max(places, key=lambda place: _or(ys[place], -math.inf))
        kept += sorted({low, high})
    kept[-1] = len(xs) - 1
    return [xs[place] for place in kept], [ys[place] for place in kept]


def _or(value: float, instead: float) -> float:
    return value if math.isfinite(value) else instead


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}."

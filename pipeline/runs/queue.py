"""Runs that wait for their turn: so many of a store go on at once, the others in an order that a person may change.

STORE/queue.json    {"limit": 1}: runs that may go on at once before one that waits begins
STORE/queue.lock    held while somebody looks whose turn it is, or changes the order
STORE/runs/ID/queue the run's place: it stands there as long as the run waits

Nobody manages the queue. The process of a waiting run holds its ``run.lock`` like any other and looks by itself
whether its turn has come; a killed one is out of the queue at that moment. A run that was not queued begins at once,
and counts.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pipeline import decoding, files
from pipeline.errors import CorruptRun, RunStoreError
from pipeline.lock import POLL_S, exclusive, nothing
from pipeline.runs.store import Run, RunStore

LARGEST_LIMIT = 1024


class _Settings(Struct, forbid_unknown_fields=True):
    limit: Annotated[int, Meta(ge=1, le=LARGEST_LIMIT)] = 1


_settings = msgspec.json.Decoder(_Settings)


def limit(store: RunStore) -> int:
    """Tell how many runs may go on at once before one that waits begins.

    Raises:
        CorruptRun: STORE/queue.json cannot be read.
    """
    path = store.folder / "queue.json"
    try:
        return decoding.json(path.read_bytes(), _settings).limit
    except FileNotFoundError:
        return _Settings().limit
    except msgspec.DecodeError as error:
        raise CorruptRun(f"{str(path)!r} cannot be read: {error}; set the limit again to replace it.") from None


def set_limit(store: RunStore, wanted: int) -> None:
    """Let so many runs go on at once.

    Raises:
        RunStoreError: the number is not from 1 to 1024, or the store cannot be written.
    """
    if not 1 <= wanted <= LARGEST_LIMIT:
        raise RunStoreError(f"the limit of the queue is {wanted}; it must be a whole number from 1 to {LARGEST_LIMIT}.")
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        files.write_bytes(store.folder / "queue.json", msgspec.json.encode(_Settings(limit=wanted)))
    except OSError as error:
        raise RunStoreError(f"the store {str(store.folder)!r} cannot be written: {error.strerror}.") from error


def place(run: Run) -> int | None:
    """Give the number that a queued run is ordered by; None when it is not queued. Whether it is alive is not asked."""
    try:
        return int(_path(run).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return 0


def waiting(store: RunStore) -> list[Run]:
    """List the runs that wait, the next one first."""
    found = [run for run in store.runs() if _path(run).exists() and run.is_alive()]
    return sorted(found, key=lambda run: (place(run) or 0, run.id))


def enter(run: Run) -> None:
    """Put a run at the end of the queue, before its process starts.

    Raises:
        RunStoreError: the store cannot be written.
    """
    store = RunStore(run.store)
    with _held(store):
        _put(run, max((place(other) or 0 for other in waiting(store)), default=0) + 1)


def move(run: Run, by: int) -> None:
    """Let a waiting run change places with others.

    Args:
        run: one that waits.
        by: places towards the end; negative: towards the front. It stays within the queue.

    Raises:
        RunStoreError: the run does not wait, or the store cannot be written.
    """
    store = RunStore(run.store)
    with _held(store):
        ids = [other.id for other in waiting(store)]
        _refuse_unless(run.id in ids, run)
        before = ids.index(run.id)
        ids.insert(max(0, min(len(ids) - 1, before + by)), ids.pop(before))
        for number, run_id in enumerate(ids, start=1):
            _put(store.run(run_id), number)


def start_now(run: Run) -> None:
    """Let a waiting run begin, whatever goes on.

    Raises:
        RunStoreError: the run does not wait, or the store cannot be written.
    """
    with _held(RunStore(run.store)):
        _refuse_unless(place(run) is not None and run.is_alive(), run)
        _leave(run)


def await_turn(run: Run, *, say: Callable[[str], None], interrupt: Callable[[], None] = nothing) -> None:
    """Wait in the process of a run until its turn has come; returns at once for a run that is not queued.

    Args:
        run: this process holds its lock.
        say: told how many runs come before it, again when that changes.
        interrupt: called a few times a second while waiting; what it raises ends the wait.

    Raises:
        RunStoreError: the store cannot be written.
    """
    going, told = _Going(run), 0
    while place(run) is not None:
        with _held(going.store):
            before = going.before()
            if not before:
                _leave(run)
                return
        if before != told:
            told = before
            say(f"waits for {before} run{'s' * (before != 1)} before it")
        interrupt()
        time.sleep(POLL_S)


class _Going:
    """What else goes on in the store of a waiting run."""

    def __init__(self, run: Run) -> None:
        self.store = RunStore(run.store)
        self._run = run
        self._over: set[str] = set()
        """A run that is not alive never is again, so each is asked once."""

    def before(self) -> int:
        """Count the runs that must end before this one begins; 0 when its turn has come."""
        others = [run for run in self.store.runs() if run.id not in self._over and run.id != self._run.id]
        alive = [run for run in others if run.is_alive()]
        self._over |= {run.id for run in others} - {run.id for run in alive}
        mine = (place(self._run) or 0, self._run.id)
        places = [(place(run), run.id) for run in alive]
        at_work = sum(number is None for number, _ in places)
        earlier = sum(number is not None and (number, run_id) < mine for number, run_id in places)
        allowed = limit(self.store)
        return 0 if at_work < allowed and not earlier else max(1, at_work + earlier + 1 - allowed)


def _held(store: RunStore) -> contextlib.AbstractContextManager[int]:
    return exclusive(store.folder / "queue.lock")


def _path(run: Run) -> Path:
    return run.folder / "queue"


def _put(run: Run, number: int) -> None:
    try:
        files.write_text(_path(run), f"{number}\n")
    except OSError as error:
        raise RunStoreError(f"the run {run.id} cannot be queued: {error.strerror}.") from error


def _leave(run: Run) -> None:
    try:
        _path(run).unlink(missing_ok=True)
    except OSError as error:
        raise RunStoreError(f"the run {run.id} cannot leave the queue: {error.strerror}.") from error


def _refuse_unless(waits: bool, run: Run) -> None:
    if not waits:
        raise RunStoreError(f"the run {run.id} does not wait in the queue: it is {run.state().status.value}.")

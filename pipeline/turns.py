"""Whose turn it is on this machine: trainings run beside each other, a measurement runs alone.

Two lock files lie in a folder of the user that all stores share. Trainings hold ``busy`` together. A measurement takes
``wanted`` first, which makes measurements follow one another, and then ``busy`` alone. A training looks several times a
second whether ``wanted`` is taken; if so, it lets go of ``busy`` and goes on once ``wanted`` is free again. The kernel
lets go of both on any death, so nobody waits for a dead process.
"""

import contextlib
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline import lock
from pipeline.errors import RunStoreError
from pipeline.lock import nothing

VARIABLE = "PQD_WORKBENCH_TURNS"
"""Environment variable that names another folder."""
LOOK_EVERY_S = 0.2
PAUSES = "a measurement is under way on this machine: training pauses"
AFTER_TRAINING = "training is under way on this machine: waiting for its turn"
AFTER_MEASUREMENT = "another measurement is under way on this machine: waiting for its turn"

Say = Callable[[str], None]
"""Takes one sentence for a person."""


def silent(reason: str) -> None:
    """Say nothing."""


def folder() -> Path:
    """Give the folder of the lock files, which nobody else may write.

    Raises:
        RunStoreError: it cannot be made, or belongs to somebody else.
    """
    path = Path(os.environ.get(VARIABLE) or Path(tempfile.gettempdir()) / f"pqd-workbench-{os.getuid()}")
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        found = path.lstat()
    except OSError as error:
        raise RunStoreError(
            f"the folder {str(path)!r}, by which measurements and trainings take turns, cannot be made: "
            f"{error.strerror}; name another one in {VARIABLE}."
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise RunStoreError(
            f"{str(path)!r}, by which measurements and trainings take turns, is not a folder that you alone may write; "
            f"name another one in {VARIABLE}."
        )
    return path


@contextlib.contextmanager
def training(*, say: Say = silent, interrupt: Callable[[], None] = nothing) -> Iterator[Callable[[], None]]:
    """Train beside others, but never beside a measurement.

    Args:
        say: told the reason when this training waits.
        interrupt: called a few times a second while waiting; what it raises ends the wait.

    Yields:
        What the training calls between two steps, as often as it likes: it waits while a measurement is under way.

    Raises:
        RunStoreError: the lock files cannot be opened.
    """
    place = folder()
    with lock.opened(place / "wanted") as wanted, lock.opened(place / "busy") as busy:
        looked_s = -LOOK_EVERY_S

        def give_way() -> None:
            nonlocal looked_s
            if time.monotonic() - looked_s < LOOK_EVERY_S:
                return
            if not lock.attempt(wanted, shared=True):
                lock.release(busy)
                lock.acquire(wanted, shared=True, waiting=lambda: say(PAUSES), interrupt=interrupt)
            # Who holds `wanted`, if only with others, need not wait for `busy`: nobody can be about to hold it alone.
            lock.acquire(busy, shared=True, interrupt=interrupt)
            lock.release(wanted)
            looked_s = time.monotonic()

        give_way()
        yield give_way


@contextlib.contextmanager
def measurement(*, say: Say = silent, interrupt: Callable[[], None] = nothing) -> Iterator[int]:
    """Have the machine without another measurement and without a training of ours.

    Args:
        say: told the reason when this measurement waits.
        interrupt: called a few times a second while waiting; what it raises ends the wait.

    Yields:
        A descriptor that holds the turn; a process that inherits it keeps the turn should this one die.

    Raises:
        RunStoreError: the lock files cannot be opened.
    """
    place = folder()
    with (
        lock.exclusive(place / "wanted", waiting=lambda: say(AFTER_MEASUREMENT), interrupt=interrupt) as wanted,
        lock.exclusive(place / "busy", waiting=lambda: say(AFTER_TRAINING), interrupt=interrupt),
    ):
        yield wanted

"""Lock files that the kernel lets go of on any death, and a wait for them that can be interrupted."""

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from pipeline.errors import RunStoreError

POLL_S = 0.2


def nothing() -> None:
    """Do nothing."""


@contextlib.contextmanager
def exclusive(
    path: Path, *, waiting: Callable[[], None] = nothing, interrupt: Callable[[], None] = nothing
) -> Iterator[int]:
    """Hold a lock file alone, after waiting for it as long as it takes.

    Args:
        path: the file; made when it is absent, and never removed.
        waiting: told once, when somebody else holds the lock.
        interrupt: called a few times a second while waiting; what it raises ends the wait.

    Yields:
        The descriptor that holds the lock.

    Raises:
        RunStoreError: the file cannot be opened.
    """
    with opened(path) as descriptor:
        acquire(descriptor, waiting=waiting, interrupt=interrupt)
        yield descriptor


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Open a lock file; closing it lets go of what is held by it.

    Raises:
        RunStoreError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunStoreError(f"the lock file {str(path)!r} cannot be opened: {error.strerror}.") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def acquire(
    descriptor: int,
    *,
    shared: bool = False,
    waiting: Callable[[], None] = nothing,
    interrupt: Callable[[], None] = nothing,
) -> None:
    """Wait for a lock as ``exclusive`` does; a shared one can be held by many, as long as nobody holds it alone."""
    told = False
    while not attempt(descriptor, shared=shared):
        if not told:
            waiting()
            told = True
        interrupt()
        time.sleep(POLL_S)


def attempt(descriptor: int, *, shared: bool = False) -> bool:
    """Take a lock if that is possible at once; tells whether it was."""
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def release(descriptor: int) -> None:
    """Let go of a lock, also where a child has inherited the descriptor."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)

"""One at a time: a lock file that the kernel lets go of on any death, and a wait for it that can be interrupted."""

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
    """Hold a lock file, after waiting for it as long as it takes; the kernel lets go of it on any death.

    Args:
        path: the file; made when it is absent, and never removed.
        waiting: told once, when somebody else holds the lock.
        interrupt: called a few times a second while waiting; what it raises ends the wait.

    Yields:
        The descriptor that holds the lock.

    Raises:
        RunStoreError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise RunStoreError(f"the lock file {str(path)!r} cannot be opened: {error.strerror}.") from None
    try:
        told = False
        while not _taken(descriptor):
            if not told:
                waiting()
                told = True
            interrupt()
            time.sleep(POLL_S)
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True

"""The end of what a run printed, read on as it grows."""

import re
from typing import BinaryIO

from msgspec import Struct

from pipeline.runs.store import Run

PIECE_BYTES = 1 << 16
"""How much is looked through at a time."""
MOST_BYTES = 16 * 1024**2
"""How much is read at once at most, however long the lines are."""
COUNTED_BYTES = 64 * 1024**2
"""How much of what is passed over is looked through to count its lines."""
_control = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class Earlier(Struct, frozen=True):
    """What stands in the file before the first line that is shown."""

    size_bytes: int = 0
    lines: int | None = 0
    """None where that would be too much to look through."""


class Tail:
    """The last lines of a log: the first look gives those that stand there, each later one what came since."""

    def __init__(self, run: Run, most: int) -> None:
        """Begin to read.

        Args:
            run: whose log it is.
            most: lines that are given at once at most; those before them are passed over.
        """
        self.run = run
        self._most = most
        self._offset = 0
        self._lines: int | None = 0
        """How many end before the offset."""
        self._cut = b""
        """Beginning of a line whose end is not written yet."""
        self._earlier: Earlier | None = Earlier()

    def look(self) -> tuple[tuple[str, ...], Earlier | None]:
        """Read on; a line without an end waits for it as long as the run goes on.

        Returns:
            The lines, and what stands before them; None where they follow those that were given last.
        """
        # Asked before the log is read: what a run that ends in between printed last is then there.
        is_over = _is_over(self.run)
        try:
            content = self._read()
        except OSError:
            return (), None
        *lines, cut = (self._cut + content).split(b"\n")
        if is_over and cut:
            lines, cut = [*lines, cut], b""
        # A progress bar begins its line again and again; what stood there before is gone.
        self._cut = cut[cut.rstrip(b"\r").rfind(b"\r") + 1 :]
        if not lines:
            return (), None
        earlier, self._earlier = self._earlier, None
        return tuple(map(_printable, lines)), earlier

    def _read(self) -> bytes:
        size = self.run.log_path.stat().st_size
        if size <= self._offset:
            return b""
        with self.run.log_path.open("rb") as log:
            start = _start(log, self._offset, size, self._most)
            if start > self._offset:
                self._pass_over(log, start)
            log.seek(start)
            content = log.read(size - start)
        self._offset = start + len(content)
        if self._lines is not None:
            self._lines += content.count(b"\n")
        return content

    def _pass_over(self, log: BinaryIO, start: int) -> None:
        if self._lines is not None:
            passed = _count(log, self._offset, start) if start - self._offset <= COUNTED_BYTES else None
            self._lines = None if passed is None else self._lines + passed
        self._earlier = Earlier(start, self._lines)
        self._cut = b""


def _start(log: BinaryIO, offset: int, end: int, most: int) -> int:
    """Find where the last ``most`` whole lines before ``end`` begin; ``offset`` where there are no more than these."""
    at, wanted = end, most + 1
    while at > offset and end - at < MOST_BYTES:
        size = min(PIECE_BYTES, at - offset)
        at -= size
        log.seek(at)
        piece = log.read(size)
        found = piece.count(b"\n")
        if found >= wanted:
            place = len(piece)
            for _ in range(wanted):
                place = piece.rfind(b"\n", 0, place)
            return at + place + 1
        wanted -= found
    if at == offset:
        return offset
    log.seek(at)
    whole = re.search(rb"[\r\n]", log.read(end - at))
    return at if whole is None else at + whole.end()


def _count(log: BinaryIO, start: int, end: int) -> int:
    log.seek(start)
    return sum(log.read(min(PIECE_BYTES, end - at)).count(b"\n") for at in range(start, end, PIECE_BYTES))


def _is_over(run: Run) -> bool:
    """Tell whether nobody writes any more; a lock that may not be opened does not tell."""
    try:
        return not run.is_alive()
    except OSError:
        return False


def _printable(line: bytes) -> str:
    text = line.rstrip(b"\r").rpartition(b"\r")[2].decode("utf-8", errors="replace")
    return _control.sub("", text).replace("\t", "    ")

"""The event log of a run: append one whole line, read whole lines from a byte offset."""

import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from pipeline.errors import CorruptRun
from pipeline.events import AnyEvent, decode, encode


class EventWriter:
    """The one writer of a log. Each event is one ``write`` of one line, so a crash leaves at most one cut line."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def append(self, event: AnyEvent) -> None:
        """Add one event."""
        os.write(self._file, encode(event))

    def close(self) -> None:
        """Flush to the disk and close."""
        os.fsync(self._file)
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read(path: Path, offset: int = 0) -> tuple[list[AnyEvent], int]:
    """Read the whole lines from a byte offset on.

    Args:
        path: the log; a log that does not exist yet is empty.
        offset: where an earlier call ended; 0 for the start.

    Returns:
        The events, and the offset after the last whole line. A line that is still being written stays unread.

    Raises:
        CorruptRun: a whole line is not an event; says the file, the byte and the reason.
    """
    try:
        with path.open("rb") as log:
            log.seek(offset)
            content = log.read()
    except FileNotFoundError:
        return [], offset
    whole = content.rfind(b"\n") + 1
    events: list[AnyEvent] = []
    for line in content[:whole].splitlines(keepends=True):
        try:
            events.append(decode(line))
        except msgspec.DecodeError as error:
            raise CorruptRun(f"{path}: the line at byte {offset} is not an event: {error}.") from None
        offset += len(line)
    return events, offset

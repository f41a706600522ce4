"""How a person who looks elsewhere learns that a run ended: the terminal's title, its bell, a sentence in a corner."""

import os
from collections.abc import Callable, Iterable

from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from workbench.settings import Settings
from workbench.widgets import words

NAME = "pqd-workbench"
SAVE_TITLE = "\x1b[22;2t"
RESTORE_TITLE = "\x1b[23;2t"
endings = {
    Status.FINISHED: "finished",
    Status.FAILED: "failed",
    Status.STOPPED: "was stopped",
    Status.LOST: "is lost: its process died without a word",
}


class Attention:
    """Compares what goes on with what went on before."""

    def __init__(
        self,
        settings: Settings,
        *,
        write: Callable[[str], object],
        bell: Callable[[], object],
        say: Callable[..., object],
    ) -> None:
        """Begin.

        Args:
            settings: which of the three are wanted.
            write: sends letters to the terminal.
            bell: rings it.
            say: shows a sentence in a corner; takes ``is_error``.
        """
        self._settings, self._write, self._bell, self._say = settings, write, bell, say
        self._going_on: set[str] | None = None
        self._title: str | None = None
        self._has_titles = settings.title and os.environ.get("TERM", "dumb") not in ("dumb", "linux")

    def take(self, rows: Iterable[Row]) -> None:
        """Tell what ended since the last time; at first nothing did."""
        rows = list(rows)
        before, self._going_on = self._going_on, {row.id for row in rows if row.is_running}
        ended = [row for row in rows if row.id in (before or ()) and row.id not in self._going_on]
        self._show_title(len(self._going_on))
        if ended and self._settings.bell:
            self._bell()
        if self._settings.notify:
            for row in ended:
                self._say(outcome(row), is_error=row.status in (Status.FAILED, Status.LOST))

    def close(self) -> None:
        """Give the terminal the title back that it had."""
        if self._title is not None:
            self._write(RESTORE_TITLE)

    def _show_title(self, count: int) -> None:
        title = f"{count} running · {NAME}" if count else NAME
        if self._has_titles and title != self._title:
            self._write(f"{SAVE_TITLE if self._title is None else ''}\x1b]2;{title}\x07")
            self._title = title


def outcome(row: Row) -> str:
    """Say in one sentence how a run ended, as in ``pqd finished: 94.1 %, 2.86 MiB, 1.20 ms after 12:40``."""
    if row.problem:
        return f"{row.name}: {row.problem}"
    numbers = [
        None if row.top1 is None else f"{words.number(row.top1)} %",
        None if row.size_bytes is None else f"{words.mib(row.size_bytes)} MiB",
        None if row.median_ms is None else f"{words.milliseconds(row.median_ms)} ms",
    ]
    told = ", ".join(number for number in numbers if number)
    said = f"{row.name} {endings.get(row.status, 'ended')}"
    if row.failure:
        return f"{said}: {row.failure}"
    if row.status is not Status.FINISHED:
        return f"{said}."
    took = None if row.started_s is None or row.ended_s is None else row.ended_s - row.started_s
    return f"{said}{': ' if told else ''}{told}{f' after {words.duration(took)}' if took is not None else ''}."


def farewell(rows: Iterable[Row]) -> str:
    """Say which runs go on without the workbench; empty when none does."""
    names = [row.name for row in rows if row.is_running]
    if not names:
        return ""
    listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    if len(names) == 1:
        return f"1 run goes on: {listed}. To follow it: {NAME} watch"
    return f"{len(names)} runs go on: {listed}. To follow the newest: {NAME} watch"

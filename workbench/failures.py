"""What happens when the workbench itself is wrong: its log keeps the traceback, a person is told, and it goes on.

An error in the handler of a screen, a dialog, the app or a thread is survived. One that leaves a widget without its
messages ends the app in order, with the terminal restored, exit code 1 and the sentence in the shell.
"""

import contextlib
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from textual.message import Message
from textual.message_pump import MessagePump
from textual.worker import Worker, WorkerState

from workbench import locations

if TYPE_CHECKING:
    from workbench.host import Host

LARGEST = 1_000_000
"""Bytes of the log at which it begins anew; the one before is kept beside it."""
NAME = "workbench.log"


def log_path() -> Path:
    """Give the workbench's own log; it need not exist."""
    return locations.state_folder() / NAME


def record(error: BaseException) -> Path | None:
    """Write an error's traceback to the log; gives None where that cannot be done."""
    path = log_path()
    text = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_size > LARGEST:
                path.replace(path.with_name(f"{NAME}.1"))
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{text}\n")
    except OSError:
        return None
    return path


def sentence(error: BaseException, path: Path | None) -> str:
    """Say what went wrong, and where more of it stands."""
    words = f"{type(error).__name__}: {error}".rstrip(": .").replace("\n", " ")
    where = f"the traceback is in {str(path)!r}" if path else "no log could be written"
    return f"the workbench failed ({words[:300]}); {where}. Runs go on."


def place(error: BaseException) -> tuple[str, str, int]:
    """Tell errors apart by their class and where they were raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return type(error).__name__, frames[-1].filename if frames else "", (frames[-1].lineno or 0) if frames else 0


class Enduring(MessagePump):
    """What a screen and the app are made with: an error in one of their handlers does not end them."""

    async def _dispatch_message(self, message: Message) -> None:
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            app = cast("Host", cast("Any", self).app)
            if not app.endures:
                raise
            app.endure(error)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Tell of an error in a thread, which nobody else would."""
        error, app = event.worker.error, cast("Host", cast("Any", self).app)
        if event.state is WorkerState.ERROR and isinstance(error, Exception) and app.endures and app.is_running:
            app.endure(error)

"""Whether the terminal's background is dark: asked before the app is imported, read after it, so that nobody waits.

Imports nothing heavy, since it runs before everything else.
"""

import contextlib
import os
import re
import select
import sys
import termios
import time
import tty
from collections.abc import Mapping
from types import TracebackType
from typing import Self

ASK_S = 0.1
"""Seconds from the question for a terminal to tell its background."""
ASK_FAR_S = 0.4
"""The same over SSH, where the answer travels. Terminals that cannot tell say so as quickly."""
_background = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_attributes = re.compile(rb"\x1b\[\?[0-9;]*c")


class Question:
    """One question to a terminal; as a context it leaves the terminal as it was found."""

    def __init__(self, terminal: int | None, seconds: float) -> None:
        """Ask.

        Args:
            terminal: descriptor that is read and written; None asks nobody.
            seconds: how long from now an answer is waited for.
        """
        self._terminal = terminal
        self._end_s = time.monotonic() + seconds
        try:
            if terminal is not None:
                self._before = termios.tcgetattr(terminal)
                tty.setcbreak(terminal, termios.TCSANOW)
                # The second question is one that every terminal answers: its answer says that no other will come.
                os.write(terminal, b"\x1b]11;?\x1b\\\x1b[c")
        except (OSError, termios.error):
            self._terminal = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answer()

    def answer(self) -> bool | None:
        """Tell whether the background is dark; None where no answer came in time, and at every further call."""
        if self._terminal is None:
            return None
        try:
            found = _background.search(self._read(self._terminal))
        finally:
            # What comes too late must not be taken for keys.
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._before)
            self._terminal = None
        if found is None:
            return None
        red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
        return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)

    def _read(self, terminal: int) -> bytes:
        answer = b""
        with contextlib.suppress(OSError):
            while not _attributes.search(answer):
                # What lies there is read however late it is.
                if not select.select([terminal], [], [], max(0.0, self._end_s - time.monotonic()))[0]:
                    break
                got = os.read(terminal, 4096)
                if not got:
                    break
                answer += got
        return answer


def ask(environment: Mapping[str, str]) -> Question:
    """Ask the terminal of this process, if it is one that might know."""
    term = environment.get("TERM", "")
    may_know = term not in ("", "dumb", "linux") and not term.startswith("screen") and sys.stdin.isatty()
    far = "SSH_CONNECTION" in environment or "SSH_TTY" in environment
    return Question(sys.stdin.fileno() if may_know else None, ASK_FAR_S if far else ASK_S)


def is_dark(question: Question, environment: Mapping[str, str]) -> bool | None:
    """Tell whether the background is dark, by the answer, else by the environment; None where neither tells."""
    answered = question.answer()
    if answered is not None:
        return answered
    # Written by some terminals as foreground;background, in numbers of their sixteen colours.
    ground = environment.get("COLORFGBG", "").rpartition(";")[2]
    return int(ground) not in (7, *range(9, 16)) if ground.isdecimal() else None

"""A terminal for tests and benchmarks: a pseudo-terminal with a process on it, and a screen that keeps what was sent.

The screen understands what full-screen programs send: placing the cursor, erasing, modes, titles, reversed letters.
Colours are counted only; how wide a character is says rich.
"""

import base64
import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.cells import cell_len

KEYS = {
    "up": "\x1b[A", "down": "\x1b[B", "right": "\x1b[C", "left": "\x1b[D", "home": "\x1b[H", "end": "\x1b[F",
    "page_up": "\x1b[5~", "page_down": "\x1b[6~", "enter": "\r", "escape": "\x1b", "tab": "\t", "space": " ",
    "f1": "\x1bOP", "backspace": "\x7f",
}  # fmt: skip
"""What a terminal sends for keys that have names; every other key sends itself."""
IS_SYNCHRONISED = "\x1b[?2026$p"
"""How a program asks whether frames can be held together."""
ASKED_BACKGROUND = "\x1b]11;?"
"""How a program asks for the colour of the background."""

_sequence = re.compile(
    r"\x1b\[(?P<private>[?<>=]?)(?P<numbers>[0-9;:]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\](?P<command>.*?)(?:\x07|\x1b\\)"
    r"|\x1b[P_^X].*?\x1b\\"
    r"|\x1b[ -/]*[0-NQ-WYZ\\`-~]"
    r"|(?P<control>[\x00-\x1a\x1c-\x1f\x7f])"
    r"|(?P<text>[^\x00-\x1f\x7f]+)",
    re.DOTALL,
)


class Screen:
    """What a terminal shows after all that was sent to it."""

    def __init__(self, columns: int, rows: int) -> None:
        self.modes: set[str] = set()
        """Private modes that were switched on and not off again: ``1049`` is the alternate screen."""
        self.is_cursor_shown = True
        self.title = ""
        self.commands: list[str] = []
        """Commands of the system that were sent, as ``11;?``, the question after the background."""
        self.copied: list[str] = []
        """Texts that were put onto the clipboard."""
        self.bells = 0
        self.sequences: set[str] = set()
        """Kinds of the sequences that were sent: the last letter of each, ``]`` for a command of the system."""
        self.styles: set[str] = set()
        """Numbers of the styles that were sent: ``38;5;73`` is a colour of 256."""
        self._titles: list[str] = []
        self._rest = ""
        self._is_reversed = False
        self.resize(columns, rows)

    def resize(self, columns: int, rows: int) -> None:
        """Become another size; what was shown is gone, as programs draw all of it again."""
        self.columns, self.rows = columns, rows
        self._row = self._column = 0
        self._clear()

    def _clear(self) -> None:
        self._cells = [[" "] * self.columns for _ in range(self.rows)]
        self._reversed = [[False] * self.columns for _ in range(self.rows)]

    @property
    def lines(self) -> list[str]:
        """The rows as text, without blanks at their ends."""
        return ["".join(row).rstrip() for row in self._cells]

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join(self.lines)

    @property
    def reversed_lines(self) -> list[str]:
        """Of each row what is reversed, blanks in the place of the rest."""
        rows = zip(self._cells, self._reversed, strict=True)
        return ["".join(c if r else " " for c, r in zip(*row, strict=True)).rstrip() for row in rows]

    @property
    def colors(self) -> set[str]:
        """Kinds of the colours that were sent: ``16``, ``256``, ``truecolor``."""
        return {kind for style in self.styles for kind in _colors(style)}

    def feed(self, sent: str) -> None:
        """Take up what was sent; a sequence that is cut waits for its end."""
        content, place = self._rest + sent, 0
        while place < len(content):
            found = _sequence.match(content, place)
            if found is None:
                # A sequence whose end has not come, or one that no terminal knows: this one waits.
                break
            place = found.end()
            if found["text"]:
                self._put(found["text"])
            elif found["control"]:
                self._move(found["control"])
            elif found["final"]:
                self.sequences.add(found["private"] + found["final"])
                self._act(found["private"], found["numbers"], found["final"])
            elif found["command"] is not None:
                self.sequences.add("]")
                self._obey(found["command"])
        self._rest = content[place:]

    def _put(self, text: str) -> None:
        for character in text:
            width = cell_len(character)
            if width == 0:
                if 0 < self._column <= self.columns:
                    self._cells[self._row][self._column - 1] += character
                continue
            for cell in range(self._column, min(self._column + width, self.columns)):
                self._cells[self._row][cell] = character if cell == self._column else ""
                self._reversed[self._row][cell] = self._is_reversed
            self._column = min(self._column + width, self.columns)

    def _move(self, control: str) -> None:
        if control == "\r":
            self._column = 0
        elif control == "\n":
            # The line discipline of a terminal in raw mode leaves the column; programs that count on it say so.
            self._row = min(self._row + 1, self.rows - 1)
        elif control == "\b":
            self._column = max(0, self._column - 1)
        elif control == "\a":
            self.bells += 1

    def _act(self, private: str, numbers: str, final: str) -> None:
        values = [int(number or 0) for number in numbers.split(";")] if ":" not in numbers else [0]
        if private == "?" and final in "hl":
            self._switch([str(value) for value in values], is_on=final == "h")
        elif private:
            return
        elif final == "m":
            self.styles.add(numbers)
            self._is_reversed = "7" in numbers.split(";")
        elif final == "t":
            self._title(numbers.partition(";")[0])
        elif final in "Hf":
            row, column = (*values, 1)[:2]
            self._row = min(max(row, 1), self.rows) - 1
            self._column = min(max(column, 1), self.columns) - 1
        elif final == "J" and values[0] in (2, 3):
            self._clear()
        elif final == "K" and values[0] == 0:
            self._cells[self._row][self._column :] = [" "] * (self.columns - self._column)

    def _obey(self, command: str) -> None:
        self.commands.append(command)
        number, _, rest = command.partition(";")
        if number in ("0", "2"):
            self.title = rest
        elif number == "52":
            self.copied.append(base64.b64decode(rest.partition(";")[2]).decode())

    def _title(self, what: str) -> None:
        if what == "22":
            self._titles.append(self.title)
        elif what == "23" and self._titles:
            self.title = self._titles.pop()

    def _switch(self, modes: list[str], *, is_on: bool) -> None:
        for mode in modes:
            if mode == "25":
                self.is_cursor_shown = is_on
            elif is_on:
                self.modes.add(mode)
            else:
                self.modes.discard(mode)
            if mode == "1049":
                self._clear()


def _colors(style: str) -> Iterator[str]:
    numbers = iter(style.split(";"))
    for number in numbers:
        if number in ("38", "48"):
            kind = next(numbers)
            yield {"5": "256", "2": "truecolor"}[kind]
            for _ in range(1 if kind == "5" else 3):
                next(numbers)
        elif number.isdecimal() and int(number) in (*range(30, 50), *range(90, 108)):
            yield "16"


class Terminal:
    """A process on a pseudo-terminal of its own, in a session of its own, and what it shows."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        size: tuple[int, int] = (80, 24),
        environment: Mapping[str, str] | None = None,
        answers: bool = False,
        background: str = "",
    ) -> None:
        """Start a program.

        Args:
            arguments: what to execute.
            size: columns and rows.
            environment: added to ours; an empty value takes a variable away.
            answers: say that frames can be held together, as most terminals do when they are asked.
            background: the colour to tell when asked for it, as in ``ffff/ffff/ffff``; empty tells nothing.
        """
        self.screen = Screen(*size)
        self.num_bytes = 0
        """Bytes that were received."""
        self.last_byte_s = 0.0
        """When the newest of them came, by ``time.perf_counter``."""
        self._sent: list[str] = []
        self._answers = answers
        self._background = background
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._line, theirs = pty.openpty()
        self._before = termios.tcgetattr(theirs)
        self._set_size(*size)
        wanted = {"TERM": "xterm-256color", **(environment or {})}
        kept = {name: value for name, value in (os.environ | wanted).items() if value or name not in wanted}
        self.started_s = time.perf_counter()
        self.process = subprocess.Popen(
            arguments, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=kept,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        # Kept open on our side, so that the settings of the line can be looked at after the end.
        self._theirs = theirs

    @classmethod
    def workbench(
        cls, store: Path, *flags: str, size: tuple[int, int] = (80, 24), environment: Mapping[str, str] | None = None,
        answers: bool = False, background: str = "",
    ) -> Self:  # fmt: skip
        """Start the workbench on a store."""
        arguments = [sys.executable, "-m", "workbench", "--store", str(store), *flags]
        return cls(arguments, size=size, environment=environment, answers=answers, background=background)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read(self, wait_s: float) -> int:
        """Take what was sent, waiting so long for the first of it; gives the number of bytes."""
        if not select.select([self._line], [], [], wait_s)[0]:
            return 0
        try:
            content = os.read(self._line, 65536)
        except OSError:
            # Every process let go of the other end.
            return 0
        self.last_byte_s = time.perf_counter()
        self.num_bytes += len(content)
        text = self._decoder.decode(content)
        if self._answers and IS_SYNCHRONISED in text:
            os.write(self._line, b"\x1b[?2026;2$y")
        if self._background and ASKED_BACKGROUND in text:
            os.write(self._line, f"\x1b]11;rgb:{self._background}\x1b\\\x1b[?62;22c".encode())
        self._sent.append(text)
        self.screen.feed(text)
        return len(content)

    @property
    def sent(self) -> str:
        """Everything that was received."""
        return "".join(self._sent)

    def until(self, wanted: str | Callable[[], bool], seconds: float = 15.0) -> None:
        """Read until a text is on the screen, or something else is true.

        Raises:
            AssertionError: it did not come true in that time; shows the screen.
        """
        end_s = time.monotonic() + seconds
        while not (wanted in self.screen.text if isinstance(wanted, str) else wanted()):
            assert time.monotonic() < end_s, f"{wanted!r} did not come:\n{self.screen.text}"
            assert self.read(0.05) or self.process.poll() is None, f"it ended:\n{self.screen.text}"

    def waiting(self) -> int:
        """Give the number of bytes that were sent and not read."""
        return int.from_bytes(fcntl.ioctl(self._line, termios.FIONREAD, bytes(4)), sys.byteorder)

    def settle(self, quiet_s: float = 0.05, most_s: float = 10.0) -> None:
        """Read until nothing comes for so long, or so much time went by."""
        end_s = time.monotonic() + most_s
        while time.monotonic() < end_s and self.read(quiet_s):
            pass

    def press(self, *keys: str) -> None:
        """Send keys, by name or as themselves."""
        for key in keys:
            os.write(self._line, KEYS.get(key, key).encode())

    def resize(self, columns: int, rows: int) -> None:
        """Become another size, and tell the program."""
        self.screen.resize(columns, rows)
        self._set_size(columns, rows)
        # The other end is open here, too, so the kernel tells those whose terminal it is.

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self, seconds: float = 30.0) -> int:
        """Read on until the program ended; gives its exit status.

        Raises:
            AssertionError: it did not end in that time; shows the screen.
        """
        end_s = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < end_s, f"it did not end:\n{self.screen.text}"
            self.read(0.02)
        self.settle()
        return self.process.returncode

    def is_restored(self) -> bool:
        """Tell whether the terminal is as it was found: screen, cursor, mouse, settings of the line."""
        left_on = self.screen.modes & {"1049", "1000", "1002", "1003", "1004", "1006", "2004", "2026"}
        same = termios.tcgetattr(self._theirs)[:4] == self._before[:4]
        return not left_on and self.screen.is_cursor_shown and same

    def close(self) -> None:
        """End the program, whatever it does, and close the line."""
        self.process.kill()
        self.process.wait()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the line, as a lost connection does."""
        for descriptor in (self._line, self._theirs):
            if descriptor >= 0:
                os.close(descriptor)
        self._line = self._theirs = -1

    def cpu_s(self) -> float:
        """Give the processor time that the program used, seconds; steps of a hundredth."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

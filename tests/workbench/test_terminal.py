"""A real terminal: what is sent over the line, and what happens when the line goes dead."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pytest

from tests.workbench import fakes

script = """
import sys
from pathlib import Path
from pipeline.runs.store import RunStore
from workbench.app import Workbench
Workbench(RunStore(Path(sys.argv[1])), Path(sys.argv[2])).run()
"""


@pytest.fixture
def terminal(store, saved):
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(store.folder), str(saved)],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=os.environ | {"TERM": "xterm-256color"},
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(theirs)
    yield ours, process
    process.kill()
    process.wait()


def read_until(terminal, wanted, seconds=30.0):
    content, end = b"", time.monotonic() + seconds
    while wanted not in content:
        assert time.monotonic() < end, content[-2000:]
        if select.select([terminal], [], [], 0.1)[0]:
            content += os.read(terminal, 65536)
    return content


def test_a_dead_line_ends_the_workbench_and_not_the_run(store, terminal):
    line, process = terminal
    with fakes.running(store, fakes.recipe_of("survivor", "P"), []) as run:
        read_until(line, b"survivor")
        os.close(line)
        assert process.wait(timeout=30) == -signal.SIGHUP
        assert fakes.is_locked(run)


def test_nothing_is_sent_while_nothing_changes(store, terminal):
    line, process = terminal
    ours = fakes.recipe_of("quiet", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    read_until(line, b"quiet")
    while select.select([line], [], [], 1.5)[0]:
        os.read(line, 65536)
    # A silence of a second and a half: several polls and two beats of the clock sent not one byte.
    os.write(line, b"q")
    read_until(line, b"\x1b[?1049l")
    assert process.wait(timeout=30) == 0
    os.close(line)

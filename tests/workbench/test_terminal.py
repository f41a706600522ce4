"""A real terminal: what is sent over the line, what it is restored to, and what happens when the line goes dead."""

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid

import pytest

from pipeline import events as e
from pipeline.runs.store import RunStore
from tests.workbench import fakes
from tests.workbench.terminals import Terminal
from workbench import screens

opened = list(screens.found().values())
every_screen = pytest.mark.parametrize("entry", opened, ids=lambda entry: entry.name)
hostile = (
    "[red]x[/ [@click=app.quit]a", "名前" * 20, "e\u0301" * 30, "שלום مرحبا", "y" * 300, "%s {0} \\x1b[2J $(reboot)",
)  # fmt: skip
escapes = "\x1b]0;pwned\x07\x1b[2J\x1b[?5h\x9b3J"


@pytest.fixture
def start(store):
    """Start the workbench on the store, on a terminal that is closed at the end of the test."""
    started = []

    def start(size=(80, 24), **environment):
        terminal = Terminal.workbench(store.folder, size=size, environment=environment)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.close()


def finished(store, name="quiet", stages="P"):
    ours = fakes.recipe_of(name, stages)
    return fakes.add_run(store, ours, fakes.whole(ours))


def tour(terminal):
    """Open every screen, and the help, and come back."""
    for entry in (*opened, opened[0]):
        terminal.press(entry.key)
        terminal.until("pqd")
        terminal.settle()
    terminal.press("?")
    terminal.settle(0.1)
    terminal.press("escape")
    terminal.settle(0.2)


def quit_well(terminal):
    terminal.press("q")
    assert terminal.end() == 0, terminal.screen.text
    assert terminal.is_restored(), terminal.screen.modes
    assert "Traceback" not in terminal.screen.text


def test_an_editor_gets_the_terminal_and_gives_it_back(store, start, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text(
        "#!/bin/sh\ntest -t 0 && test -t 1 || exit 9\nprintf 'the editor asks: '\nread answer\n"
        'sed -i "s/^name = .*/name = \\"$answer\\"/" "$1"\n'
    )
    editor.chmod(0o755)
    terminal = start(EDITOR=str(editor), VISUAL="")
    terminal.until("No runs yet")
    terminal.press("2")
    terminal.until("preset quickstart")
    terminal.press("E")
    terminal.until("the editor asks:")
    assert "1049" not in terminal.screen.modes
    terminal.press(*"by hand", "enter")
    terminal.until("preset quickstart *")
    terminal.until("by hand")
    assert "1049" in terminal.screen.modes
    terminal.press("u")
    terminal.until(lambda: "preset quickstart *" not in terminal.screen.text)
    quit_well(terminal)


def test_a_dead_line_ends_the_workbench_and_not_the_run(store, start):
    with fakes.running(store, fakes.recipe_of("survivor", "P"), []) as run:
        terminal = start()
        terminal.until("survivor")
        terminal.hang_up()
        assert terminal.process.wait(timeout=30) == -signal.SIGHUP
        assert fakes.is_locked(run)
        again = start()
        again.until("1 running")
        again.until("survivor")


def test_a_dead_line_ends_the_workbench_where_its_parent_ignored_the_signal(store):
    finished(store)
    ignoring = (
        "import os, signal, sys\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\nos.execv(sys.executable, sys.argv[1:])"
    )
    command = [sys.executable, "-c", ignoring, sys.executable, "-m", "workbench", "--store", str(store.folder)]
    with Terminal(command) as terminal:
        terminal.until("quiet")
        terminal.hang_up()
        assert terminal.process.wait(timeout=30) == -signal.SIGHUP


def test_nothing_is_sent_while_nothing_changes(store, start):
    finished(store)
    terminal = start()
    terminal.until("quiet")
    # A silence of a second and a half: several polls and a beat of the clock sent not one byte.
    terminal.settle(1.5, most_s=30.0)
    assert terminal.read(0.0) == 0
    quit_well(terminal)


def test_a_line_that_nobody_reads_stops_neither_the_run_nor_the_newest_state(store, start):
    ours = fakes.recipe_of("steady", "P", epochs=50)
    training = fakes.training(ours, 0, fakes.START_S)
    with fakes.running(store, ours, [fakes.started(ours, time.time())]) as run:
        terminal = start()
        terminal.until("steady")
        unread = -1
        for turn in itertools.count():
            # Pages of both screens, until the kernel takes no more of them.
            terminal.press("2", "escape")
            time.sleep(0.02)
            if turn % 20 == 19:
                if terminal.waiting() == unread:
                    break
                unread = terminal.waiting()
        fakes.write(run, training)
        fakes.write(run, [e.RunFailed(reason="The disk is full.")])
        assert len(run.events()[0]) == len(training) + 2
        assert terminal.process.poll() is None
        terminal.until("x failed", seconds=60.0)
        terminal.settle(0.3)
        terminal.press("1")
        quit_well(terminal)
    assert run.state().failure == "The disk is full."


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "xterm-256color"}, {"TERM": "tmux-256color"}, {"TERM": "screen"}, {"TERM": "linux"}, {"TERM": "dumb"},
        {"TERM": "vt100"}, {"NO_COLOR": "1"}, {"COLORTERM": "truecolor"},
    ],
    ids=lambda environment: "=".join(*environment.items()),
)  # fmt: skip
def test_every_kind_of_terminal_shows_every_screen_and_is_restored(store, start, environment):
    finished(store)
    terminal = start(**{"COLORTERM": "", "NO_COLOR": "", **environment})
    terminal.until("ok finished")
    tour(terminal)
    quit_well(terminal)
    exact = any("8;2;" in style for style in terminal.screen.styles)
    of_256 = any("8;5;" in style for style in terminal.screen.styles)
    if environment.get("TERM") in ("screen", "linux"):
        assert not exact
        assert not of_256
    elif environment.get("TERM") in ("xterm-256color", "tmux-256color"):
        assert of_256
        assert not exact


@pytest.mark.parametrize("coerced", ["1", "0"])
def test_a_locale_without_utf8_opens(store, start, coerced):
    finished(store)
    terminal = start(LC_ALL="C", LANG="C", PYTHONCOERCECLOCALE=coerced, PYTHONUTF8=coerced)
    terminal.until("quiet")
    tour(terminal)
    quit_well(terminal)


@every_screen
def test_a_storm_of_sizes_ends_in_the_right_picture(store, start, entry):
    chance = random.Random(1)
    sizes = [(chance.randint(20, 200), chance.randint(5, 60)) for _ in range(25)]
    sizes += [(20, 5), (1, 1), (200, 60), (80, 24)]
    ours = fakes.recipe_of("streaming", "PQ", epochs=len(sizes))
    events = iter(fakes.training(ours, 0, time.time()))
    with fakes.running(store, ours, [fakes.started(ours, time.time())]) as run:
        terminal = start()
        terminal.until("streaming")
        terminal.press(entry.key)
        for size in sizes:
            terminal.resize(*size)
            fakes.write(run, [next(events)])
            terminal.read(0.02)
        terminal.until(lambda: entry.tab in terminal.screen.lines[0] and "help" in terminal.screen.lines[-1])
        terminal.settle(0.3)
        assert terminal.screen.lines[0].lstrip().startswith("pqd")
        assert terminal.process.poll() is None
        terminal.press("escape")
        terminal.settle(0.2)
        quit_well(terminal)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
def test_hostile_names_are_shown_as_they_are_and_command_nothing(store, start, size):
    for name in hostile:
        ours = fakes.recipe_of(name, "PQ")
        fakes.add_run(store, ours, fakes.whole(ours), log=f"{escapes}[red]x[/\n")
    bad = fakes.recipe_of("escaping", "P")
    reason = f"{escapes} The [red]disk[/ is full."
    fakes.add_run(store, bad, [fakes.started(bad), e.Noted(text=reason), e.RunFailed(reason=reason)], log=escapes)
    unreadable = fakes.add_run(store, bad, [])
    (unreadable.folder / "recipe.toml").write_text("name = 3")
    unreadable.folder.rename(unreadable.folder.parent / f"zz{escapes}")
    terminal = start(size)
    terminal.until("zz")
    for entry in opened:
        terminal.press(entry.key)
        terminal.settle(0.1)
        for _ in range(len(hostile) + 2):
            terminal.press("down" if entry.name == "runs" else "right")
            terminal.settle(0.02)
        for opening in ("e", "d", "/"):
            terminal.press(opening)
            terminal.settle(0.1)
            terminal.press("escape")
            # A lone escape is one only after a tenth of a second.
            terminal.settle(0.15)
        assert "5" not in terminal.screen.modes, entry.name
        assert terminal.screen.lines[0].lstrip().startswith("pqd"), entry.name
    assert "pwned" not in terminal.screen.title
    assert not {"J", "K"} & terminal.screen.sequences, terminal.screen.sequences
    assert len(RunStore(store.folder).runs()) == len(hostile) + 2
    terminal.press("1")
    terminal.settle(0.2)
    quit_well(terminal)


def test_quitting_does_not_wait_for_thousands_of_runs_that_were_not_read(store, start):
    run = finished(store, "many")
    for number in range(5000):
        folder = run.folder.parent / f"2026-01-01-000000-many-{number:04x}"
        folder.mkdir()
        for name in ("recipe.toml", "events.jsonl", "run.lock"):
            os.link(run.folder / name, folder / name)
    terminal = start()
    terminal.until("many")
    start_s = time.perf_counter()
    quit_well(terminal)
    assert time.perf_counter() - start_s < 2.0


@pytest.fixture
def tmux():
    """Run a command of a server of our own."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    name = f"pqd-{uuid.uuid4().hex[:8]}"

    def run(*arguments):
        command = ["tmux", "-L", name, "-f", "/dev/null", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    run.name = name
    yield run
    subprocess.run(["tmux", "-L", name, "kill-server"], check=False)


def test_a_window_of_tmux_is_left_and_found_again(store, tmux):
    finished(store)
    tmux("new-session", "-d", "-x", "80", "-y", "24", f"{sys.executable} -m workbench --store {store.folder}")

    def lines():
        return tmux("capture-pane", "-p").rstrip("\n").split("\n")

    def is_whole(shown):
        return "pqd" in shown[0] and "live" in shown[-1] and any("quiet" in line for line in shown)

    tmux("set-option", "-g", "status", "off")
    # Keys that come within a millisecond would be pasted text, and the prefix a letter.
    tmux("set-option", "-g", "assume-paste-time", "0")
    for columns, rows in ((80, 24), (80, 24)):
        with Terminal(["tmux", "-L", tmux.name, "attach"], size=(columns, rows)) as terminal:
            terminal.until(lambda rows=rows: len(lines()) == rows and is_whole(lines()))
            terminal.press("\x02", "d")
            assert terminal.end() == 0
    tmux("send-keys", "q")
    end_s = time.monotonic() + 30
    while subprocess.run(["tmux", "-L", tmux.name, "has-session"], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < end_s
        time.sleep(0.02)

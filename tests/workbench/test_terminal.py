"""A real terminal: what is sent over the line, what it is restored to, and what happens when the line goes dead."""

import itertools
import os
import random
import re
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
from workbench.widgets import words

opened = list(screens.found().values())
every_screen = pytest.mark.parametrize("entry", opened, ids=lambda entry: entry.name)
hostile = (
    "[red]x[/ [@click=app.quit]a", "名前" * 20, "e\u0301" * 30, "שלום مرحبا", "y" * 300, "%s {0} \\x1b[2J $(reboot)",
)  # fmt: skip
escapes = "\x1b]0;pwned\x07\x1b[2J\x1b[?5h\x9b3J"


only_there = {
    "runs": "+/- pt",
    "compose": "quickstart",
    "live": "loss",
    "frontier": "dominated",
    "compare": "equal lines",
}
"""What each screen shows of two finished runs, and no other does."""
BRAILLE = {chr(code) for code in range(0x2801, 0x2900)}


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Remember nothing beyond the test, and let it say alone what the terminal is like."""
    monkeypatch.setenv("PQD_WORKBENCH_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("PQD_WORKBENCH_CONFIG", str(tmp_path / "config"))
    for name in ("COLORTERM", "NO_COLOR", "TMUX", "STY", "TEXTUAL_COLOR_SYSTEM", "TEXTUAL_FPS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def start(store):
    """Start the workbench on the store, on a terminal that is closed at the end of the test."""
    started = []

    def start(size=(80, 24), flags=(), background="", **environment):
        terminal = Terminal.workbench(store.folder, *flags, size=size, environment=environment, background=background)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.close()


def finished(store, name="quiet", stages="P"):
    ours = fakes.recipe_of(name, stages)
    return fakes.add_run(store, ours, fakes.whole(ours))


def show(terminal, entry):
    """Open a screen, and wait for what no other shows."""
    terminal.press(entry.key)
    others = [word for name, word in only_there.items() if name != entry.name]
    terminal.until(
        lambda: (
            only_there[entry.name] in terminal.screen.text and not any(word in terminal.screen.text for word in others)
        )
    )


def leave(terminal, shown):
    """Close what lies over a screen: a key that follows would be taken together with an escape for another."""
    terminal.press("escape")
    terminal.until(lambda: shown not in terminal.screen.text)
    terminal.settle()


def tour(terminal):
    """Open every screen, the help and the commands, and come back."""
    for entry in (*opened, opened[0]):
        show(terminal, entry)
    terminal.press("?")
    terminal.until("Mark this run")
    leave(terminal, "Mark this run")
    terminal.press(":")
    terminal.until("Search for commands")
    leave(terminal, "Search for commands")


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


def beyond(terminal):
    """Every sign that was sent and is not ASCII."""
    return {letter for letter in terminal.sent if not letter.isascii()}


@pytest.mark.parametrize(
    ("environment", "colors", "signs"),
    [
        ({"TERM": "xterm-256color"}, {"256"}, "all"),
        ({"TERM": "tmux-256color"}, {"256"}, "all"),
        ({"COLORTERM": "truecolor"}, {"truecolor"}, "all"),
        ({"TERM": "xterm"}, {"16"}, "all"),
        ({"TERM": "screen"}, {"16"}, "all"),
        ({"TERM": "linux"}, {"16"}, "console"),
        ({"TERM": "vt100"}, set(), "ascii"),
        ({"TERM": "dumb"}, set(), "ascii"),
        ({"NO_COLOR": "1"}, set(), "all"),
        ({"NO_COLOR": "1", "COLORTERM": "truecolor"}, set(), "all"),
        ({"PQD_MARKER": "ascii"}, {"256"}, "ascii"),
    ],
    ids=lambda value: "+".join(map("=".join, value.items())) if isinstance(value, dict) else "",
)
def test_every_kind_of_terminal_shows_every_screen_and_is_restored(store, start, environment, colors, signs):
    finished(store, "quiet")
    finished(store, "other", "PQ")
    terminal = start(**environment)
    terminal.until("ok finished")
    tour(terminal)
    quit_well(terminal)
    assert terminal.screen.colors == colors
    sent = beyond(terminal)
    if signs == "ascii":
        assert not sent
    elif signs == "console":
        assert {"─", "│", "┤"} <= sent
        assert not sent & (BRAILLE | set("╭╮╰╯▖▗▘▝⏎␣◉◇⋄▔▁▊▎"))
    else:
        assert sent & BRAILLE
        assert {"─", "│", "┤", "⏎"} <= sent


def test_without_colours_the_cursor_and_what_has_the_focus_are_reversed(store, start):
    finished(store, "quiet")
    finished(store, "other", "PQ")
    terminal = start(NO_COLOR="1")
    terminal.until("ok finished")

    def is_reversed(*words):
        terminal.until(lambda: any(all(w in line for w in words) for line in terminal.screen.reversed_lines))

    is_reversed("1 Runs")
    terminal.press("home")
    for key, name in (("down", "quiet"), ("up", "other")):
        names = [name, "other" if name == "quiet" else "quiet"]
        first = next(line for line in terminal.screen.lines if "ok finished" in line)
        terminal.press(key)
        wanted = next(each for each in names if (each in first) == (key == "up"))
        is_reversed(">", wanted, "94.0")
        assert sum("ok finished" in line for line in terminal.screen.reversed_lines) == 1
    terminal.press("d")
    is_reversed("keep")
    leave(terminal, "keep")
    terminal.press("T")
    is_reversed("calm")
    leave(terminal, "high-contrast")
    show(terminal, opened[2])
    is_reversed("top-1")
    quit_well(terminal)


@pytest.mark.parametrize("coerced", ["1", "0"])
def test_a_locale_without_utf8_opens(store, start, coerced):
    finished(store, "quiet")
    finished(store, "名前é", "PQ")
    terminal = start(LC_ALL="C", LANG="C", PYTHONCOERCECLOCALE=coerced, PYTHONUTF8=coerced)
    terminal.until("quiet")
    tour(terminal)
    quit_well(terminal)
    if coerced == "0":
        assert not beyond(terminal)
        assert "????e" in terminal.sent
    else:
        assert "名前é" in terminal.sent


def test_a_light_background_is_asked_for_and_gets_the_light_theme(store, start):
    finished(store)
    for answer, ground in (("ffff/fafa/f0f0", "48;5;254"), ("1212/1212/1212", "48;5;233"), ("", "48;5;233")):
        terminal = start(background=answer)
        terminal.until("quiet")
        assert "11;?" in terminal.screen.commands
        grounds = {"48;5;254", "48;5;233"} & {
            found for style in terminal.screen.styles for found in ("48;5;254", "48;5;233") if found in style
        }
        assert grounds == {ground}
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


@pytest.mark.parametrize(
    "size", [pytest.param((80, 24), id="80x24"), pytest.param((200, 60), id="200x60", marks=pytest.mark.slow)]
)
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
    # Whatever room there is, so much of a name is shown.
    begins = [words.cut(name, 9).removesuffix("…") for name in hostile]
    for begin in begins:
        terminal.until(begin)

    def is_calm(where):
        assert "5" not in terminal.screen.modes, where
        assert terminal.screen.lines[0].lstrip().startswith("pqd"), where
        assert "pwned" not in terminal.screen.title
        assert not {"J", "K"} & terminal.screen.sequences, terminal.screen.sequences

    terminal.press("home")
    for row in range(3, 3 + len(hostile) + 2):
        if row > 3:
            terminal.press("down")
        terminal.until(lambda row=row: terminal.screen.lines[row].startswith(">"))
        terminal.settle()
        begin = next((each for each in begins if each in terminal.screen.lines[row]), "")
        if not begin:
            continue
        for opening, shown in (
            ("d", "keep"),
            ("e", "export"),
            ("t", "tags"),
            ("i", "esc"),
            ("f1", "esc"),
            ("?", "esc"),
        ):
            before = terminal.screen.text
            terminal.press(opening)
            terminal.until(
                lambda shown=shown, before=before: terminal.screen.text != before and shown in terminal.screen.text
            )
            terminal.settle()
            is_calm(opening)
            if opening in ("d", "e", "t", "i"):
                assert sum(begin in line for line in terminal.screen.lines), (opening, terminal.screen.text)
            terminal.press("escape")
            terminal.until(lambda before=before: terminal.screen.text == before)
            terminal.settle()
        terminal.press(":")
        terminal.until("Search for commands")
        terminal.press(*f"run {begin[:4]}")
        # A long name has lines of its own below the word.
        terminal.until(lambda begin=begin: re.search(rf"  run\s+{re.escape(begin)}", terminal.screen.text))
        is_calm("commands")
        leave(terminal, "🔎")
        for entry in opened[1:]:
            terminal.press(entry.key)
            terminal.until(lambda entry=entry: only_there[entry.name] in terminal.screen.text)
            terminal.settle()
            is_calm(entry.name)
            if entry.name != "compose":
                terminal.until(begin)
        show(terminal, opened[0])
    assert len(RunStore(store.folder).runs()) == len(hostile) + 2
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


def test_another_size_is_taken_up_whatever_the_environment_says_of_it(store, start):
    finished(store)
    terminal = start(COLUMNS="80", LINES="24")
    terminal.until("quiet")
    terminal.resize(120, 40)
    terminal.until(lambda: "help" in terminal.screen.lines[39])
    assert terminal.screen.lines[0].lstrip().startswith("pqd-workbench")
    quit_well(terminal)


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


@pytest.fixture
def window(store, tmux):
    """Open the workbench in a window of tmux without a status line."""

    def window(columns, rows):
        command = f"{sys.executable} -m workbench --store {store.folder}"
        tmux("new-session", "-d", "-x", str(columns), "-y", str(rows), command)
        tmux("set-option", "-g", "status", "off")
        # Keys that come within a millisecond would be pasted text, and the prefix a letter.
        tmux("set-option", "-g", "assume-paste-time", "0")
        # The newest client decides by default, which one is only after its first key.
        tmux("set-option", "-g", "window-size", "smallest")
        return lambda size: Terminal(["tmux", "-L", tmux.name, "attach"], size=size)

    return window


def end_of(tmux):
    tmux("send-keys", "q")
    end_s = time.monotonic() + 30
    while subprocess.run(["tmux", "-L", tmux.name, "has-session"], capture_output=True, check=False).returncode == 0:
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_a_window_of_tmux_is_left_and_found_again_in_another_size(store, tmux, window):
    finished(store)
    finished(store, "other", "PQ")
    attach = window(80, 24)

    def is_whole(terminal, entry, columns, rows):
        terminal.settle()
        shown = tmux("capture-pane", "-p").rstrip("\n").split("\n")
        rule = max(len(line.rstrip()) for line in shown)
        only = {name for name, word in only_there.items() if any(word in line for line in shown)}
        is_framed = shown[0].lstrip().startswith("pqd") and "help" in shown[-1]
        return only == {entry.name} and is_framed and len(shown) == rows and columns - 2 <= rule <= columns

    for size in ((80, 24), (120, 40)):
        with attach(size) as terminal:
            # What is typed before the app listens is not for it.
            terminal.until(lambda terminal=terminal, size=size: is_whole(terminal, opened[0], *size))
            for entry in (*opened, opened[0]):
                terminal.press(entry.key)
                terminal.until(lambda terminal=terminal, entry=entry, size=size: is_whole(terminal, entry, *size))
            assert tmux("display-message", "-p", "#{pane_title}").strip() == "pqd-workbench"
            terminal.press("\x02", "d")
            assert terminal.end() == 0
    end_of(tmux)


@pytest.mark.parametrize(("clipboard", "passthrough"), [("on", "off"), ("off", "on")], ids=["as it is", "wrapped"])
def test_what_is_copied_in_tmux_reaches_its_buffer_or_the_terminal_around_it(
    store, tmux, window, clipboard, passthrough
):
    run = finished(store)
    attach = window(80, 24)
    tmux("set-option", "-s", "set-clipboard", clipboard)
    tmux("set-option", "-g", "allow-passthrough", passthrough)
    with attach((80, 24)) as terminal:
        terminal.until("quiet")
        terminal.press("y")
        terminal.until("run id")
        terminal.press("enter")
        terminal.until("Copied:")
        if clipboard == "on":
            assert tmux("show-buffer") == run.id
        else:
            terminal.until(lambda: run.id in terminal.screen.copied)
        terminal.press("\x02", "d")
        assert terminal.end() == 0
    end_of(tmux)

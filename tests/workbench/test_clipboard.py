"""What is copied reaches the terminal as it is and wrapped, and always a file."""

import base64
import re
import subprocess
import sys

import pytest

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.terminals import Terminal
from workbench import clipboard, copying
from workbench.modals.choose import ChooseModal


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("PQD_WORKBENCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def decoded(found):
    return [base64.b64decode(part).decode() for part in re.findall(rb"\]52;c;([A-Za-z0-9+/=]*)\x07", found)]


def test_a_plain_terminal_gets_one_command():
    sent = clipboard.sequence("名前 [red]", {"TERM": "xterm-256color"}).encode()
    assert decoded(sent) == ["名前 [red]"]
    assert b"\x1bP" not in sent


def test_inside_tmux_it_is_sent_as_it_is_and_wrapped():
    sent = clipboard.sequence("text", {"TERM": "tmux-256color", "TMUX": "/tmp/x"}).encode()
    assert decoded(sent) == ["text", "text"]
    assert b"\x1bPtmux;\x1b\x1b]52;c;" in sent
    assert sent.endswith(b"\x07\x1b\\")


def test_inside_screen_it_is_sent_in_pieces():
    text = "x" * 1000
    sent = clipboard.sequence(text, {"TERM": "screen", "STY": "1.x"})
    raw, *pieces = sent.split("\x1bP")
    assert decoded(raw.encode()) == [text]
    assert all(len(piece) <= 252 for piece in pieces)
    assert "".join(piece.removesuffix("\x1b\\") for piece in pieces) == raw


def test_a_text_that_terminals_refuse_goes_into_the_file_alone(state):
    assert clipboard.sequence("x" * (clipboard.LARGEST + 1), {}) == ""
    assert len(clipboard.sequence("x" * clipboard.LARGEST, {"TERM": "xterm"})) < 100_100
    assert clipboard.keep("x" * 100_000).read_text() == "x" * 100_000


def test_a_folder_that_cannot_be_written_is_no_error(state):
    state.write_text("")
    assert clipboard.keep("text") is None


async def test_everything_of_a_run_can_be_copied(app, store, state, monkeypatch):
    ours = fakes.recipe_of("pq [red]", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    wanted = [
        run.id, str(run.folder), f"pqd-workbench watch {run.id} --store {store.folder}",
        f"pqd-workbench run {run.folder / 'recipe.toml'} --store {store.folder}",
        f"pqd-workbench show {run.id} --store {store.folder}",
        f"{copying.HEADER}\npq [red]\tPQ\tfinished\t94.00\t-0.60\t2.86\t1.20\t4.42",
        (run.folder / "recipe.toml").read_text(),
    ]  # fmt: skip
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        for place, text in enumerate(wanted):
            await pilot.press("y")
            await until(pilot, lambda: isinstance(app.screen, ChooseModal))
            await pilot.press(*["down"] * place, "enter")
            await until(pilot, lambda text=text: (state / "clipboard.txt").read_text() == text, text)
        await until(pilot, lambda: "Copied:" in screen_text(app))


def test_the_command_that_is_copied_works_in_a_shell(store):
    ours = fakes.recipe_of("it's [a] run", "P")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    command = copying.command("show", run.id, store).replace("pqd-workbench", f"{sys.executable} -m workbench", 1)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "it's [a] run" in done.stdout


async def test_without_a_run_the_next_key_is_named(app):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await pilot.press("y")
        await until(pilot, lambda: "press 2" in screen_text(app))


def test_the_bytes_reach_the_terminal(store):
    ours = fakes.recipe_of("quiet", "P")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    with Terminal.workbench(store.folder, environment={"TMUX": "", "STY": ""}) as terminal:
        terminal.until("quiet")
        terminal.press("y")
        terminal.until("run id")
        terminal.press("enter")
        terminal.until(lambda: terminal.screen.copied == [run.id])
        terminal.press("q")
        assert terminal.end() == 0

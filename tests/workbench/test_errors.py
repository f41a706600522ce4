"""An error of the workbench's own is told, written down and survived; a crash leaves the terminal as it was."""

import sys

import pytest
from textual import work

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.terminals import Terminal
from workbench import failures
from workbench.app import Workbench
from workbench.modals.confirm import ConfirmModal
from workbench.modals.error import ErrorModal
from workbench.screens.compose import ComposeScreen
from workbench.screens.runs import RunsScreen
from workbench.settings import Settings


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("PQD_WORKBENCH_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


class Faulty(Workbench):
    """Fails where it is told to."""

    CSS_PATH = None

    def action_fail(self):
        raise RuntimeError("[red]the action[/ failed")

    @work(thread=True, exit_on_error=False)
    def fail_in_a_thread(self):
        raise RuntimeError("the thread failed")

    @work(thread=True)
    def fail_in_a_strict_thread(self):
        raise RuntimeError("the strict thread failed")


@pytest.fixture
def faulty(store, saved):
    app = Faulty(store, saved, Settings(poll_s=0.02))
    app.must_endure = True
    return app


async def test_an_error_in_an_action_is_shown_written_down_and_survived(faulty, state):
    async with faulty.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: faulty.shelf.rows is not None)
        for _ in range(2):
            faulty.call_later(faulty.action_fail)
            await pilot.pause()
        await until(pilot, lambda: isinstance(faulty.screen, ErrorModal))
        assert "[red]the action[/ failed" in faulty.screen._text
        assert str(failures.log_path()) in faulty.screen._more
        assert "Traceback" in (state / "workbench.log").read_text()
        await pilot.press("c")
        await until(pilot, lambda: (state / "clipboard.txt").exists())
        await pilot.press("escape")
        # The same place of the code is told once, so one layer was opened.
        await until(pilot, lambda: isinstance(faulty.screen, RunsScreen))
        await pilot.press("2")
        await until(pilot, lambda: isinstance(faulty.screen, ComposeScreen))
    assert faulty.return_code in (0, None)


async def test_an_error_in_a_screen_is_survived(faulty, monkeypatch):
    def fail(self):
        raise RuntimeError("the screen failed")

    monkeypatch.setattr(RunsScreen, "action_presets", fail)
    async with faulty.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: faulty.shelf.rows is not None)
        await pilot.press("p")
        await until(pilot, lambda: isinstance(faulty.screen, ErrorModal))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(faulty.screen, RunsScreen))


async def test_an_error_in_a_thread_is_survived(faulty):
    async with faulty.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: faulty.shelf.rows is not None)
        faulty.fail_in_a_strict_thread()
        await until(pilot, lambda: isinstance(faulty.screen, ErrorModal))
        assert "the strict thread failed" in faulty.screen._text
        await pilot.press("escape")
        faulty.fail_in_a_thread()
        await until(pilot, lambda: isinstance(faulty.screen, ErrorModal))
        assert "the thread failed" in faulty.screen._text


async def test_a_test_sees_errors_as_they_are(store, saved):
    app = Faulty(store, saved, Settings(poll_s=0.02))
    with pytest.raises(RuntimeError, match="the action"):  # noqa: PT012 - it is raised on leaving the inner block
        async with app.run_test(size=(80, 24)) as pilot:
            app.call_later(app.action_fail)
            await pilot.pause(0.1)


def test_the_log_begins_anew_before_it_grows_large(state, monkeypatch):
    monkeypatch.setattr(failures, "LARGEST", 10)
    for number in range(3):
        failures.record(RuntimeError(f"number {number}"))
    assert "number 2" in (state / "workbench.log").read_text()
    assert "number 1" in (state / "workbench.log.1").read_text()


def test_where_no_log_can_be_written_the_sentence_says_so(state):
    state.write_text("")
    assert failures.record(RuntimeError("x")) is None
    assert "no log could be written" in failures.sentence(RuntimeError("x"), None)


crash = """
import sys
from workbench.screens.runs import RunsScreen
from textual.widgets import Static

def fail(self):
    raise RuntimeError("drawing failed")

Static.render = fail
from workbench.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_crash_is_one_sentence_and_the_terminal_is_as_before(store, state):
    words = [sys.executable, "-c", crash, "--store", str(store.folder), "--theme", "dark"]
    # Wide, as the screen of these tests does not wrap.
    with Terminal(words, size=(200, 24)) as terminal:
        assert terminal.end() == 1
        assert terminal.is_restored()
        told = " ".join(terminal.screen.text.split())
        assert "the workbench failed (RuntimeError: drawing failed); the traceback is in" in told
        assert told.endswith("Runs go on.")
        assert "Traceback" not in told
    assert "drawing failed" in (state / "workbench.log").read_text()


async def test_leaving_asks_only_when_something_would_be_lost(store, saved, monkeypatch):
    app = Workbench(store, saved, Settings(poll_s=0.02))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        monkeypatch.setattr(RunsScreen, "unsaved", "the recipe in Compose")
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, ConfirmModal) and "the recipe in Compose" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        monkeypatch.setattr(RunsScreen, "unsaved", "")
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)


async def test_escape_leaves_one_layer_of_many(app, store):
    ours = fakes.recipe_of("one", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        for key in ("question_mark", "f1", "colon", "T", "f2"):
            await pilot.press(key)
            await until(pilot, lambda: len(app.screen_stack) == 2, key)
            await pilot.press("escape")
            await until(pilot, lambda: len(app.screen_stack) == 1, key)
            assert isinstance(app.screen, ComposeScreen)
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("escape")
        assert app.is_running

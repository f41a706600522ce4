"""A run that ends is told: in the title, by the bell, in a corner; and leaving says what goes on."""

import pytest

from pipeline import events as e
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.terminals import Terminal
from workbench import attention
from workbench.attention import Attention
from workbench.settings import Settings


class Told:
    def __init__(self, monkeypatch, term="xterm-256color", **settings):
        monkeypatch.setenv("TERM", term)
        self.sent, self.bells, self.said = "", 0, []
        self.attention = Attention(
            Settings(**settings),
            write=self.write,
            bell=self.ring,
            say=lambda text, is_error: self.said.append((text, is_error)),
        )

    def write(self, letters):
        self.sent += letters

    def ring(self):
        self.bells += 1


async def test_a_run_that_ends_is_told_in_a_corner_with_its_result(app, store):
    ours = fakes.recipe_of("pq [red]", "PQ")
    events = fakes.whole(ours)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        with fakes.running(store, ours, events[:-1]) as run:
            await until(pilot, lambda: app.shelf.rows and app.shelf.current.is_running)
            with run.events_path.open("ab") as log:
                import msgspec

                log.write(msgspec.json.encode(events[-1]) + b"\n")
        await until(pilot, lambda: "pq [red] finished: 94.0 %, 2.86" in screen_text(app))


async def test_what_was_over_before_is_not_told(app, store):
    ours = fakes.recipe_of("old", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        assert not list(app._notifications)


def row(**values):
    from pipeline.runs.rows import Row
    from pipeline.runs.state import Status

    return Row(**{"id": "one", "name": "one", "backbone": "tiny", "status": Status.RUNNING} | values)


@pytest.mark.parametrize(
    ("status", "values", "sentence", "is_error"),
    [
        ("finished", {"top1": 94.06, "size_bytes": 3_000_000, "median_ms": 1.2, "started_s": 0.0, "ended_s": 760.0},
         "one finished: 94.1 %, 2.86 MiB, 1.20 ms after 12:40.", False),
        ("failed", {"failure": "The disk is full."}, "one failed: The disk is full.", True),
        ("stopped", {}, "one was stopped.", False),
        ("lost", {}, "one is lost: its process died without a word.", True),
    ],
)  # fmt: skip
def test_each_ending_has_its_sentence_and_rings_once(monkeypatch, status, values, sentence, is_error):
    from pipeline.runs.state import Status

    told = Told(monkeypatch)
    told.attention.take([row(), row(id="two", name="two")])
    told.attention.take([row(status=Status(status), **values), row(id="two", name="two")])
    told.attention.take([row(status=Status(status), **values), row(id="two", name="two")])
    assert told.said == [(sentence, is_error)]
    assert told.bells == 1


def test_the_title_counts_what_goes_on_changes_only_then_and_is_given_back(monkeypatch):
    told = Told(monkeypatch)
    for _ in range(3):
        told.attention.take([row(), row(id="two")])
    assert told.sent == "\x1b[22;2t\x1b]2;2 running · pqd-workbench\x07"
    told.attention.take([])
    told.attention.close()
    assert told.sent.endswith("\x1b]2;pqd-workbench\x07\x1b[23;2t")
    assert told.sent.count("\x1b[22;2t") == 1


@pytest.mark.parametrize(("term", "settings"), [("linux", {}), ("dumb", {}), ("xterm", {"title": False})])
def test_a_terminal_without_titles_is_sent_none(monkeypatch, term, settings):
    told = Told(monkeypatch, term, **settings)
    told.attention.take([row()])
    told.attention.close()
    assert told.sent == ""


def test_bell_and_sentences_can_be_switched_off(monkeypatch):
    told = Told(monkeypatch, bell=False, notify=False)
    told.attention.take([row()])
    told.attention.take([])
    assert (told.bells, told.said) == (0, [])


def test_the_shell_is_told_which_runs_go_on():
    assert attention.farewell([]) == ""
    assert attention.farewell([row()]).startswith("1 run goes on: one. ")
    many = attention.farewell([row(id=str(number), name=str(number)) for number in range(7)])
    assert many.startswith("7 runs go on: 0, 1, 2, 3, 4 and 2 more. ")


def test_q_leaves_at_once_with_the_title_given_back_and_the_runs_named(store, tmp_path):
    homes = {"PQD_WORKBENCH_STATE": str(tmp_path / "state"), "PQD_WORKBENCH_CONFIG": str(tmp_path / "config")}
    with fakes.running(store, fakes.recipe_of("survivor", "P"), []) as run:
        with Terminal.workbench(store.folder, "--theme", "dark", environment=homes) as terminal:
            terminal.until(lambda: terminal.screen.title == "1 running · pqd-workbench")
            # A theme that is named needs no question after the background.
            assert "11;?" not in terminal.screen.commands
            terminal.press("q")
            assert terminal.end() == 0
            assert "1 run goes on: survivor." in terminal.screen.text
            assert terminal.screen.title == ""
        assert fakes.is_locked(run)


@pytest.mark.parametrize("wanted", [True, False])
def test_the_bell_of_the_terminal_rings_once_when_a_run_ends_where_it_is_wanted(store, tmp_path, wanted):
    homes = {"PQD_WORKBENCH_STATE": str(tmp_path / "state"), "PQD_WORKBENCH_CONFIG": str(tmp_path / "config")}
    with Terminal.workbench(store.folder, environment={**homes, "PQD_BELL": str(wanted).lower()}) as terminal:
        with fakes.running(store, fakes.recipe_of("ending", "P"), []) as run:
            terminal.until(lambda: terminal.screen.title == "1 running · pqd-workbench")
            assert terminal.screen.bells == 0
            fakes.write(run, [e.RunFailed(reason="The disk is full.")])
        terminal.until("ending failed: The disk is full.")
        terminal.until(lambda: terminal.screen.title == "pqd-workbench")
        terminal.press("q")
        assert terminal.end() == 0
        assert terminal.screen.bells == int(wanted)

"""The queue in the app: a run that waits says its place, is moved and started; a stop that waits is withdrawn."""

import os

import pytest
from textual.widgets._toast import Toast

from pipeline import events as e
from pipeline.runs import process, queue
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench.modals.ask import AskModal
from workbench.modals.stop import StopModal
from workbench.screens.live import LiveScreen
from workbench.screens.runs import RunsScreen
from workbench.settings import Settings
from workbench.widgets.run_layout import state_words


@pytest.fixture
def waiting(store):
    """A run at work and three that wait behind it; this process holds their locks."""
    made = [store.create(fakes.recipe_of(name, "P")) for name in ("busy", "one", "two", "three")]
    for run, _ in made[1:]:
        queue.enter(run)
    fakes.write(made[0][0], [fakes.started(made[0][0].recipe())])
    yield [run for run, _ in made[1:]]
    for _, lock in made:
        os.close(lock)


def order(store):
    return [run.recipe().name for run in queue.waiting(store)]


async def listed(app, pilot):
    await until(pilot, lambda: len(app.shelf.rows or ()) == 4 and app.focused and "waits (3)" in screen_text(app))


def choose(app, *names):
    ids = {row.name: row.id for row in app.shelf.rows.values()}
    app.select(ids[names[0]])
    app.mark({ids[name] for name in names} if len(names) > 1 else set())


async def test_runs_that_wait_say_their_place_and_are_moved(app, store, waiting):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        choose(app, "three")
        await pilot.press("K")
        await until(pilot, lambda: order(store) == ["one", "three", "two"])
        await until(pilot, lambda: app.shelf.current.queued_at == 2)
        await pilot.press("J")
        await until(pilot, lambda: order(store) == ["one", "two", "three"])


async def test_marked_runs_are_moved_together_and_stay_in_their_order_at_the_ends(app, store, waiting):
    async with app.run_test(size=(140, 40)) as pilot:
        await listed(app, pilot)
        choose(app, "two", "three")
        await pilot.press("K")
        await until(pilot, lambda: order(store) == ["two", "three", "one"])
        await until(pilot, lambda: app.shelf.row(waiting[0].id).queued_at == 3)
        await pilot.press("K")
        await pilot.pause()
        assert order(store) == ["two", "three", "one"]
        await pilot.press("J")
        await until(pilot, lambda: order(store) == ["one", "two", "three"])


async def test_a_run_that_waits_begins_at_once_and_the_places_close_up(app, store, waiting):
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot)
        choose(app, "one")
        await pilot.press("S")
        await until(pilot, lambda: "one begins now." in screen_text(app) and order(store) == ["two", "three"])
        await until(pilot, lambda: app.shelf.row(waiting[2].id).queued_at == 2)
        choose(app, "busy")
        await pilot.press("S")
        await until(pilot, lambda: "Only a run that waits in the queue" in screen_text(app))


async def test_the_palette_finds_the_queue(app, store, waiting):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        choose(app, "two")
        await pilot.press("colon", *"queue up")
        await until(pilot, lambda: "Let the waiting run begin one place earlier" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: order(store) == ["two", "one", "three"])


async def test_where_only_reading_is_allowed_the_queue_stays(app, store, waiting):
    app.settings = Settings(poll_s=0.02, read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot)
        choose(app, "three")
        await pilot.press("K", "J", "S", "L")
        await until(pilot, lambda: "This workbench only reads" in screen_text(app))
        assert order(store) == ["one", "two", "three"]
        assert isinstance(app.screen, RunsScreen)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=str)
async def test_how_many_go_on_at_once_is_asked_and_kept(app, store, waiting, size):
    async with app.run_test(size=size, notifications=True) as pilot:
        await listed(app, pilot)
        await pilot.press("L")
        await until(pilot, lambda: "how many runs may go on at once?" in screen_text(app))
        assert app.focused.value == "1"
        for wrong in ("0", "x", "2000", ""):
            app.focused.value = wrong
            await until(pilot, lambda: "a whole number from 1 to 1024" in screen_text(app))
            await pilot.press("enter")
            assert isinstance(app.screen, AskModal)
        await pilot.press("3")
        await until(pilot, lambda: "While so many go on, a queued run waits" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "3 runs may go on at once." in screen_text(app) and queue.limit(store) == 3)
        await pilot.press("L", "escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert queue.limit(store) == 3


def toast_text(app):
    """What stands in the corner, as one line wherever it is broken."""
    region = app.screen.query_one(Toast).region
    rows = screen_text(app).splitlines()[region.y : region.bottom]
    return " ".join(" ".join(row[region.x : region.right].strip("▌ ") for row in rows).split())


async def test_a_damaged_limit_is_told_and_replaced(app, store, waiting):
    (store.folder / "queue.json").write_text("{")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot)
        await pilot.press("L")
        await until(pilot, lambda: isinstance(app.screen, AskModal) and "set the limit again" in toast_text(app))
        await pilot.press("2", "enter")
        await until(pilot, lambda: queue.limit(store) == 2)


async def test_a_run_that_waits_is_offered_to_begin(app, waiting):
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot)
        choose(app, "three")
        await until(pilot, lambda: "s stop  S start now  ? help  q quit" in screen_text(app).splitlines()[-1])


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=str)
async def test_a_stop_that_waits_is_told_and_withdrawn(app, store, size):
    ours = fakes.recipe_of("alive", "P")
    part = fakes.training(ours, 0, fakes.START_S, epochs=2)
    with fakes.running(store, ours, [fakes.started(ours), *part, e.StopRequested(when="epoch")]) as run:
        process.stop(run, "epoch")
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: "stops after epoch" in screen_text(app))
            assert "stops after this epoch; " in screen_text(app)
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, StopModal) and app.focused is not None)
            assert app.focused.id == "none"
            await pilot.press("g")
            await until(pilot, lambda: "alive will not stop." in screen_text(app))
            assert isinstance(app.screen, RunsScreen)
            assert not run.stop_path.exists()


def test_a_stop_that_waits_fits_the_narrow_column(store):
    from pipeline.runs.index import Index

    ours = fakes.recipe_of("alive", "P")
    with fakes.running(store, ours, [fakes.started(ours), e.StopRequested(when="stage")]):
        index = Index(store)
        index.look()
        (row,) = index.rows
        assert state_words(row, 26) == "> stops after stage"
        assert state_words(row, 17) == "stops after stage"


async def test_a_run_that_was_resumed_is_selected(app, store, monkeypatch):
    ours = fakes.recipe_of("cut", "P")
    before = fakes.add_run(store, ours, [fakes.started(ours), e.RunStopped()])
    locks = []

    def relaunch(run, *, queue=False):
        again, lock = store.create(run.recipe())
        locks.append(lock)
        return again

    # A whole pipeline process would only take long here: what counts is which run the app shows then.
    monkeypatch.setattr(process, "relaunch", relaunch)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and app.focused)
        app.select(before.id)
        await pilot.press("r")
        await until(pilot, lambda: app.screen.query("#launch") and not app.screen.query_one("#launch").disabled)
        await pilot.press("y")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        assert app.shelf.selected not in (None, before.id)
        assert app.memory.get("runs.selected", "") == app.shelf.selected
    os.close(locks[0])

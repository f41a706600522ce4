"""A run on disk is shown as it goes on: live, then finished, then on the frontier."""

import time

from pipeline import events as e
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until, workbench
from workbench.screens.frontier import FrontierScreen
from workbench.screens.live import LiveScreen
from workbench.screens.runs import RunsScreen
from workbench.widgets.chart import Chart


async def test_a_running_log_is_shown_live_then_finished_then_on_the_frontier(app, store):
    ours = fakes.recipe_of("live-one", "PQ")
    now = time.time() - 30
    with fakes.running(store, ours, [fakes.started(ours, now), *fakes.training(ours, 0, now, epochs=2)]) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "> baseline 2/4" in screen_text(app))
            await pilot.press("enter")
            await until(pilot, lambda: isinstance(app.screen, LiveScreen))
            await until(pilot, lambda: "2/4" in screen_text(app) and "left" in screen_text(app))
            await until(pilot, lambda: "⡇" in app.screen.query_one("#chart-0", Chart).plain_text())
            assert "quantize" in screen_text(app)
            fakes.write(run, fakes.training(ours, 0, now)[12:])
            await until(pilot, lambda: "base ok" in screen_text(app))
            rest = fakes.whole(ours, top1=93.7)
            fakes.write(run, [event for event in rest if isinstance(event, e.StageReused)])
            fakes.write(run, rest[len(fakes.training(ours, 0, now)) + 1 :])
            await until(pilot, lambda: "ok finished" in screen_text(app))
            assert "93.7" in screen_text(app)
            await pilot.press("4")
            await until(pilot, lambda: isinstance(app.screen, FrontierScreen) and "◉" in screen_text(app))
            assert "live-one" in screen_text(app)
            assert "on the front here: yes" in screen_text(app)


async def test_stop_asks_then_writes_the_stop_file(app, store):
    with fakes.running(store, fakes.recipe_of("halt", "P"), []) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.selected == run.id)
            for key, wanted in (("n", False), ("escape", False), ("y", True)):
                await pilot.press("s")
                await until(pilot, lambda: "stop this run?" in screen_text(app))
                await pilot.press(key)
                await until(pilot, lambda: isinstance(app.screen, RunsScreen))
                assert run.stop_path.exists() is wanted
        assert fakes.is_locked(run)


async def test_quitting_leaves_the_run_alone(store, saved, tmp_path):
    with fakes.running(store, fakes.recipe_of("stays", "P"), []) as run:
        app = workbench(store, saved, tmp_path)
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.views)
            await pilot.press("3", "q")
        assert fakes.is_locked(run)
        assert not run.stop_path.exists()


async def test_a_run_whose_process_dies_becomes_lost(app, store):
    async with app.run_test(size=(80, 24)) as pilot:
        with fakes.running(store, fakes.recipe_of("dies", "P"), []):
            await until(pilot, lambda: ".. queued" in screen_text(app))
        await until(pilot, lambda: "!! lost" in screen_text(app))


async def test_the_printed_log_grows_and_pause_holds_the_picture(app, store):
    ours = fakes.recipe_of("talks", "P")
    now = time.time() - 10
    with fakes.running(store, ours, [fakes.started(ours, now), *fakes.training(ours, 0, now, epochs=1)]) as run:
        run.log_path.write_text("first words\n 1%\r 50%\r100%\n")
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.views)
            await pilot.press("3")
            await until(pilot, lambda: "1/4" in screen_text(app))
            await pilot.press("l")
            await until(pilot, lambda: "first words" in screen_text(app))
            assert "100%" in screen_text(app)
            assert "50%" not in screen_text(app)
            await pilot.press("space")
            await until(pilot, lambda: "paused" in screen_text(app))
            fakes.write(run, fakes.training(ours, 0, now, epochs=3)[6:])
            await until(pilot, lambda: app.views[run.id].state.stages[0].epoch == 3)
            assert "1/4" in screen_text(app)
            await pilot.press("space")
            await until(pilot, lambda: "3/4" in screen_text(app))


async def test_tab_shows_one_metric_after_the_other_and_escape_leaves_layer_by_layer(app, store):
    ours = fakes.recipe_of("zoom", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.views)
        await pilot.press("3")
        await until(pilot, lambda: "images/s" in screen_text(app) and "learning rate" in screen_text(app))
        await pilot.press("tab", "tab", "tab")
        await until(pilot, lambda: "images/s " not in screen_text(app))
        assert "learning rate" in screen_text(app)
        assert "validation" not in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "images/s" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_metric_that_is_not_finite_is_a_gap(app, store):
    ours = fakes.recipe_of("nan", "P")
    strange = [
        {"loss": None, "top1": None},
        {"loss": float("inf")},
        {"loss": -1.0, "learning_rate": 0.0},
        {"loss": 1e30},
    ]
    found = [fakes.started(ours), e.StageStarted(index=0, steps=40)]
    found += [e.Progressed(index=0, step=10 * place, metrics=metrics) for place, metrics in enumerate(strange)]
    with fakes.running(store, ours, found):
        async with app.run_test(size=(140, 40)) as pilot:
            await until(pilot, lambda: app.views)
            await pilot.press("3")
            await until(pilot, lambda: "no numbers yet" in screen_text(app))
            assert "loss" in screen_text(app)


async def test_the_same_picture_is_not_drawn_twice(app, store):
    ours = fakes.recipe_of("still", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.views)
        await pilot.press("3")
        await until(pilot, lambda: "prune" in app.screen.query_one("#chart-0", Chart).plain_text())
        chart = app.screen.query_one("#chart-0", Chart)
        rows = chart._rows
        app.screen.show_views()
        await pilot.pause()
        assert chart._rows is rows


async def test_arrows_step_through_runs(app, store):
    for name in ("first", "second"):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.views and len(app.views) == 2)
        ids = list(app.views)
        app.selected = ids[0]
        await pilot.press("3")
        await until(pilot, lambda: isinstance(app.screen, LiveScreen))
        for key, place in (("right", 1), ("right", 1), ("[", 0)):
            await pilot.press(key)
            await until(pilot, lambda place=place: app.selected == ids[place])
            await until(pilot, lambda: app.view(app.selected).name in screen_text(app))

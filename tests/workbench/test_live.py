"""Live: is it learning, when is it done, should I stop it? Runs on disk, shown as they go on."""

import os
import time

import pytest

from pipeline import events as e
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench import terminal
from workbench.machine import Gpu, Sampler, Usage
from workbench.screens.live import LiveScreen
from workbench.widgets.machine_strip import MachineStrip
from workbench.widgets.tiles import Tiles


async def open_live(pilot, size=None):
    app = pilot.app
    await until(pilot, lambda: app.shelf.rows)
    await pilot.press("3")
    await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.tiles.chosen is not None)
    return app.screen


def titles(app):
    return [metric.key for metric in app.screen.tiles.charted]


def tile(app, place=0):
    return app.screen.query("Tile")[place]


def begun(of, epochs, ago_s=30.0, index=0):
    now = time.time() - ago_s
    return [fakes.started(of, now), *fakes.training(of, index, now, epochs=epochs)]


@pytest.fixture
def done(store):
    ours = fakes.recipe_of("done", "PQ")
    return fakes.add_run(store, ours, fakes.whole(ours, top1=93.7))


async def test_head_strip_and_charts_say_where_a_run_is(app, store):
    ours = fakes.recipe_of("goes-on", "PQ")
    with fakes.running(store, ours, begun(ours, 2)) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            await until(pilot, lambda: "> baseline, 1 of 3" in screen_text(app) and "2/4" in screen_text(app))
            assert "left of" in screen_text(app)
            assert time.strftime("done %H:") in screen_text(app) or "done" in screen_text(app)
            assert "step 40/80" in screen_text(app)
            assert "min elapsed" in screen_text(app)
            await until(pilot, lambda: "quantize" in tile(app).chart.plain_text())
            fakes.write(run, fakes.training(ours, 0, time.time() - 30)[12:])
            await until(pilot, lambda: "B ok" in screen_text(app))


async def test_waiting_and_silence_are_said_instead_of_a_time_that_is_not_known(app, store):
    ours = fakes.recipe_of("waits", "P")
    long_ago = begun(ours, 1, ago_s=500.0)
    with fakes.running(store, ours, long_ago) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            await until(pilot, lambda: "no news for 8:" in screen_text(app))
            fakes.write(run, [e.Waited(reason="waiting for a measurement to end")])
            await until(pilot, lambda: "waiting for a measurement to end" in screen_text(app))
            assert "left" not in screen_text(app)


async def test_a_finished_run_shows_what_came_out(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: "ok finished" in screen_text(app) and "deployed  top1 93.7 %" in screen_text(app))


async def test_an_empty_store_names_the_next_key(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: "Press 2 to compose one." in screen_text(app))


@pytest.mark.parametrize(("size", "count"), [((80, 24), 2), ((140, 40), 4), ((200, 60), 4)])
async def test_as_many_charts_as_fit_are_shown_and_the_rest_is_counted(app, store, done, size, count):
    async with app.run_test(size=size) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: len(titles(app)) == count == len(app.screen.query("Tile")))
        await until(pilot, lambda: ("2 more: ]" in screen_text(app)) == (count == 2))


async def test_charts_are_paged_and_the_page_is_remembered(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: titles(app) == ["learning_rate", "images_per_s"])
        assert app.memory.get("live.first", "") == "learning_rate"
        await pilot.press("right_square_bracket")
        await until(pilot, lambda: titles(app) == ["top1", "loss"])
        await pilot.press("left_square_bracket")
        await until(pilot, lambda: "learning rate" in screen_text(app))


async def test_enter_shows_one_chart_alone_and_escape_leaves_layer_by_layer(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        await pilot.press("tab", "enter", "left")
        await until(pilot, lambda: titles(app) == ["loss"] and "at epoch" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: "at epoch" not in screen_text(app))
        assert titles(app) == ["loss"]
        await pilot.press("escape")
        await until(pilot, lambda: len(titles(app)) == 4)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, LiveScreen))


async def test_logarithm_smoothing_and_outliers_are_kept_for_each_chart(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        await pilot.press("l", "plus", "plus", "h")
        await until(pilot, lambda: "log  ~0.6  1-99%" in screen_text(app))
        assert (tile(app, 1).view.smoothing, tile(app, 1).view.log) == (0.0, False)
        assert app.memory.get("live.top1.smoothing", 0.0) == 0.6
        await pilot.press("minus", "minus", "l", "h")
        await until(pilot, lambda: "~0.6" not in screen_text(app))


async def test_the_axis_goes_from_epochs_to_steps_to_minutes(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: "prune 4" in tile(app).chart.plain_text())
        await pilot.press("x")
        await until(pilot, lambda: "prune 80" in tile(app).chart.plain_text())
        await pilot.press("x")
        await until(pilot, lambda: "prune 0:4" in tile(app).chart.plain_text())
        assert app.memory.get("live.axis", "") == "time"


async def test_one_stage_after_the_other_can_be_looked_at(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await pilot.press("w", "w")
        await until(pilot, lambda: "prune 4" in tile(app).chart.plain_text())
        assert "quantize" not in tile(app).chart.plain_text()
        await until(pilot, lambda: "w: next stage" in screen_text(app))


async def test_limits_are_typed_refused_in_a_sentence_and_reset(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await pilot.press("z", *"x=0:6 y=9:5", "enter")
        await until(pilot, lambda: "y goes from low to high, found 9:5." in screen_text(app))
        await pilot.press(*["backspace"] * 5, *"y=50:99", "enter")
        await until(pilot, lambda: tile(app).chart._picture.y_limits == (50.0, 99.0))
        assert tile(app, 1).chart._picture.x_limits == (0.0, 6.0)
        await pilot.press("z", *["backspace"] * 20, "enter")
        await until(pilot, lambda: tile(app).chart._picture.x_limits == (0.0, 12.0))
        await pilot.press("z", "escape")
        await until(pilot, lambda: app.screen.tiles.chosen is not None)


async def test_the_cursor_reads_every_curve_at_its_place(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: tile(app, 1).chart.canvas is not None)
        await pilot.press("home", "shift+right", "right", "left")
        tiles = app.screen.tiles
        await until(pilot, lambda: tiles.cursor == pytest.approx(10 * 12 / (tile(app).chart.canvas.width - 1)))
        await until(pilot, lambda: "at epoch 1.8, baseline" in screen_text(app))
        assert "loss  train 0.6" in screen_text(app)
        await pilot.press("end")
        await until(pilot, lambda: "at epoch 12.0, quantize" in screen_text(app))


async def test_a_replay_moves_the_cursor_alone(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: tile(app).chart.canvas is not None)
        await pilot.press("P")
        seen = set()
        await until(pilot, lambda: seen.add(app.screen.tiles.cursor) or len(seen) > 3)


async def test_other_runs_are_drawn_beside_with_letters_and_colours_of_their_own(app, store):
    for name in ("first", "second", "third"):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await pilot.press("o")
        await until(pilot, lambda: "draw beside this run" in screen_text(app))
        await pilot.press("space")
        await until(pilot, lambda: "[x] " in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: " A " in screen_text(app) and " B " in screen_text(app))
        colors = {run.detail.id: run.color for run in app.screen._runs()}
        assert len(set(colors.values())) == 2
        await until(pilot, lambda: "A 94" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: len(app.screen._runs()) == 2 or len(app.screen._runs()) == 1)
        assert all(colors.get(run.detail.id, run.color) == run.color for run in app.screen._runs() if run.letter)


async def test_marked_runs_are_drawn_beside_at_once(app, store, done):
    ours = fakes.recipe_of("other", "Q")
    other = fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 2)
        app.select(done.id)
        app.shelf.marked.add(other.id)
        await open_live(pilot)
        await until(pilot, lambda: "A done   B other" in screen_text(app))


async def test_a_metric_that_is_not_finite_is_a_gap_with_a_badge(app, store):
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
            await open_live(pilot)
            await until(pilot, lambda: "2 NaN" in screen_text(app) and "no numbers yet" in screen_text(app))


async def test_pause_holds_the_picture_while_the_data_goes_on(app, store):
    ours = fakes.recipe_of("holds", "P")
    with fakes.running(store, ours, begun(ours, 1)) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            await until(pilot, lambda: "1/4" in screen_text(app))
            await pilot.press("space")
            await until(pilot, lambda: "PAUSED" in screen_text(app))
            before = tile(app).chart._picture
            fakes.write(run, fakes.training(ours, 0, time.time() - 30, epochs=3)[6:])
            await until(pilot, lambda: app.details[run.id].state.stages[0].epoch == 3)
            await pilot.pause()
            assert "1/4" in screen_text(app)
            assert tile(app).chart._picture is before
            await pilot.press("space")
            await until(pilot, lambda: "3/4" in screen_text(app) and tile(app).chart._picture != before)


async def test_the_same_picture_is_not_drawn_twice(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: "prune" in tile(app).chart.plain_text())
        rows = tile(app).chart._rows
        app.screen._draw()
        await pilot.pause()
        assert tile(app).chart._rows is rows


async def test_the_marker_is_changed_and_remembered(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: "prune" in tile(app).chart.plain_text())
        await pilot.press("m", "m")
        await until(pilot, lambda: "*" in tile(app).chart.plain_text())
        assert app.everywhere.get(terminal.memory_name(os.environ), "") == "ascii"


async def test_the_next_and_the_previous_run_of_the_list(app, store):
    for name in ("first", "second"):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 2)
        ids = [row.id for row in app.shelf.visible]
        app.select(ids[0])
        await open_live(pilot)
        for key, place in (("n", 1), ("n", 1), ("less_than_sign", 0)):
            await pilot.press(key)
            await until(pilot, lambda place=place: app.shelf.selected == ids[place])
            await until(pilot, lambda: app.shelf.current.name in screen_text(app))


async def test_the_log_is_shown_grows_fills_the_screen_and_is_left_by_escape(app, store):
    ours = fakes.recipe_of("talks", "P")
    with fakes.running(store, ours, begun(ours, 1)) as run:
        run.log_path.write_text("first [words]\n 1%\r 50%\r100%\n")
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await open_live(pilot)
            await pilot.press("L")
            await until(pilot, lambda: "first [words]" in screen_text(app) and "100%" in screen_text(app))
            assert " 50%" not in screen_text(app)
            with run.log_path.open("a") as log:
                log.write("more\n")
            await until(pilot, lambda: "more" in screen.log_pane.view.plain_text())
            await pilot.press("1", "3")
            await until(pilot, lambda: screen.log_pane.view.count == 3)
            screen.log_pane.view.focus()
            await pilot.press("enter")
            await until(pilot, lambda: not screen.query_one(Tiles).display)
            await pilot.press("escape")
            await until(pilot, lambda: screen.query_one(Tiles).display)
            await pilot.press("escape")
            await until(pilot, lambda: not screen.log_pane.display and isinstance(app.screen, LiveScreen))


async def test_a_run_whose_process_dies_becomes_lost(app, store):
    async with app.run_test(size=(80, 24)) as pilot:
        with fakes.running(store, fakes.recipe_of("dies", "P"), []):
            await until(pilot, lambda: app.shelf.rows)
            await pilot.press("3")
            await until(pilot, lambda: ".. queued" in screen_text(app))
        await until(pilot, lambda: "!! lost" in screen_text(app))


def test_the_machine_is_asked_about_itself_and_about_this_process():
    sampler = Sampler()
    sampler.look(os.getpid(), "")
    usage = sampler.look(os.getpid(), "")
    assert 0 <= usage.cpu_percent <= 100
    assert 0 < usage.used_gib < usage.total_gib
    assert usage.run_gib is not None
    assert usage.run_percent >= 0
    assert sampler.look(os.getpid(), "another machine").run_gib is None
    assert sampler.look(2**22 + 1, "").run_gib is None


async def test_the_machine_strip_is_one_row_that_is_sent_when_it_changed(app, store, done):
    gpu = Gpu(percent=87, used_gib=9.1, total_gib=16.0)
    usage = Usage(
        cpu_percent=12, load=0.5, cores=8, used_gib=3.2, total_gib=16.0, run_percent=180, run_gib=1.4, gpus=(gpu,)
    )
    async with app.run_test(size=(80, 24)) as pilot:
        strip = (await open_live(pilot)).query_one(MachineStrip)
        await until(pilot, lambda: strip.size.width == 80)
        strip.show_usage(usage)
        assert strip.plain_text().startswith(" run 180 % of a core 1.4 GiB  gpu  87 % 9.1/16 GiB  cpu  12 %")
        sent = []
        strip.refresh = lambda *regions, **_: sent.append(regions)
        strip.show_usage(usage)
        assert sent == []

"""Live: is it learning, when is it done, should I stop it? Runs on disk, shown as they go on."""

import os
import re
import time

import pytest
from msgspec.structs import replace

from pipeline import events as e
from pipeline.runs.rows import Row, Step
from pipeline.runs.state import Status
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.live import begun, open_live, tile
from workbench import terminal
from workbench.machine import Gpu, Sampler, Usage
from workbench.modals.stop import StopModal
from workbench.screens.live import LiveScreen
from workbench.widgets import live_words
from workbench.widgets.machine_strip import MachineStrip
from workbench.widgets.rows import Line
from workbench.widgets.tiles import Tiles


async def test_head_strip_and_charts_say_where_a_run_is(app, store):
    ours = fakes.recipe_of("goes-on", "PQ")
    with fakes.running(store, ours, begun(ours, 2)) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            await until(pilot, lambda: "> baseline, 1 of 3" in screen_text(app) and "2/4" in screen_text(app))
            # Two of twelve epochs.
            assert "16 % of all in 0 min" in screen_text(app)
            await until(pilot, lambda: "quantize" in tile(app).chart.plain_text())
            fakes.write(run, fakes.training(ours, 0, time.time() - 30)[12:])
            await until(pilot, lambda: "B ok" in screen_text(app))


async def test_the_strip_says_how_long_stage_and_run_still_take_and_when_it_is_done(app, store, monkeypatch):
    noon_s = time.mktime((2026, 11, 26, 12, 0, 0, 0, 0, -1))
    monkeypatch.setattr(time, "time", lambda: noon_s)
    ours = fakes.recipe_of("clock", "PQ")
    # An epoch takes 10 s; ten of twelve are left, and the last one ended 10 s ago.
    with fakes.running(store, ours, begun(ours, 2, ago_s=30.0)):
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            await until(pilot, lambda: "2/4  P ..  Q ..   0:10 left of 1:30, done 12:01 " in screen_text(app))


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_numbers_of_a_run_at_work_are_its_newest(app, store, size):
    ours = fakes.recipe_of("numbers", "PQ")
    newest = {"loss": 0.7311, "learning_rate": 0.0421, "images_per_s": 12_345.0, "top1": 88.25}
    last = e.Progressed(time_s=time.time(), index=0, step=41, metrics=newest)
    with fakes.running(store, ours, [*begun(ours, 2), last]):
        async with app.run_test(size=size) as pilot:
            await open_live(pilot)
            wanted = " step 41/80  top1 88.2 %  loss 0.731  lr 0.0421  12,345 images/s "
            await until(pilot, lambda: wanted in screen_text(app))


async def test_a_number_that_does_not_fit_is_left_out_whole(app, store):
    ours = fakes.recipe_of("many-steps", "PQ")
    now = time.time() - 30
    found = [fakes.started(ours, now), *fakes.training(ours, 0, now, epochs=2, steps_per_epoch=2_000_000)]
    with fakes.running(store, ours, found):
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            wanted = " step 4,000,000/8,000,000  top1 84.6 %  loss 0.646  lr 0.05   2 more: ] "
            await until(pilot, lambda: wanted in screen_text(app))


def test_the_head_leaves_out_what_does_not_fit_and_keeps_the_share_that_is_done(app):
    steps = (Step(stage="baseline", status="finished"), Step(stage="quantize", status="running"))
    row = Row(
        id="one", name="pqd-80-resnet18-s7", backbone="resnet18", dataset="cifar10", seed=7, stages=("quantize",),
        status=Status.RUNNING, steps=steps, index=1, progress=0.999, started_s=0.0, device="cuda:0",
    )  # fmt: skip
    head = {width: live_words.head(app, row, 3.7e4, width).plain for width in (140, 90, 80, 60, 40)}
    start = " pqd-80-resnet18-s7  resnet18 on cifar10"
    assert head[140] == f"{start}, seed 7   > quantize, 2 of 2  99 % of all in 10 h 16 min  cuda:0"
    assert head[90] == f"{start}   > quantize, 2 of 2  99 % of all in 10 h 16 min"
    assert head[80] == f"{start}   > quantize, 2 of 2  99 % of all"
    assert head[60].endswith("   > quantize, 2 of 2")
    assert all(len(text) <= width for width, text in head.items())
    over = replace(row, status=Status.FINISHED, progress=1.0, ended_s=60.0, index=None)
    assert live_words.head(app, over, 3.7e4, 140).plain == f"{start}, seed 7   ok finished  took 1:00  cuda:0"


async def test_s_asks_how_the_watched_run_is_to_stop_whatever_is_marked(app, store, done):
    ours = fakes.recipe_of("stops", "P")
    with fakes.running(store, ours, begun(ours, 1)) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await open_live(pilot)
            app.select(run.id)
            app.shelf.marked.add(done.id)
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, StopModal) and "after this epoch" in screen_text(app))
            await pilot.press("e")
            await until(pilot, run.stop_path.exists)


async def test_v_and_e_say_why_they_cannot(app, store):
    ours = fakes.recipe_of("goes-on", "P")
    with fakes.running(store, ours, begun(ours, 1)):
        async with app.run_test(size=(140, 40), notifications=True) as pilot:
            await open_live(pilot)
            await pilot.press("v")
            await until(pilot, lambda: "A pager cannot be opened in this terminal" in screen_text(app))
            await pilot.press("e")
            await until(pilot, lambda: "Only a finished run has files to export" in screen_text(app))


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


def legend(app):
    """Names by the letters in front of them."""
    return dict(re.findall(r"([A-F]) (\S+)", app.screen.query_one("#legend", Line).plain_text()))


async def test_other_runs_are_drawn_beside_with_letters_and_colours_that_stay_theirs(app, store):
    for name in ("first", "second", "third"):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 3)
        one, two, three = app.shelf.visible
        app.select(two.id)
        await open_live(pilot)
        await until(pilot, lambda: [run.color for run in app.screen._runs()] == ["series-1"])
        await pilot.press("o")
        await until(pilot, lambda: "draw beside this run" in screen_text(app))
        await pilot.press("space")
        await until(pilot, lambda: "[x] " in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: legend(app) == {"A": two.name, "B": one.name})
        await until(pilot, lambda: "A 94" in screen_text(app))
        # Another run is watched: those two keep what they have.
        app.shelf.marked |= {one.id, two.id}
        app.select(three.id)
        await until(pilot, lambda: legend(app) == {"A": two.name, "B": one.name, "C": three.name})
        colors = {run.detail.id: (run.letter, run.color) for run in app.screen._runs()}
        assert colors == {two.id: ("A", "series-1"), one.id: ("B", "series-2"), three.id: ("C", "series-3")}
        # And so does a run that is drawn alone.
        app.shelf.marked.clear()
        app.screen._overlaid = ()
        app.select(one.id)
        await until(pilot, lambda: [run.color for run in app.screen._runs()] == ["series-2"])


async def test_of_more_runs_than_there_are_colours_the_rest_is_counted_and_letters_are_given_on(app, store):
    for place in range(9):
        ours = fakes.recipe_of(f"a-long-name-of-run-{place}", "P", epochs=1)
        fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 9)
        ids = [row.id for row in app.shelf.visible]
        app.select(ids[0])
        app.shelf.marked |= set(ids[:8])
        screen = await open_live(pilot)
        await until(pilot, lambda: list(legend(app)) == list("ABCDEF") and "2 not drawn " in screen_text(app))
        first = {run.detail.id: run.letter for run in screen._runs()}
        app.shelf.marked = {*ids[2:5], ids[8]}
        app.select(ids[1])
        await until(pilot, lambda: len(screen._runs()) == 5)
        later = {run.detail.id: run.letter for run in screen._runs()}
        assert {run_id: later[run_id] for run_id in ids[1:5]} == {run_id: first[run_id] for run_id in ids[1:5]}
        assert later[ids[8]] in {first[ids[0]], first[ids[5]]}


async def test_marked_runs_are_drawn_beside_at_once(app, store, done):
    ours = fakes.recipe_of("other", "Q")
    other = fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 2)
        app.select(done.id)
        app.shelf.marked.add(other.id)
        await open_live(pilot)
        await until(pilot, lambda: "A done   B other" in screen_text(app))


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


async def test_keys_and_sizes_act_on_the_held_picture_and_the_log_holds_as_well(app, store):
    ours = fakes.recipe_of("held", "P")
    with fakes.running(store, ours, begun(ours, 1)) as run:
        run.log_path.write_text("before\n")
        async with app.run_test(size=(80, 24)) as pilot:
            screen = await open_live(pilot)
            await pilot.press("L")
            await until(pilot, lambda: "before" in screen_text(app) and "1/4" in screen_text(app))
            screen.tiles.focus_tile()
            await pilot.press("tab", "space")
            await until(pilot, lambda: "PAUSED" in screen_text(app))
            with run.log_path.open("a") as log:
                log.write("meanwhile\n")
            fakes.write(run, fakes.training(ours, 0, time.time() - 30, epochs=3)[6:])
            await until(pilot, lambda: app.details[run.id].state.stages[0].epoch == 3)
            await until(pilot, lambda: list(screen._held.printed) == ["meanwhile"])
            await pilot.press("end", "x", "x", "x", "plus")
            await until(pilot, lambda: tile(app, 1).view.smoothing == 0.3)
            await pilot.resize_terminal(100, 30)
            await until(pilot, lambda: screen.tiles.size.width == 100)
            await pilot.press("end")
            await until(pilot, lambda: "PAUSED  at epoch 1.0, baseline" in screen_text(app))
            assert max(x for line in tile(app, 1).chart._picture.series for x in line.xs) < 1.1
            assert "1/4" in screen_text(app)
            assert "meanwhile" not in screen.log_pane.view.plain_text()
            await pilot.press("space", "escape")
            await until(pilot, lambda: "3/4" in screen_text(app) and "meanwhile" in screen_text(app))
            assert "before" in screen.log_pane.view.plain_text()
            await until(pilot, lambda: max(x for line in tile(app, 1).chart._picture.series for x in line.xs) > 2.9)


async def test_a_run_that_is_drawn_beside_under_pause_is_held_as_well(app, store, done):
    ours = fakes.recipe_of("beside", "P")
    with fakes.running(store, ours, begun(ours, 1)) as run:
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 2)
            app.select(done.id)
            screen = await open_live(pilot)
            await until(pilot, lambda: len(screen._runs()) == 1 and "prune" in tile(app).chart.plain_text())
            await pilot.press("space", "o", "space", "enter")
            await until(pilot, lambda: "B beside" in screen_text(app))
            held = screen._held.details[run.id]
            fakes.write(run, fakes.training(ours, 0, time.time() - 30, epochs=3)[6:])
            await until(pilot, lambda: app.details[run.id].state.stages[0].epoch == 3)
            assert [one.detail for one in screen._runs()][1] is held


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
            await until(pilot, lambda: screen.log_pane.view.count == 3 and screen.log_pane.has_focus_within)
            await pilot.press("enter")
            await until(pilot, lambda: not screen.query_one(Tiles).display)
            await pilot.press("escape")
            await until(pilot, lambda: screen.query_one(Tiles).display)
            await pilot.press("escape")
            await until(pilot, lambda: not screen.log_pane.display and screen.tiles.has_focus_within)
            assert isinstance(app.screen, LiveScreen)


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_keys_act_on_the_log_from_its_opening_until_it_is_closed(app, store, size):
    printed = ["start", "UserWarning: hot", "RuntimeError: no", "x" * (size[0] + 20), *(f"step {k}" for k in range(30))]
    ours = fakes.recipe_of("talks", "P")
    run = fakes.add_run(store, ours, fakes.whole(ours), log="\n".join(printed))
    fakes.add_run(store, ours, fakes.whole(ours), log="another")
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 2)
        app.select(run.id)
        screen = await open_live(pilot)
        view = screen.log_pane.view
        await pilot.press("L")
        await until(pilot, lambda: view.has_focus and view.plain_text().endswith("step 29"))
        await pilot.press("slash", *"step 1", "enter")
        await until(pilot, lambda: "/step 1 in 11" in screen_text(app))
        found = [line for line in printed if "step 1" in line]
        here = found.index(view.plain_text().split("\n")[0])
        await pilot.press("n")
        await until(pilot, lambda: view.plain_text().split("\n")[0] == found[(here + 1) % len(found)])
        await pilot.press("escape", "f")
        await until(pilot, lambda: "/step" not in screen_text(app) and "following" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: view.plain_text().strip() == "UserWarning: hot\nRuntimeError: no")
        await pilot.press("w")
        await until(pilot, lambda: view.plain_text().strip() == "RuntimeError: no")
        await pilot.press("w", "home", "r")
        await until(pilot, lambda: view.plain_text().split("\n")[3:5] == ["x" * size[0], "x" * 20])
        assert screen.tiles.window.stage is None
        assert app.shelf.selected == run.id
        await pilot.press("L")
        await until(pilot, lambda: not screen.log_pane.display and screen.tiles.has_focus_within)
        await pilot.press("w")
        await until(pilot, lambda: screen.tiles.window.stage is not None)


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

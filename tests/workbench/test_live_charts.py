"""The charts of the live screen: how many, along which axis, drawn how, and the cursor that reads them."""

import time

import pytest

from pipeline import events as e
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.live import begun, open_live, tile, titles
from workbench.screens.live import LiveScreen
from workbench.widgets.rows import Line


@pytest.mark.parametrize(("size", "count"), [((80, 24), 2), ((140, 40), 4), ((200, 60), 4)])
async def test_as_many_charts_as_fit_are_shown_and_the_rest_is_counted(app, store, done, size, count):
    async with app.run_test(size=size) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: len(titles(app)) == count == len(app.screen.query("Tile")))
        await until(pilot, lambda: ("2 more: ]" in screen_text(app)) == (count == 2))


@pytest.mark.parametrize(("size", "rows"), [((140, 40), (3, 2)), ((80, 40), (2, 2)), ((200, 60), (3, 2))])
async def test_the_charts_of_every_row_share_its_whole_width(app, store, size, rows):
    ours = fakes.recipe_of("five", "P")
    zeros = e.Progressed(time_s=time.time(), index=0, step=41, metrics={"sparsity": 0.5})
    with fakes.running(store, ours, [*begun(ours, 2), zeros]):
        async with app.run_test(size=size) as pilot:
            await open_live(pilot)
            await until(
                pilot,
                lambda: len(app.screen.query("Tile")) == sum(rows) and "sparsity" in app.screen.tiles.metrics[-1].key,
            )
            await until(pilot, lambda: tile(app, sum(rows) - 1).region.right == size[0])
            found = [one.region for one in app.screen.query("Tile")]
            assert [len([one for one in found if one.y == y]) for y in sorted({one.y for one in found})] == list(rows)
            for y in {one.y for one in found}:
                row = [one for one in found if one.y == y]
                assert sum(one.width for one in row) + len(row) - 1 == size[0]
                assert max(one.width for one in row) - min(one.width for one in row) <= 2


async def test_the_charts_become_smaller_when_the_log_opens_and_larger_when_it_goes(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: len(tile(app).chart.plain_text().splitlines()) == 17)
        # As it is after some drawings: the log, never shown before, then makes the toolkit lay out ahead of time.
        app.screen._compositor._full_map_invalidated = True
        await pilot.press("L")
        await until(pilot, lambda: len(tile(app).chart.plain_text().splitlines()) == 9)
        assert "baseline" in tile(app).chart.plain_text().splitlines()[-1]
        await pilot.press("L")
        await until(pilot, lambda: len(tile(app).chart.plain_text().splitlines()) == 17)


async def test_a_chart_that_gets_its_size_later_than_its_tile_is_drawn_then(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: "┤" in tile(app).chart.plain_text())
        tile(app).chart.display = False
        await until(pilot, lambda: not tile(app).chart.size.area)
        await pilot.press("plus")
        tile(app).chart.display = True
        await until(pilot, lambda: "~0.3" in screen_text(app))


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
        await until(pilot, lambda: "log y  ~0.6" in screen_text(app))
        assert (tile(app, 1).view.smoothing, tile(app, 1).view.log_y) == (0.0, False)
        assert (tile(app).view.clips, tile(app, 1).view.clips) == (True, True)
        # One value in a hundred is less than one of these.
        assert "1-99%" not in screen_text(app)
        assert app.memory.get("live.top1.smoothing", 0.0) == 0.6
        await pilot.press("minus", "minus", "h")
        await until(pilot, lambda: "~0.6" not in screen_text(app))
        assert not tile(app).view.clips


async def test_the_logarithm_goes_from_y_to_x_to_both_for_each_chart(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        seen = []
        for _ in range(4):
            await pilot.press("l")
            view, title = tile(app).view, tile(app).query_one(Line)
            seen.append((view.log_x, view.log_y, title.plain_text().partition("log ")[2]))
            remembered = [app.memory.get(f"live.top1.log_{name}", False) for name in "xy"]
            assert remembered == [view.log_x, view.log_y]
        assert seen == [(False, True, "y"), (True, False, "x"), (True, True, "x, y"), (False, False, "")]
        assert not tile(app, 1).view.log_x


async def test_the_cursor_goes_by_columns_of_a_chart_whose_x_is_logarithmic(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        await pilot.press("tab", "l", "l", "home")
        tiles = app.screen.tiles
        await until(pilot, lambda: tiles.cursor == pytest.approx(0.2))
        width = tile(app, 1).chart.canvas.width
        await pilot.press("right", "right")
        await until(pilot, lambda: tiles.cursor == pytest.approx(0.2 * 60 ** (2 / (width - 1))))
        await until(pilot, lambda: tile(app, 1).chart._hairline == 2)
        await pilot.press("end")
        await until(pilot, lambda: tiles.cursor == pytest.approx(12.0))


async def test_a_click_puts_the_cursor_where_the_mouse_points(app, store, done):
    async with app.run_test(size=(140, 40)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: tile(app, 1).chart.canvas is not None)
        chart = tile(app, 1).chart
        await pilot.click(chart, offset=(chart.canvas.x + 30, 5))
        await until(pilot, lambda: app.screen.tiles.cursor == pytest.approx(30 * 12 / (chart.canvas.width - 1)))
        assert tile(app, 1).has_focus
        await until(pilot, lambda: chart._hairline == 30 and "at epoch 5." in screen_text(app))
        # On the title and the numbers of the axis there is no place to point at.
        await pilot.press("escape")
        for offset in ((0, 3), (chart.canvas.x + 30, chart.canvas.bottom)):
            await pilot.click(chart, offset=offset)
        await pilot.click(tile(app, 2), offset=(20, 0))
        await until(pilot, lambda: tile(app, 2).has_focus)
        assert app.screen.tiles.cursor is None
        await pilot.press("l", "l", "l")
        assert not tile(app, 2).view.log_x


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
        await pilot.press("W")
        await until(pilot, lambda: "baseline 4" in tile(app).chart.plain_text())
        assert "prune" not in tile(app).chart.plain_text()


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


async def test_the_same_picture_is_not_drawn_twice(app, store, done):
    async with app.run_test(size=(80, 24)) as pilot:
        await open_live(pilot)
        await until(pilot, lambda: "prune" in tile(app).chart.plain_text())
        rows = tile(app).chart._rows
        app.screen._draw()
        await pilot.pause()
        assert tile(app).chart._rows is rows

"""The frontier: which points there are, which none dominates, and that every point can be reached by key."""

import math

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench.screens.frontier import FrontierScreen
from workbench.widgets.chart import Chart, linear_ticks, log_ticks, nice_limits


def add(store, name, top1, size_bytes, ms=1.2, **more):
    ours = fakes.recipe_of(name, "PQ", **more)
    return fakes.add_run(store, ours, fakes.whole(ours, top1=top1, size_bytes=size_bytes, ms=ms))


async def open_frontier(app, pilot, count):
    await until(pilot, lambda: app.views and len(app.views) == count)
    await pilot.press("4")
    await until(pilot, lambda: isinstance(app.screen, FrontierScreen) and app.screen._scene.points)


async def test_front_baseline_dominated_and_selected_have_their_own_marks(app, store):
    add(store, "small", 92.0, 1_000_000)
    add(store, "middle", 94.0, 3_000_000)
    add(store, "beaten", 91.0, 3_500_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 3)
        names = {point.view.name: point for point in app.screen._scene.points}
        assert app.screen._scene.front == {names["small"].view.id, names["middle"].view.id}
        app.selected = names["beaten"].view.id
        chart = app.screen.query_one(Chart)
        await until(pilot, lambda: chart.plain_text().count("◆") == 2 and "◉" in chart.plain_text())
        assert "x" in chart.plain_text()
        await until(pilot, lambda: "on the front here: no" in screen_text(app))


async def test_arrows_reach_every_run_and_x_changes_the_axis(app, store):
    add(store, "a", 92.0, 1_000_000, ms=3.0)
    add(store, "b", 93.0, 2_000_000, ms=2.0)
    add(store, "c", 94.0, 4_000_000, ms=1.0)
    async with app.run_test(size=(140, 40)) as pilot:
        await open_frontier(app, pilot, 3)
        app.selected = app.screen._scene.points[0].view.id
        seen = [app.screen.current.view.name]
        for _ in range(2):
            await pilot.press("right")
            seen.append(app.screen.current.view.name)
        assert seen == ["a", "b", "c"]
        await pilot.press("x")
        await until(pilot, lambda: "ms, log" in screen_text(app))
        assert [point.view.name for point in app.screen._scene.points] == ["c", "b", "a"]
        assert app.screen.current.view.name == "c"


async def test_tab_goes_through_the_runs_that_share_a_cell(app, store):
    for name in ("one", "two", "three"):
        add(store, name, 93.0, 2_000_000)
    add(store, "far", 90.0, 9_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 4)
        app.selected = app.screen._scene.points[0].view.id
        await until(pilot, lambda: "of 3 in this cell" in screen_text(app))
        seen = set()
        for _ in range(3):
            seen.add(app.screen.current.view.name)
            await pilot.press("tab")
        assert seen == {"one", "two", "three"}


async def test_the_computed_cell_is_the_drawn_cell(app, store):
    for place in range(7):
        add(store, f"run-{place}", 88.0 + place, int(1_000_000 * 1.7**place))
    async with app.run_test(size=(100, 30)) as pilot:
        await open_frontier(app, pilot, 7)
        chart = app.screen.query_one(Chart)
        for point in app.screen._scene.points:
            app.selected = point.view.id
            await until(
                pilot, lambda point=point: chart.cell_of(point.x("size"), point.top1) == drawn(chart), point.view.name
            )


def drawn(chart):
    """Column and row of the selected mark on the canvas, from the bottom left."""
    rows = chart.plain_text().split("\n")
    (row,) = [place for place, row in enumerate(rows) if "◉" in row]
    axis = next(place for place, row in enumerate(rows) if "└" in row)
    return rows[row].index("◉") - rows[axis].index("└") - 1, axis - 1 - row


async def test_all_backbones_of_a_dataset_are_compared_or_one_of_them(app, store):
    add(store, "tiny-one", 92.0, 1_000_000)
    add(store, "other", 94.0, 3_000_000, backbone="resnet20")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        assert "2 backbones on digits" in screen_text(app)
        for name in ("other", "tiny-one"):
            await pilot.press("f")
            await until(pilot, lambda name=name: [p.view.name for p in app.screen._scene.points] == [name])
        await pilot.press("f")
        await until(pilot, lambda: len(app.screen._scene.points) == 2)


async def test_space_marks_and_e_opens_the_export_of_the_marked(app, store):
    add(store, "take-me", 92.0, 1_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 1)
        await pilot.press("space")
        assert len(app.marked) == 1
        await pilot.press("e")
        await until(pilot, lambda: "export 1 run" in screen_text(app))


async def test_a_run_without_a_latency_is_left_out_of_that_axis_only(app, store):
    add(store, "timed", 92.0, 1_000_000, ms=1.0)
    add(store, "untimed", 93.0, 2_000_000, ms=None)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        assert len(app.screen._scene.points) == 2
        await pilot.press("x")
        await until(pilot, lambda: "1 of 2 finished" in screen_text(app))


def test_ticks_stand_on_round_numbers():
    assert [text for _, text in linear_ticks(90.0, 95.0)] == ["90", "92", "94"]
    assert [text for _, text in log_ticks(0.0, 2.0, most=3)] == ["1", "10", "100"]
    assert nice_limits([91.2, 94.7]) == (91.0, 95.0)
    assert nice_limits([math.nan]) == (0.0, 1.0)
    low, high = nice_limits([5.0, 5.0])
    assert low < high

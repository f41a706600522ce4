"""The frontier: every run can be reached by key and by mouse, and the pane says whether to take it."""

import math

import pytest

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench.app import Workbench
from workbench.memory import Memory
from workbench.screens.frontier import FrontierScreen
from workbench.settings import Settings
from workbench.widgets import raster
from workbench.widgets.filter_line import FilterLine
from workbench.widgets.scatter_chart import ScatterChart
from workbench.widgets.ticks import linear_ticks, log_ticks, nice_limits


def add(store, name, top1, size_bytes, ms=1.2, **more):
    ours = fakes.recipe_of(name, "PQ", **more)
    return fakes.add_run(store, ours, fakes.whole(ours, top1=top1, size_bytes=size_bytes, ms=ms))


async def open_frontier(app, pilot, count):
    await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == count)
    await pilot.press("4")
    await until(pilot, lambda: isinstance(app.screen, FrontierScreen) and app.screen._scene.points)


def choose(app, name):
    app.select(next(row.id for row in app.shelf.rows.values() if row.name == name))


def names(app):
    return [point.row.name for point in app.screen._scene.points]


async def test_front_baseline_dominated_and_selected_have_their_own_marks(app, store):
    add(store, "small", 92.0, 1_000_000)
    add(store, "middle", 94.0, 3_000_000)
    add(store, "beaten", 91.0, 3_500_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 3)
        choose(app, "beaten")
        chart = app.screen.query_one(ScatterChart)
        await until(pilot, lambda: sum(map(chart.plain_text().count, "⋄◇◆")) == 2 and "◉" in chart.plain_text())
        assert "x" in chart.plain_text()
        await until(pilot, lambda: "on the front: no" in screen_text(app))
        assert "beaten by small (+1)" in screen_text(app)
        assert "next ↓ +3.0 pt for 1.17x smaller" in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (140, 40), (200, 60)], ids=str)
async def test_the_pane_sets_a_run_beside_its_baseline_at_every_size(app, store, size):
    add(store, "small", 92.0, 1_000_000)
    add(store, "middle", 94.0, 3_000_000)
    async with app.run_test(size=size) as pilot:
        await open_frontier(app, pilot, 2)
        choose(app, "middle")
        await until(pilot, lambda: "14.7x smaller" in screen_text(app) and "on the front: yes" in screen_text(app))
        text = screen_text(app)
        for words in ("94.0", "94.6", "-0.6 pt", "2.86", "14.7x smaller", "1.20", "4.42x faster", "p90 1.32 ms"):
            assert words in text, words
        assert "y top1 % ↑  x MiB, log ←  z ms" in text
        assert ("the front, 2 runs" in text) is (size[1] > 24)


async def test_arrows_reach_every_run_and_stop_at_the_ends(app, store):
    for name, top1, size in (("a", 92.0, 1), ("b", 91.0, 2), ("c", 94.0, 4)):
        add(store, name, top1, size * 1_000_000)
    async with app.run_test(size=(140, 40)) as pilot:
        await open_frontier(app, pilot, 3)
        choose(app, "a")
        seen = []
        for key in ("left", "right", "right", "right", "left", "down", "up", "up", "left", "K", "L", "H"):
            await pilot.press(key)
            seen.append(app.screen.current.row.name)
        assert seen == ["a", "b", "c", "c", "b", "a", "c", "c", "b", "a", "b", "a"]
        assert app.shelf.selected == app.screen.current.row.id


async def test_x_y_and_z_choose_what_is_drawn_and_are_remembered(app, store):
    add(store, "a", 92.0, 1_000_000, ms=3.0)
    add(store, "b", 93.0, 2_000_000, ms=1.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        await pilot.press("x")
        await until(pilot, lambda: "the x axis" in screen_text(app))
        for _ in range(3):
            await pilot.press("down")
        await pilot.press("enter")
        await until(pilot, lambda: "x ms, log ←" in screen_text(app))
        assert names(app) == ["b", "a"]
        assert app.memory.get("frontier.x", "") == "latency"
        await pilot.press("l", "l", "l")
        await until(pilot, lambda: "x ms, log ←" not in screen_text(app) and "x ms ←" in screen_text(app))
        await pilot.press("l")
        await until(pilot, lambda: "x ms, log ←" in screen_text(app))
        for key, title, choice, wanted in (
            ("y", "the y axis", "size", "y MiB, log ↓"),
            ("z", "the size of the marks", "top1", "z top1 %"),
        ):
            await pilot.press(key)
            await until(pilot, lambda title=title: title in screen_text(app))
            while app.screen.highlighted.name != choice:
                await pilot.press("down")
            await pilot.press("enter")
            await until(pilot, lambda wanted=wanted: wanted in screen_text(app), wanted)


async def test_logarithms_and_the_chosen_data_are_remembered(store, saved, tmp_path):
    add(store, "tiny-one", 92.0, 1_000_000)
    add(store, "other", 94.0, 3_000_000, backbone="resnet20")
    memory = Memory(tmp_path / "view.json")
    for is_first in (True, False):
        app = Workbench(store, saved, Settings(poll_s=0.02), memory)
        async with app.run_test(size=(140, 40)) as pilot:
            await open_frontier(app, pilot, 2)
            if is_first:
                assert "x MiB, log ←" in screen_text(app)
                await pilot.press("l", "l", "f", "f")
            await until(pilot, lambda: "y top1 %, log ↑  x MiB ←" in screen_text(app))  # noqa: B023
            await until(pilot, lambda: names(app) == ["tiny-one"])  # noqa: B023
        memory.write()
        memory = Memory(tmp_path / "view.json")


async def test_tab_goes_through_the_runs_that_share_a_cell(app, store):
    for name in ("one", "two", "three"):
        add(store, name, 93.0, 2_000_000)
    add(store, "far", 90.0, 9_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 4)
        choose(app, "one")
        await until(pilot, lambda: "of 3 here" in screen_text(app))
        seen = set()
        for _ in range(3):
            seen.add(app.screen.current.row.name)
            await pilot.press("tab")
        assert seen == {"one", "two", "three"}


def drawn_at(chart):
    """Column and row of the selected mark in the widget."""
    rows = chart.plain_text().split("\n")
    (row,) = [place for place, text in enumerate(rows) if "◉" in text]
    return rows[row].index("◉"), row


async def test_a_click_selects_the_nearest_run_and_a_hover_names_it(app, store):
    for place in range(7):
        add(store, f"run-{place}", 88.0 + place, int(1_000_000 * 1.7**place))
    async with app.run_test(size=(100, 30)) as pilot:
        await open_frontier(app, pilot, 7)
        chart = app.screen.query_one(ScatterChart)
        places = {}
        for name in names(app):
            choose(app, name)
            point = app.screen.current
            cell = chart._place(point)
            wanted = cell[0] + chart._drawing.left, chart._drawing.lines - 1 - cell[1]
            await until(pilot, lambda wanted=wanted: drawn_at(chart) == wanted, name)
            places[name] = wanted
        await pilot.click(ScatterChart, offset=places["run-2"])
        await until(pilot, lambda: app.screen.current.row.name == "run-2")
        column, row = places["run-4"]
        await pilot.hover(ScatterChart, offset=(column + 1, row))
        await until(pilot, lambda: "run-4: 92.0 top1 %, 7.97 MiB, 1.20 ms" in screen_text(app))
        await pilot.hover("#caption")
        await until(pilot, lambda: "run-4: 92.0" not in screen_text(app))


async def test_all_backbones_on_the_same_data_are_compared_or_one_of_them(app, store):
    add(store, "tiny-one", 92.0, 1_000_000)
    add(store, "other", 94.0, 3_000_000, backbone="resnet20")
    async with app.run_test(size=(140, 40)) as pilot:
        await open_frontier(app, pilot, 2)
        assert "2 of 2 finished, 2 backbones on digits; f: 2 more" in screen_text(app)
        for name in ("other", "tiny-one"):
            await pilot.press("f")
            await until(pilot, lambda name=name: names(app) == [name])
        await pilot.press("f")
        await until(pilot, lambda: len(names(app)) == 2)


async def test_the_filter_of_the_runs_holds_here_and_escape_leaves_one_layer(app, store):
    add(store, "keep-1", 92.0, 1_000_000)
    add(store, "drop-1", 94.0, 3_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        await pilot.press("slash", *"keep")
        await until(pilot, lambda: names(app) == ["keep-1"])
        await pilot.press("enter")
        await until(pilot, lambda: "filter: keep" in screen_text(app))
        assert not app.screen.query_one(FilterLine).display
        assert app.memory.get("runs.filters", []) == ["keep"]
        await pilot.press("slash", "up", *"x")
        await until(pilot, lambda: "None of the finished runs has a place" in screen_text(app))
        await pilot.press(*"<")
        await until(pilot, lambda: "'keepx<': there is no 'keepx'" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: len(names(app)) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: app.focused is None)
        assert isinstance(app.screen, FrontierScreen)
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, FrontierScreen))


async def test_space_marks_and_e_opens_the_export_of_the_marked(app, store):
    add(store, "take-me", 92.0, 1_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 1)
        await pilot.press("space")
        assert len(app.shelf.marked) == 1
        await until(pilot, lambda: "* take-me" in screen_text(app))
        await pilot.press("e")
        await until(pilot, lambda: "export 1 run" in screen_text(app))


def under_the_cursor(app):
    """Names in the lines of the table that the cursor marks."""
    return [line.split()[1] for line in screen_text(app).splitlines() if line.startswith(">")]


async def test_what_is_chosen_here_is_under_the_cursor_of_runs_and_the_other_way_round(app, store):
    add(store, "small", 92.0, 1_000_000)
    add(store, "large", 94.0, 3_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        choose(app, "small")
        await pilot.press("up")
        await until(pilot, lambda: app.screen.current.row.name == "large")
        await pilot.press("1")
        await until(pilot, lambda: under_the_cursor(app) == ["large"])
        await pilot.press("end")
        await pilot.press("home" if app.shelf.current.name == "large" else "end")
        await until(pilot, lambda: under_the_cursor(app) == ["small"])
        await pilot.press("4")
        await until(pilot, lambda: app.screen.current.row.name == "small")


async def test_a_line_of_equal_worth_is_drawn_at_the_typed_rate(app, store):
    add(store, "here", 93.0, 2_000_000)
    add(store, "deal", 94.5, 3_000_000)
    async with app.run_test(size=(140, 40)) as pilot:
        await open_frontier(app, pilot, 2)
        choose(app, "here")
        await pilot.press("i")
        await until(pilot, lambda: "1 pt of top1 % is worth 2 times the MiB" in screen_text(app))
        await pilot.press("backspace", *"0.5", "enter")
        await until(pilot, lambda: "'0.5' is no number above 1." in screen_text(app))
        await pilot.press("backspace", "backspace", "backspace", "4", "enter")
        await until(pilot, lambda: "if 1 pt is worth 4x smaller: 1 run beyond the line" in screen_text(app))
        assert "·" in app.screen.query_one(ScatterChart).plain_text()
        await pilot.press("i")
        await until(pilot, lambda: "if 1 pt" not in screen_text(app))


async def test_m_draws_with_letters_that_every_terminal_has(app, store):
    add(store, "small", 92.0, 1_000_000)
    add(store, "large", 94.0, 3_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        choose(app, "small")
        chart = app.screen.query_one(ScatterChart)
        await until(pilot, lambda: "◉" in chart.plain_text())
        await pilot.press("m")
        await until(pilot, lambda: app.marker == "block" and "@" in chart.plain_text())
        assert "│" in chart.plain_text()
        assert not set("⋄◇◆◉") & set(screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: app.marker == "ascii" and chart.plain_text().isascii())
        assert "@ selected" in screen_text(app)
        await pilot.press("m")
        await until(pilot, lambda: "◉" in chart.plain_text())


async def test_intervals_are_drawn_until_b_takes_them_away(app, store):
    add(store, "a", 93.0, 2_000_000)
    add(store, "b", 94.0, 4_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        chart = app.screen.query_one(ScatterChart)
        await until(pilot, lambda: "┬" in chart.plain_text().rpartition("└")[0])
        await pilot.press("b")
        await until(pilot, lambda: "┬" not in chart.plain_text().rpartition("└")[0])


async def test_v_leaves_the_room_of_the_pane_to_the_plot(app, store):
    add(store, "a", 93.0, 2_000_000)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 1)
        chart = app.screen.query_one(ScatterChart)
        narrow = chart.size.width
        await pilot.press("v")
        await until(pilot, lambda: chart.size.width == 80)
        assert app.memory.get("frontier.pane", True) is False
        await pilot.press("v")
        await until(pilot, lambda: chart.size.width == narrow)


async def test_w_writes_the_figure_and_never_over_a_file(app, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add(store, "a", 93.0, 2_000_000)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await open_frontier(app, pilot, 1)
        await pilot.press("w")
        await until(pilot, lambda: "The ending decides" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "frontier-top1-size.svg").exists())
        await until(pilot, lambda: "Written:" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: "is there already" in screen_text(app))
        await pilot.press("enter")
        assert not isinstance(app.screen, FrontierScreen)


async def test_a_run_without_a_latency_is_left_out_of_that_axis_only(app, store):
    add(store, "timed", 92.0, 1_000_000, ms=1.0)
    add(store, "untimed", 93.0, 2_000_000, ms=None)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 2)
        assert len(names(app)) == 2
        app.screen._axes["x"] = app.screen._axes["z"]
        app.screen._show_if_seen()
        await until(pilot, lambda: "1 of 2 finished" in screen_text(app))
        assert "1 without a number for an axis" in screen_text(app)


async def test_an_empty_frontier_names_the_next_key(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: "Press 2 to compose one, 3 to" in screen_text(app))
        await pilot.press("left", "up", "tab", "H", "l", "b", "i", "f", "w")
        assert isinstance(app.screen, FrontierScreen)


async def test_a_step_repaints_few_rows_and_nothing_when_nothing_changed(app, store):
    for place in range(6):
        add(store, f"run-{place}", 88.0 + place, int(1_000_000 * 1.7**place))
    async with app.run_test(size=(80, 24)) as pilot:
        await open_frontier(app, pilot, 6)
        await pilot.press("b")
        choose(app, "run-2")
        await pilot.pause()
        chart = app.screen.query_one(ScatterChart)
        painted = []
        chart.refresh = lambda *regions, **more: painted.extend(regions)
        app.shelf_changed.publish(None)
        await pilot.pause()
        assert painted == []
        await pilot.press("right")
        await until(pilot, lambda: painted)
        assert len(painted) == 2


async def test_names_with_brackets_are_harmless(app, store):
    add(store, "[red]x[/ [@click=app.quit]", 93.0, 2_000_000)
    async with app.run_test(size=(140, 40)) as pilot:
        await open_frontier(app, pilot, 1)
        await until(pilot, lambda: "[red]x[/" in screen_text(app))


def test_ticks_stand_on_round_numbers():
    assert [text for _, text in linear_ticks(90.0, 95.0)] == ["90", "92", "94"]
    assert [text for _, text in log_ticks(0.0, 2.0, most=3)] == ["1", "10", "100"]
    assert nice_limits([91.2, 94.7]) == (91.0, 95.0)
    assert nice_limits([math.nan]) == (0.0, 1.0)
    assert raster.place(0.5, (0.0, 1.0), 11) == 5

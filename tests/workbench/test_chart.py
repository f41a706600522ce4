"""A chart draws what it is given, survives what is not finite, and sends only the cells that changed."""

import math

import pytest
from rich.style import Style
from textual.app import App
from textual.geometry import Region

from tests.workbench.conftest import until
from workbench.themes import calm
from workbench.widgets.canvas import Canvas
from workbench.widgets.chart import Chart, Picture, Series
from workbench.widgets.rows import difference
from workbench.widgets.ticks import log_ticks, nice_limits


class Bench(App[None]):
    def __init__(self, marker="braille"):
        super().__init__()
        self.chart = Chart(marker=marker)
        self.register_theme(calm)
        self.theme = "calm"

    def compose(self):
        yield self.chart


def picture(ys=(0.0, 7.0, 10.0), xs=(0.0, 5.0, 10.0), **changes):
    return Picture(
        series=(Series(xs=xs, ys=ys, color="primary"),), x_limits=(0.0, 10.0), y_limits=(0.0, 10.0),
        y_ticks=((0.0, "0"), (10.0, "10")), x_ticks=((0.0, "0"), (10.0, "10")), **changes,
    )  # fmt: skip


async def test_a_cell_and_its_point_are_inverse_to_each_other():
    app = Bench()
    async with app.run_test(size=(40, 12)) as pilot:
        app.chart.show(picture())
        await until(pilot, lambda: app.chart.canvas == Region(3, 0, 37, 10))
        for cell in ((0, 0), (36, 9), (18, 4)):
            assert app.chart.cell_of(*app.chart.point_of(*cell)) == cell
        assert app.chart.point_of(37, 0) is None
        assert app.chart.cell_of(11.0, 0.0) is None


@pytest.mark.parametrize(("marker", "sign"), [("braille", "⠉"), ("block", "▀"), ("ascii", "*")])
async def test_each_marker_draws_with_its_own_signs(marker, sign):
    app = Bench(marker)
    async with app.run_test(size=(40, 12)) as pilot:
        app.chart.show(picture(ys=(10.0, 10.0, 10.0)))
        await until(pilot, lambda: f"10┤{sign * 37}" in app.chart.plain_text())
        app.chart.use("ascii")
        assert f"10┤{'*' * 37}" in app.chart.plain_text()


async def test_a_point_that_comes_sends_the_cells_around_it_alone():
    app = Bench()
    async with app.run_test(size=(40, 12)) as pilot:
        app.chart.show(picture(ys=(0.0, 0.0, math.nan)))
        await until(pilot, lambda: "⣀" in app.chart.plain_text())
        sent = []
        app.chart.refresh = lambda *regions, **_: sent.append(regions)
        app.chart.show(picture(ys=(0.0, 0.0, math.nan)))
        assert sent == []
        app.chart.show(picture(ys=(0.0, 0.0, 0.0)))
        ((region,),) = sent
        assert (region.y, region.height, region.x > 18) == (9, 1, True)


async def test_the_hairline_sends_its_two_columns_and_is_seen_without_colour():
    app = Bench()
    async with app.run_test(size=(40, 12)) as pilot:
        app.chart.show(picture())
        await until(pilot, lambda: app.chart.canvas is not None)
        app.chart.point_at(5.0)
        sent = []
        app.chart.refresh = lambda *regions, **_: sent.append(regions)
        app.chart.point_at(10.0)
        assert sent == [(Region(21, 0, 1, 10), Region(39, 0, 1, 10))]
        assert app.chart.render_line(9).text[39] == "│"


@pytest.mark.parametrize("ys", [(math.inf, -math.inf, math.nan), (1e300, -1e300, 5.0), (math.nan,) * 3])
async def test_no_value_breaks_a_chart(ys):
    app = Bench()
    async with app.run_test(size=(40, 12)) as pilot:
        app.chart.show(picture(ys=ys))
        await until(pilot, lambda: "10┤" in app.chart.plain_text())


async def drawn(pilot, **changes):
    """The canvas as rows of plain signs, the top one first."""
    chart = pilot.app.chart
    chart.show(picture(**changes))
    await until(pilot, lambda: chart.canvas is not None)
    return [row[3:] for row in chart.plain_text().splitlines()[:10]]


async def test_a_line_that_leaves_the_picture_ends_at_the_border_where_it_crosses_it():
    app = Bench("ascii")
    async with app.run_test(size=(40, 12)) as pilot:
        rows = await drawn(pilot, ys=(0.0, 5.0, 100.0))
        # From (5, 5) to (10, 100): the border is crossed at 5.26.
        assert rows[0].rstrip() == " " * 19 + "*"
        rows = await drawn(pilot, ys=(-10.0, 0.0, 0.0), xs=(-10.0, 0.0, 10.0))
        assert rows[9] == "*" * 37
        rows = await drawn(pilot, ys=(-10.0, 20.0, math.nan))
        assert (rows[9].index("*"), rows[0].index("*")) == (6, 12)


@pytest.mark.parametrize("ys", [(-5.0, -5.0, -1.0), (11.0, 1e9, 50.0)])
async def test_what_lies_outside_of_the_picture_is_not_drawn_on_its_border(ys):
    app = Bench("ascii")
    async with app.run_test(size=(40, 12)) as pilot:
        assert not "".join(await drawn(pilot, ys=ys)).strip()
        outside = Series(xs=(0.0, 11.0), ys=(ys[0], 5.0), color="primary", marker="A", is_line=False)
        app.chart.show(Picture(series=(outside,), x_limits=(0.0, 10.0), y_limits=(0.0, 10.0)))
        await pilot.pause()
        assert "A" not in app.chart.plain_text()


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (10, 3)])
async def test_no_size_breaks_a_chart(size):
    app = Bench()
    async with app.run_test(size=size) as pilot:
        app.chart.show(picture(verticals=(5.0,), spans=((0.0, 10.0, ("name",)),)))
        await pilot.pause()
        assert app.chart.plain_text()


def test_the_curve_that_is_drawn_last_takes_a_shared_cell_whole():
    canvas = Canvas(1, 1, "braille")
    canvas.line([(0.0, 0.0), (1.0, 0.0)], "dim")
    assert canvas.cells(0) == [("⣀", "dim")]
    canvas.line([(0.0, 1.0), (1.0, 1.0)], "primary")
    assert canvas.cells(0) == [("⠉", "primary")]


def test_rows_differ_where_they_look_different():
    from rich.segment import Segment
    from textual.strip import Strip

    red, blue = Style(color="red"), Style(color="blue")
    old = Strip([Segment("a  b", red)])
    assert difference(old, Strip([Segment("a", red), Segment("  ", blue), Segment("b", red)])) == (0, 0)
    assert difference(old, Strip([Segment("a  ", red), Segment("b", blue)])) == (3, 4)
    assert difference(Strip([Segment("名 ", red)]), Strip([Segment("名前", red)])) == (0, 4)


def test_limits_and_ticks_lie_on_round_numbers():
    assert nice_limits([50.3, 74.3]) == (50.0, 80.0)
    assert nice_limits([math.nan]) == (0.0, 1.0)
    assert [text for _, text in log_ticks(0.0, 3.0, most=4)] == ["1", "10", "100", "1000"]

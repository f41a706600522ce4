"""What a run printed: followed, held, searched, filtered, wrapped."""

import pytest
from textual.app import App

from tests.workbench.conftest import screen_text, until
from workbench.tail import Earlier
from workbench.themes import calm
from workbench.widgets import palette
from workbench.widgets.log_view import LogPane

MOST = 200


class Bench(App[None]):
    CSS = "LogPane { height: 1fr; }"

    def __init__(self):
        super().__init__()
        self.register_theme(calm)
        self.theme = "calm"

    def compose(self):
        yield LogPane(MOST)

    @property
    def pane(self):
        return self.query_one(LogPane)

    @property
    def view(self):
        return self.pane.view

    def rows(self):
        return self.view.plain_text().split("\n")


@pytest.fixture
async def bench():
    app = Bench()
    async with app.run_test(size=(60, 11)) as pilot:
        await until(pilot, lambda: app.view.size.height == 10)
        app.view.focus()
        yield app, pilot


def lines(first, last):
    return [f"line {place}" for place in range(first, last)]


async def test_the_end_is_followed_until_one_scrolls_up(bench):
    app, pilot = bench
    app.view.add(lines(0, 50))
    assert app.rows()[-1] == "line 49"
    await pilot.press("up")
    app.view.add(lines(50, 60))
    assert app.rows()[-1] == "line 48"
    await until(pilot, lambda: "held, f follows" in screen_text(app))
    await pilot.press("f")
    await until(pilot, lambda: app.rows()[-1] == "line 59" and "following" in screen_text(app))


async def test_a_search_marks_what_it_finds_and_goes_from_one_to_the_next(bench):
    app, pilot = bench
    app.view.add([*lines(0, 5), "here A", *lines(5, 40), "HERE b", *lines(40, 60)])
    await pilot.press("slash", *"here", "enter")
    await until(pilot, lambda: app.rows()[0] == "HERE b" and "/here in 2" in screen_text(app))
    await pilot.press("n")
    await until(pilot, lambda: app.rows()[0] == "here A")
    (marked,) = [segment for segment in app.view._rows[0] if segment.style and segment.style.reverse]
    assert marked.text == "here"
    await pilot.press("N")
    await until(pilot, lambda: app.rows()[0] == "HERE b")


async def test_a_level_and_worse_ones_are_shown_alone_with_what_follows_them(bench):
    app, pilot = bench
    warning = ["x.py:3: UserWarning: hot", "  an error is named in its code"]
    error = ["Traceback (most recent call last):", '  File "x"', "ValueError: no"]
    app.view.add([*lines(0, 3), *error, "all is well", *warning, *lines(3, 6)])
    await until(pilot, lambda: "12 lines  following  all levels" in screen_text(app))
    await pilot.press("w")
    await until(pilot, lambda: [row for row in app.rows() if row] == [*error, *warning])
    await until(pilot, lambda: "following  warnings and errors" in screen_text(app))
    await pilot.press("w")
    await until(pilot, lambda: [row for row in app.rows() if row] == error)
    await until(pilot, lambda: "following  errors" in screen_text(app))
    app.view.add(["loss is nan", "RuntimeError: more", "WARNING: error in a file"])
    assert [row for row in app.rows() if row] == [*error, "RuntimeError: more"]
    await pilot.press("w")
    await until(pilot, lambda: app.rows()[-1] == "WARNING: error in a file" and "all levels" in screen_text(app))


async def test_a_line_has_the_colour_of_its_level(bench):
    app, _ = bench
    app.view.add(["fine", "UserWarning: hot", "Traceback:", '  File "x"'])
    colors = [segment.style and segment.style.color for (segment, *_) in app.view._rows[:4]]
    warning, error = (palette.style(app, name).color for name in ("warning", "error"))
    assert colors == [None, warning, error, error]


async def test_long_lines_are_cut_and_scrolled_or_wrapped(bench):
    app, pilot = bench
    app.view.add(["0123456789" * 8])
    assert app.rows()[0] == "0123456789" * 6
    await pilot.press("right", "right", "right")
    assert app.rows()[0] == "0123456789" * 6
    await pilot.press("r")
    assert app.rows()[:2] == ["0123456789" * 6, "0123456789" * 2]


async def test_old_lines_are_dropped_and_the_first_row_says_how_many_and_where_they_are(bench):
    app, pilot = bench
    app.view.add(lines(0, MOST))
    await pilot.press("home")
    assert app.rows()[0] == "line 0"
    app.view.add(lines(MOST, MOST + 7))
    assert app.view.count == MOST
    await until(pilot, lambda: "last 200 lines" in screen_text(app))
    await pilot.press("home")
    assert app.rows()[:2] == ["… 7 earlier lines: v opens the whole log", "line 7"]
    await pilot.press("slash", *"lines", "enter")
    assert app.view.found == []


async def test_what_one_reads_stays_where_it_is_while_older_lines_are_dropped(bench):
    app, pilot = bench
    app.view.begin(Earlier(100, 5))
    app.view.add(lines(0, MOST))
    await pilot.press("up")
    before = app.rows()
    app.view.add(lines(MOST, MOST + 30))
    assert app.rows() == before


@pytest.mark.parametrize(
    ("earlier", "said"),
    [
        (Earlier(2_000_000, 19_351), "… 19,351 earlier lines: v opens the whole log"),
        (Earlier(300 * 1024**2, None), "… 300.0 MiB of earlier lines: v opens the whole log"),
    ],
)
async def test_lines_that_were_never_read_are_told_in_the_first_row(bench, earlier, said):
    app, _ = bench
    app.view.begin(earlier)
    app.view.add(["one", "two"])
    assert app.rows()[:3] == [said, "one", "two"]


async def test_a_new_line_sends_what_changed_alone(bench):
    app, _ = bench
    app.view.add(["10:00:01 step 1", "10:00:02 step 2"])
    sent = []
    app.view.refresh = lambda *regions, **_: sent.append(regions)
    app.view.add(["10:00:03 step 3"])
    ((region,),) = sent
    assert (region.y, region.height) == (2, 1)


async def test_what_was_printed_is_no_markup(bench):
    app, _ = bench
    app.view.add(["[bold]a[/] [lr=1e-3] [/nothing]"])
    assert app.rows()[0] == "[bold]a[/] [lr=1e-3] [/nothing]"

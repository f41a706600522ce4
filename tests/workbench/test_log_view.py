"""What a run printed: followed, held, searched, filtered, wrapped."""

import pytest
from textual.app import App

from tests.workbench.conftest import screen_text, until
from workbench.themes import calm
from workbench.widgets.log_view import MOST_LINES, LogPane


class Bench(App[None]):
    CSS = "LogPane { height: 1fr; }"

    def __init__(self):
        super().__init__()
        self.register_theme(calm)
        self.theme = "calm"

    def compose(self):
        yield LogPane()

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


async def test_warnings_and_errors_are_shown_alone_with_what_follows_them(bench):
    app, pilot = bench
    app.view.add([*lines(0, 3), "Traceback (most recent call last):", '  File "x"', "ValueError: no", *lines(3, 6)])
    await pilot.press("w")
    shown = [row for row in app.rows() if row]
    assert shown == ["Traceback (most recent call last):", '  File "x"', "ValueError: no"]
    app.view.add(["all is well", "UserWarning: hot"])
    assert app.rows()[3] == "UserWarning: hot"
    await pilot.press("w")
    assert "all is well" in app.rows()


async def test_long_lines_are_cut_and_scrolled_or_wrapped(bench):
    app, pilot = bench
    app.view.add(["0123456789" * 8])
    assert app.rows()[0] == "0123456789" * 6
    await pilot.press("right", "right", "right")
    assert app.rows()[0] == "0123456789" * 6
    await pilot.press("r")
    assert app.rows()[:2] == ["0123456789" * 6, "0123456789" * 2]


async def test_old_lines_are_dropped_and_that_is_said(bench):
    app, pilot = bench
    app.view.add(lines(0, MOST_LINES))
    app.view.add(lines(MOST_LINES, MOST_LINES + 7))
    assert app.view.count == MOST_LINES
    await until(pilot, lambda: "7 older ones in the file" in screen_text(app))
    await pilot.press("home")
    assert app.rows()[0] == "line 7"


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

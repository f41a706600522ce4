"""The table of runs: of thousands of lines only those in sight are written, and only those that changed are sent."""

import msgspec
import pytest

from pipeline.runs.rows import Row, Step
from pipeline.runs.state import Status
from tests.workbench.conftest import screen_text, until
from workbench.columns import shown
from workbench.widgets.run_layout import layout, state_words
from workbench.widgets.run_table import RunTable

BACKBONES = ("resnet18", "vgg16_bn", "resnet20")
STAGES = ("prune", "quantize", "distill")


def row_of(place: int, **changes: object) -> Row:
    made = Row(
        id=f"2026-11-21-{place:06}", name=f"run-{place}", backbone=BACKBONES[place % 3], dataset="digits",
        stages=STAGES[: place % 4], status=Status.FINISHED, top1=90 + place % 50 / 10, points=-place % 30 / 10,
        size_bytes=1_000_000 + 997 * (place * 7919 % 5000), median_ms=1 + place % 17 / 10, baseline_top1=94.6,
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


def running(place: int, epoch: int) -> Row:
    step = Step(stage="prune", status="running", progress=epoch / 40, epoch=epoch, epochs=40)
    return row_of(place, status=Status.RUNNING, steps=(step,), index=0, top1=None, stages=("prune",))


class Spy:
    """Counts what the real table does."""

    def __init__(self, table: RunTable, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written = 0
        self.regions: list[object] = []
        self.whole = 0
        write, refresh = table.write, table.refresh

        def counted_write(*args, **kwargs):
            self.written += 1
            return write(*args, **kwargs)

        def counted_refresh(*regions, **kwargs):
            self.regions += regions
            self.whole += not regions
            return refresh(*regions, **kwargs)

        monkeypatch.setattr(table, "write", counted_write)
        monkeypatch.setattr(table, "refresh", counted_refresh)

    def reset(self) -> None:
        self.written, self.whole, self.regions = 0, 0, []


async def filled(app, pilot, rows) -> RunTable:
    """Put rows on the shelf as the feed would."""
    await until(pilot, lambda: app.shelf.is_complete)
    app.feed.close()
    show(app, rows)
    table = app.screen.query_one(RunTable)
    await until(pilot, lambda: table.has_focus and len(table.plain_lines()) > 1 and table.plain_lines()[1])
    return table


def show(app, rows) -> None:
    app.shelf.take(rows)
    app.shelf_changed.publish(None)


async def test_of_five_thousand_runs_only_those_in_sight_are_written(app, monkeypatch):
    rows = [row_of(place) for place in range(5000)]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        spy = Spy(table, monkeypatch)
        for key in ("down", "pagedown", "end", "home", "o", "O", "g", "z", "space", "shift+down"):
            spy.reset()
            await pilot.press(key)
            await pilot.pause()
            assert spy.written <= 3 * table.size.height, key
        await pilot.press("slash", *"top1>94")
        await until(pilot, lambda: "900 of 5,000" in screen_text(app))


async def test_a_move_within_sight_sends_two_lines_and_a_tick_of_a_live_run_one(app, monkeypatch):
    rows = [running(0, 3), *(row_of(place) for place in range(1, 5000))]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        await pilot.pause()
        spy = Spy(table, monkeypatch)
        await pilot.press("down")
        await pilot.pause()
        assert (spy.whole, {region.y for region in spy.regions}) == (0, {1, 2})
        assert spy.written == 2
        spy.reset()
        show(app, [running(0, 4), *rows[1:]])
        await pilot.pause()
        assert (spy.whole, [region.y for region in spy.regions], spy.written) == (0, [1], 1)
        assert "prune 4/40" in table.plain_lines()[1]
        spy.reset()
        show(app, [running(0, 4), *rows[1:]])
        await pilot.pause()
        assert (spy.whole, spy.regions) == (0, [])


async def test_the_cursor_stays_on_its_run_while_others_come_and_go(app):
    rows = [row_of(place) for place in range(50)]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        await pilot.press("down", "down")
        assert app.shelf.selected == rows[2].id
        show(app, [row_of(99), *rows])
        await until(pilot, lambda: table.plain_lines()[4].startswith(">  run-2 "))
        assert app.shelf.selected == rows[2].id
        show(app, [row for row in rows if row.id != rows[2].id])
        await until(pilot, lambda: table.plain_lines()[3].startswith(">  run-3 "))
        assert app.shelf.selected == rows[3].id


async def test_keys_that_come_at_once_each_act_on_the_run_that_the_one_before_went_to(app):
    rows = [row_of(place) for place in range(10)]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        await pilot.press("space", "space", "space")
        assert app.shelf.marked == {row.id for row in rows[:3]}
        assert [line[1] for line in table.plain_lines()[1:5]] == ["*", "*", "*", " "]


@pytest.mark.parametrize("width", [40, 60, 80, 110, 140, 200])
async def test_columns_that_do_not_fit_are_dropped_from_the_right_and_counted(app, width):
    rows = [row_of(place) for place in range(5)]
    async with app.run_test(size=(width, 24)) as pilot:
        table = await filled(app, pilot, rows)
        of = table.layout_shown
        assert [column.key for column in (*of.columns, *of.dropped)] == list(shown)
        assert all(len(line) <= width for line in table.plain_lines())
        dropped = len(of.dropped)
        await until(pilot, lambda: (f"+{dropped} column" in screen_text(app)) == bool(dropped))
        if width == 80:
            titles = table.plain_lines()[0].split("  ")
            assert "top1 %" in " ".join(titles)
            assert table.plain_lines()[0].rstrip().endswith(("ms", "base %"))


def test_names_get_the_room_that_dropped_columns_leave():
    narrow = layout(shown, 60, longest_name=40)
    assert narrow.widths[0] >= 20
    assert sum(narrow.widths) + narrow.gap * (len(narrow.widths) - 1) + 3 <= 60
    assert layout((), 80, 10).columns[0].key == "run"


async def test_numbers_stand_below_each_other_and_a_state_says_where_a_run_ended(app):
    step = Step(stage="prune", status="running", epoch=12, epochs=40)
    lost = row_of(1, status=Status.LOST, steps=(step,), index=0, top1=None)
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, [row_of(0, top1=9.5), lost, row_of(2, top1=100.0)])
        lines = table.plain_lines()
        ends = {line.index(text) + len(text) for line, text in zip(lines[1:4:2], ("   9.5", " 100.0"), strict=True)}
        assert len(ends) == 1
    assert state_words(lost, 26) == "!! lost at prune 12/40"
    assert state_words(lost, 16) == "!! lost"
    assert state_words(running(0, 20), 26) == "> prune 20/40 ######------"


async def test_a_click_selects_a_header_sorts_the_gutter_marks_and_a_double_click_opens(app):
    rows = [row_of(place) for place in range(10)]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        await pilot.click(RunTable, offset=(10, 3))
        assert app.shelf.selected == rows[2].id
        await pilot.click(RunTable, offset=(1, 4))
        assert app.shelf.marked == {rows[3].id}
        at = table.plain_lines()[0].index("top1")
        await pilot.click(RunTable, offset=(at, 0))
        await until(pilot, lambda: app.shelf.order == "top1")
        assert app.shelf.is_reversed
        assert "top1 ↓" in table.plain_lines()[0]
        await pilot.click(RunTable, offset=(at, 0))
        await until(pilot, lambda: not app.shelf.is_reversed)


async def test_groups_say_how_many_and_the_best_and_are_closed_and_opened(app):
    rows = [row_of(place) for place in range(30)]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        await pilot.press("g")
        await until(pilot, lambda: "resnet18" in table.plain_lines()[1])
        assert "10 runs, best top1 92.7 %" in table.plain_lines()[1]
        await pilot.press("left")
        assert table.cursor_group is not None
        await pilot.press("left")
        await until(pilot, lambda: "vgg16_bn" in table.plain_lines()[2])
        assert table.plain_lines()[1].startswith(">▸ resnet18")
        await pilot.press("space")
        assert app.shelf.marked == {row.id for row in rows[::3]}
        await pilot.press("enter")
        assert table.plain_lines()[1].startswith(">▾ resnet18")
        await pilot.press("z")
        assert [line[1] for line in table.plain_lines()[1:4]] == ["▸", "▸", "▸"]
        await pilot.press("z", "g", "g", "g")
        await until(pilot, lambda: any("state, 30 runs" in line for line in table.plain_lines()))


async def test_names_that_would_steer_the_terminal_are_shown_letter_by_letter(app):
    rows = [row_of(0, name="[red]x[/ \x1b[31m", tags=("[b]",)), row_of(1, name="名前" * 20)]
    async with app.run_test(size=(80, 24)) as pilot:
        table = await filled(app, pilot, rows)
        assert "[red]x[/ ?[31m" in table.plain_lines()[1]
        assert "…" in table.plain_lines()[2]
        assert "\x1b" not in screen_text(app)

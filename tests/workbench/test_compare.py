"""Runs side by side: only differences unless asked for, changes against a reference, layers, curves, files."""

import csv
import io
import re

import pytest
from msgspec.structs import replace

from pipeline import events as e
from pipeline.report import TensorSize
from pipeline.runs.rows import row_of
from pipeline.runs.store import RunStore
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench import comparison
from workbench.comparison import Side
from workbench.screens.compare import CompareScreen
from workbench.widgets.chart import Chart


def layered(happened, zeros, dtype="int8"):
    """Give the last stage and the checkpoint of a run their layers."""
    tensor = TensorSize(
        name="conv1.weight", shape=(10, 10), dtype=dtype, num_nonzero=round(100 * (1 - zeros)), coded_bytes=50,
        bound_bytes=49.0,
    )  # fmt: skip
    found = []
    for event in happened:
        if isinstance(event, e.StageFinished):
            event = replace(event, layer_sparsity={"conv1": zeros, "fc": 0.0})
        if isinstance(event, e.SizeMeasured) and event.subject == "deployed":
            event = replace(event, size=replace(event.size, tensors=(tensor,)))
        found.append(event)
    return found


def add(store, name, stages="PQ", zeros=0.5, **numbers):
    ours = fakes.recipe_of(name, stages)
    return fakes.add_run(store, ours, layered(fakes.whole(ours, **numbers), zeros))


def side(run):
    recipe, state = run.recipe(), run.state()
    return Side(row=row_of(run.id, recipe, state, run.annotations()), recipe=recipe, state=state)


def lines_of(sides, reference=0):
    return {line.name: line for line in comparison.compare(sides, reference)}


@pytest.fixture
def sides(store: RunStore):
    return [
        side(add(store, "first", top1=94.0, size_bytes=4_000_000, ms=2.0)),
        side(add(store, "second", "QPD", zeros=0.8, top1=93.5, size_bytes=2_000_000, ms=1.0)),
    ]


def test_numbers_have_changes_against_the_reference(sides):
    lines = lines_of(sides)
    assert comparison.cells(lines["top1 %"]) == ("94.0", "93.5 (-0.5 pt)")
    assert comparison.cells(lines["MiB"]) == ("3.81", "1.91 (2x smaller)")
    assert comparison.cells(lines["ms"]) == ("2.00", "1.00 (2x faster)")
    assert lines["to its baseline"].values == ("-0.6 pt", "-1.1 pt")
    assert comparison.cells(lines_of(sides, 1)["ms"]) == ("2.00 (2x slower)", "1.00")


def test_the_same_stage_in_another_place_is_no_difference_of_its_options(sides):
    different = {name for name, line in lines_of(sides).items() if line.section == "recipe" and not line.is_equal}
    assert "order" in different
    assert lines_of(sides)["order"].values == ("prune quantize", "quantize prune distill")
    assert lines_of(sides)["prune.sparsity"].is_equal
    assert {name.partition(".")[0] for name in different - {"order"}} == {"distill"}
    assert lines_of(sides)["distill.temperature"].values == ("-", "4")


def test_stages_and_layers_stand_side_by_side(sides):
    lines = lines_of(sides)
    assert lines["1 stage"].values == ("prune, finished", "quantize, finished")
    assert lines["3 distill time"].values == ("-", "0:40")
    assert lines["conv1"].values == ("50.0 % int8 4.00 b", "80.0 % int8 4.00 b")
    assert lines["fc"].values == ("0.0 %", "0.0 %")


def test_the_table_is_written_as_csv_and_as_text(sides):
    lines = comparison.compare(sides)
    rows = list(csv.reader(io.StringIO(comparison.as_csv(sides, lines).decode())))
    assert rows[0] == ["section", "name", sides[0].row.id, "change", sides[1].row.id, "change"]
    assert ["numbers", "top1 %", "94.0", "", "93.5", "-0.5 pt"] in rows
    text = comparison.as_text(sides, lines).decode()
    assert "LAYERS" in text
    assert "93.5 (-0.5 pt)" in text


def test_runs_that_know_nothing_yet_are_compared_all_the_same(sides):
    bare = Side(row=replace(sides[0].row, id="other", top1=None, points=None))
    assert lines_of([sides[0], bare])["top1 %"].values == ("94.0", "-")


async def open_compare(app, pilot, count, marks=()):
    await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == count)
    app.shelf.marked = {row.id for row in app.shelf.rows.values() if row.name in marks}
    await pilot.press("5")
    await until(pilot, lambda: isinstance(app.screen, CompareScreen))


@pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
async def test_marked_runs_are_compared_and_a_shows_what_is_equal(app, store, size):
    add(store, "one", top1=94.0)
    add(store, "two", top1=93.0)
    add(store, "three", top1=92.0)
    async with app.run_test(size=size) as pilot:
        await open_compare(app, pilot, 3, ("one", "two"))
        await until(pilot, lambda: "2 marked runs" in screen_text(app) and "(+1.0 pt)" in screen_text(app))
        await until(pilot, lambda: "equal lines hidden (a)" in screen_text(app))
        chart = app.screen.query_one(Chart)
        # On few rows the ends of two curves can share a cell, which the later one has.
        await until(pilot, lambda: "B" in chart.plain_text() and (size == (80, 24) or "A" in chart.plain_text()))
        assert re.search(r"A two = reference +B one", screen_text(app))
        assert "50.0 % int8 4.00 b" not in screen_text(app)
        assert "ms" not in [line.split()[0] for line in screen_text(app).splitlines() if line.strip()]
        await pilot.press("a", "v")
        await until(pilot, lambda: "all lines" in screen_text(app) and "measured in" in screen_text(app))
        await pilot.press("G")
        await until(pilot, lambda: screen_text(app).count("50.0 % int8 4.00 b") == 2)
        assert "layers: zeros, type, coded bits a weight" in screen_text(app)


async def test_brackets_go_through_the_recorded_numbers_and_runs_are_known_by_the_same_letters_in_live(app, store):
    add(store, "one", top1=94.0)
    add(store, "two", top1=93.0)
    async with app.run_test(size=(140, 40)) as pilot:
        await open_compare(app, pilot, 2, ("one", "two"))
        await until(pilot, lambda: "[ ] top-1 %" in screen_text(app))
        await pilot.press("]")
        await until(pilot, lambda: "[ ] loss" in screen_text(app))
        chart = app.screen.query_one(Chart)
        await until(pilot, lambda: "B" in chart.plain_text())
        await pilot.press("]")
        await until(pilot, lambda: "[ ] lr" in screen_text(app) and "1e-3" in chart.plain_text())
        await pilot.press("[")
        await until(pilot, lambda: "[ ] loss" in screen_text(app))
        assert app.memory.get("compare.curve", "") == "loss"
        letters = {name: letter for letter, name in re.findall(r"\b([A-F]) (one|two)\b", screen_text(app))}
        assert sorted(letters.values()) == ["A", "B"]
        choose = next(row.id for row in app.shelf.rows.values() if row.name == "two")
        app.select(choose)
        await pilot.press("3")
        await until(pilot, lambda: all(f"{letter} {name}" in screen_text(app) for name, letter in letters.items()))


async def test_r_chooses_the_reference_and_arrows_the_runs_in_sight(app, store):
    for name, top1 in (("r1", 94.0), ("r2", 93.0), ("r3", 92.0), ("r4", 91.0)):
        add(store, name, top1=top1)
    async with app.run_test(size=(80, 24)) as pilot:
        await open_compare(app, pilot, 4, ("r1", "r2", "r3", "r4"))
        await until(pilot, lambda: "columns 1 to 2 of 4" in screen_text(app))
        ids = [row.name for row in app.screen.runs()]
        assert f"{ids[0]} = reference" in screen_text(app)
        await pilot.press("r")
        await until(pilot, lambda: f"{ids[1]} = reference" in screen_text(app))
        await pilot.press("right", "right", "right", "right")
        await until(pilot, lambda: "columns 3 to 4 of 4" in screen_text(app) and ids[3] in screen_text(app))
        await pilot.press("left")
        await until(pilot, lambda: "columns 2 to 3 of 4" in screen_text(app))


async def test_without_marks_the_selected_run_and_its_like_are_compared(app, store):
    add(store, "old")
    add(store, "new")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_compare(app, pilot, 2)
        await until(pilot, lambda: "the selected run and one on the same data" in screen_text(app))
        assert {row.name for row in app.screen.runs()} == {"old", "new"}
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, CompareScreen))


async def test_one_run_alone_says_how_to_mark(app, store):
    add(store, "alone")
    async with app.run_test(size=(80, 24)) as pilot:
        await open_compare(app, pilot, 1)
        await until(pilot, lambda: "Mark them with space in Runs (1) or Frontier (4)" in screen_text(app))
        await pilot.press("r", "a", "left", "down", "w", "v")
        assert isinstance(app.screen, CompareScreen)


async def test_c_on_the_frontier_compares_and_w_writes(app, store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add(store, "one", top1=94.0)
    add(store, "two", top1=93.0)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 2)
        await pilot.press("4")
        await until(pilot, lambda: "finished, tiny on digits" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, CompareScreen) and "top1 %" in screen_text(app))
        await pilot.press("w")
        await until(pilot, lambda: "The differences of 2 runs, as .csv or .txt." in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "compare.csv").exists())
        assert "top1 %" in (tmp_path / "compare.csv").read_text()
        await pilot.press("3", "X")
        await until(pilot, lambda: "Every recorded number of" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: any(tmp_path.glob("*-metrics.csv")))


async def test_names_with_brackets_are_harmless(app, store):
    add(store, "[red]x[/", top1=94.0)
    add(store, "plain", top1=93.0)
    async with app.run_test(size=(140, 40)) as pilot:
        await open_compare(app, pilot, 2)
        await until(pilot, lambda: "[red]x[/" in screen_text(app))

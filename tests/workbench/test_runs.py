"""The screen of runs: what it shows, what its keys do to the chosen runs, and what it remembers."""

import subprocess
import sys

import pytest

from pipeline import events as e
from pipeline.keys import stage_keys
from pipeline.runs import process
from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until, workbench
from workbench.modals.about_run import AboutRunModal
from workbench.modals.confirm import ConfirmModal
from workbench.modals.export import ExportModal
from workbench.modals.launch import LaunchModal
from workbench.modals.pick_columns import ColumnsModal
from workbench.modals.stop import StopModal
from workbench.screens.runs import RunsScreen
from workbench.settings import Settings
from workbench.shelf import Shelf
from workbench.widgets.filter_line import FilterInput
from workbench.widgets.run_table import RunTable

sizes = pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
hostile = "[red]x[/ [@click=app.quit]名前"


def add(store, *names, stages="PQ", **changes):
    """Finished runs, the last the newest."""
    found = []
    for name in names:
        ours = fakes.recipe_of(name, stages)
        found.append(fakes.add_run(store, ours, fakes.whole(ours, **changes)))
    return found


async def listed(app, pilot, count) -> RunTable:
    await until(pilot, lambda: app.shelf.is_complete and len(app.shelf.rows) == count)
    table = app.screen.query_one(RunTable)
    await until(pilot, lambda: table.has_focus and len([line for line in table.plain_lines() if line]) > 1)
    return table


async def on(pilot, app, run):
    """Select a run as the arrows would."""
    app.select(run.id)
    table = app.screen.query_one(RunTable)
    await until(pilot, lambda: any(line[:1] == ">" for line in table.plain_lines()))


async def test_an_empty_store_names_the_next_key(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No runs yet" in screen_text(app))
        assert "Press 2 to compose a recipe, or p to start from a preset." in screen_text(app)
        await pilot.press("d", "s", "space", "r", "i", "t", "u", "slash", "escape")
        assert isinstance(app.screen, RunsScreen)


@sizes
async def test_runs_of_every_kind_are_listed_with_their_state_in_words(app, store, size):
    add(store, "good", stages="PQD")
    gone = fakes.recipe_of("gone", "PQ")
    fakes.add_run(store, gone, [fakes.started(gone), *fakes.training(gone, 0, fakes.START_S)])
    fakes.add_run(store, gone, [fakes.started(gone), e.RunFailed(reason="The disk is full.")])
    fakes.add_run(store, gone, [fakes.started(gone), e.RunStopped()])
    broken = fakes.add_run(store, gone, [])
    broken.events_path.write_text("{nonsense\n")
    headless = fakes.add_run(store, gone, [])
    (headless.folder / "recipe.toml").write_text("name = 3")
    async with app.run_test(size=size) as pilot:
        await listed(app, pilot, 6)
        for text in ("ok finished", "!! lost", "x failed", "-- stopped", "?? unreadable"):
            await until(pilot, lambda text=text: text in screen_text(app), text)
        for _ in range(6):
            await pilot.press("down")
        assert isinstance(app.screen, RunsScreen)


async def test_the_newest_run_that_goes_on_is_selected_first_and_its_progress_stands_in_its_line(app, store):
    ours = fakes.recipe_of("alive", "PQ")
    begun = [fakes.started(ours), *fakes.training(ours, 0, fakes.START_S, reused=True)]
    begun += fakes.training(ours, 1, fakes.START_S, epochs=3)
    with fakes.running(store, ours, begun) as alive:
        add(store, "later")
        async with app.run_test(size=(80, 24)) as pilot:
            table = await listed(app, pilot, 2)
            assert app.shelf.selected == alive.id
            (line,) = [line for line in table.plain_lines() if line.startswith(">")]
            assert "P▸Q·" in line
            assert "> prune 3/4" in line
            assert "measured once its last stage is done" in screen_text(app)


def test_while_runs_are_still_being_read_the_newest_that_goes_on_becomes_the_selected_one():
    shelf = Shelf()
    old, alive = Row(id="1", name="old", status=Status.FINISHED), Row(id="0", name="alive", status=Status.RUNNING)
    shelf.take([old], is_complete=False)
    assert shelf.selected == "1"
    shelf.take([old, alive])
    assert shelf.selected == "0"
    shelf.select("1")
    shelf.take([old, alive, Row(id="2", name="newer", status=Status.RUNNING)])
    assert shelf.selected == "1"


def test_a_selected_run_stays_the_selected_one_however_often_runs_go_on():
    shelf = Shelf()
    rows = [Row(id="1", name="old", status=Status.FINISHED), Row(id="0", name="alive", status=Status.RUNNING)]
    shelf.take(rows)
    shelf.select("1")
    for _ in range(3):
        shelf.take(rows)
        assert shelf.selected == "1"
    shelf.take(rows[1:])
    assert shelf.selected == "0"


@sizes
async def test_the_strip_sets_a_finished_run_beside_its_baseline(app, store, size):
    add(store, "pq", top1=94.1, size_bytes=3_000_000, ms=1.2, reused=(0, 1))
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "baseline" in screen_text(app))
        text = screen_text(app)
        assert "tiny on digits, seed 0" in text
        for words in ("94.1", "-0.5", "2.86", "1.20", "94.6", "41.96", "5.30", "4.4x", "14.7x", "reused", "92.5..95.4"):
            assert words in text, words


async def test_a_failure_says_its_reason(app, store):
    ours = fakes.recipe_of("bad", "P")
    fakes.add_run(store, ours, [fakes.started(ours), e.RunFailed(reason="The loss became nan at step 61.")])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "The loss became nan at step" in screen_text(app))


async def test_the_first_note_of_a_run_is_shown_below_it(app, store):
    ours = fakes.recipe_of("noted", "P")
    fakes.add_run(store, ours, [fakes.started(ours), e.Noted(text="There is no GPU."), e.RunFailed(reason="x")])
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "run notes: There is no GPU." in screen_text(app))


@sizes
async def test_a_name_with_brackets_is_harmless_in_every_dialog(app, store, size):
    add(store, hostile)
    async with app.run_test(size=size, notifications=True) as pilot:
        await listed(app, pilot, 1)
        for key in ("i", "escape", "d", "escape", "t", "escape", "N", "escape", "r", "escape", "C", "escape", "s"):
            await pilot.press(key)
            await pilot.pause(0.05)
        await until(pilot, lambda: isinstance(app.screen, RunsScreen) and "[red]x[/" in screen_text(app))
    assert len(store.runs()) == 1


# -- filter


async def test_the_filter_works_at_each_letter_and_a_wrong_one_leaves_the_last_good_one_in_force(app, store):
    add(store, "alpha", "beta", "gamma", top1=94.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 3)
        await pilot.press("slash", *"b")
        await until(pilot, lambda: "1 of 3" in screen_text(app))
        await pilot.press(*"eta top")
        await until(pilot, lambda: "\n top1" in screen_text(app))
        assert [row.name for row in app.shelf.visible] == ["beta"]
        await pilot.press(*"1>x")
        await until(pilot, lambda: "x 'top1>x': 'x' is not a number; top1 takes a number" in screen_text(app))
        assert [row.name for row in app.shelf.visible] == ["beta"]
        await pilot.press("enter")
        assert isinstance(app.focused, FilterInput)
        await pilot.press("escape")
        await until(pilot, lambda: "3 runs" in screen_text(app))
        await pilot.press("escape")
        assert isinstance(app.focused, RunTable)


async def test_enter_keeps_a_filter_escape_leaves_it_and_up_brings_it_back(app, store):
    add(store, "alpha", "beta")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 2)
        await pilot.press("slash", *"alpha", "enter")
        await until(pilot, lambda: isinstance(app.focused, RunTable) and app.shelf.current.name == "alpha")
        await pilot.press("escape")
        await until(pilot, lambda: "2 runs" in screen_text(app))
        await pilot.press("slash", "up")
        await until(pilot, lambda: "1 of 2" in screen_text(app))


async def test_a_filter_that_nothing_passes_says_how_to_go_on_and_no_hidden_run_is_acted_on(app, store):
    add(store, "alpha")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("slash", *"zzz", "enter")
        await until(pilot, lambda: "No run passes the filter." in screen_text(app) and app.shelf.selected is None)
        await pilot.press("d")
        assert isinstance(app.screen, RunsScreen)
        await pilot.press("escape")
        await until(pilot, lambda: app.shelf.current is not None and app.shelf.current.name == "alpha")


# -- order, columns, marks


async def test_the_order_goes_through_the_columns_the_better_end_first(app, store):
    for top1 in (93.0, 95.0, 94.0):
        add(store, f"run-{top1:.0f}", top1=top1)
    async with app.run_test(size=(80, 24)) as pilot:
        table = await listed(app, pilot, 3)
        await pilot.press("o")
        await until(pilot, lambda: "run-95" in table.plain_lines()[1])
        assert [row.name for row in app.shelf.visible] == ["run-95", "run-94", "run-93"]
        await until(pilot, lambda: "by top1 ↓" in screen_text(app))
        await pilot.press("O")
        await until(pilot, lambda: "by top1 ↑" in screen_text(app))
        assert [row.name for row in app.shelf.visible] == ["run-93", "run-94", "run-95"]


async def test_columns_are_chosen_moved_and_sorted_by_in_a_dialog(app, store):
    add(store, "one")
    async with app.run_test(size=(80, 24)) as pilot:
        table = await listed(app, pilot, 1)
        await pilot.press("C")
        await until(pilot, lambda: isinstance(app.screen, ColumnsModal) and "[x] stages" in screen_text(app))
        await pilot.press("j", "space", "j", "j", "K", "o")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await until(pilot, lambda: table.plain_lines()[0].split()[:3] == ["run", "top1", "↓"])
        assert "stages" not in table.plain_lines()[0]
        assert app.memory.get("runs.columns", [])[:3] == ["run", "top1", "state"]


async def test_marks_are_put_one_by_one_in_a_range_on_all_and_turned_round(app, store):
    runs = add(store, *"abcde")
    names = {run.id: run.recipe().name for run in runs}

    def marked() -> str:
        return "".join(sorted(names[run_id] for run_id in app.shelf.marked))

    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 5)
        first = [row.name for row in app.shelf.visible]
        await pilot.press("space", "down", "down", "V")
        assert marked() == "".join(sorted(first[:4]))
        await pilot.press("I")
        assert marked() == first[4]
        await pilot.press("a")
        assert marked() == "abcde"
        await pilot.press("A")
        assert marked() == ""
        await pilot.press("home", "shift+down", "shift+down")
        assert marked() == "".join(sorted(first[:3]))
        await until(pilot, lambda: "3 marked" in screen_text(app))
        await pilot.press("slash", *f"name={first[0]}", "enter")
        await until(pilot, lambda: "3 marked (2 hidden)" in screen_text(app))


async def test_marked_runs_reach_the_export_dialog(app, store):
    add(store, "one", "two", "three")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 3)
        await pilot.press("space", "space", "e")
        await until(pilot, lambda: isinstance(app.screen, ExportModal))
        assert len(app.shelf.chosen) == 2


async def test_what_one_saw_is_there_again_in_the_next_session(store, saved, tmp_path):
    runs = add(store, "alpha", "beta", "alpine")
    first = workbench(store, saved, tmp_path)
    async with first.run_test(size=(80, 24)) as pilot:
        await listed(first, pilot, 3)
        await pilot.press("slash", *"al", "enter", "o", "g")
        await on(pilot, first, runs[0])
    second = workbench(store, saved, tmp_path)
    second.memory = first.memory
    second.shelf = Shelf(first.memory)
    async with second.run_test(size=(80, 24)) as pilot:
        await listed(second, pilot, 3)
        await until(pilot, lambda: "2 of 3" in screen_text(second) and "by top1" in screen_text(second))
        assert (second.shelf.selected, second.shelf.grouping) == (runs[0].id, "backbone")
        await pilot.press("slash", "escape", "up")
        await until(pilot, lambda: second.screen.query_one(FilterInput).value == "al")


# -- stop, delete, resume


@pytest.mark.parametrize(("key", "when"), [("n", "now"), ("enter", "epoch"), ("a", "stage"), ("escape", None)])
async def test_a_stop_asks_when_and_keeping_the_work_is_the_default(app, store, key, when):
    with fakes.running(store, fakes.recipe_of("alive", "P"), []) as alive:
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await listed(app, pilot, 1)
            await pilot.press("s")
            await until(pilot, lambda: isinstance(app.screen, StopModal) and app.focused is not None)
            assert app.focused.id == "way-epoch"
            await pilot.press(key)
            await until(pilot, lambda: isinstance(app.screen, RunsScreen))
            await until(pilot, lambda: when is None or "alive will stop at" in screen_text(app))
        assert (alive.stop_path.read_text() if alive.stop_path.exists() else None) == when


async def test_only_a_run_that_goes_on_can_be_stopped(app, store):
    add(store, "over")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("s")
        await until(pilot, lambda: "Only a run that goes on can" in screen_text(app))


async def test_deleting_asks_takes_all_chosen_runs_and_is_undone(app, store):
    # The list begins with the newest, and of one second with the last in the alphabet: the same here.
    runs = add(store, "one", "three", "two")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot, 3)
        await pilot.press("space", "space", "d")
        await until(pilot, lambda: isinstance(app.screen, ConfirmModal) and app.focused is not None)
        assert "delete 2 runs?" in screen_text(app)
        assert app.focused.id == "no"
        await pilot.press("y")
        await until(pilot, lambda: len(app.shelf.rows) == 1 and "u brings them back" in screen_text(app))
        assert len(store.runs()) == 1
        await pilot.press("u")
        await until(pilot, lambda: len(app.shelf.rows) == 3)
        assert {run.id for run in store.runs()} == {run.id for run in runs}
        await until(pilot, lambda: "Brought back two, three." in screen_text(app))
        await pilot.press("u")
        await until(pilot, lambda: "Nothing lies in the trash" in screen_text(app))


async def test_what_another_session_deleted_is_brought_back_the_last_first(app, store):
    first, second, _ = add(store, "first", "second", "stays")
    store.delete(second)
    store.delete(first)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("u")
        await until(pilot, lambda: "Brought back first." in screen_text(app) and first.id in app.shelf.rows)
        await pilot.press("u")
        await until(pilot, lambda: "Brought back second." in screen_text(app) and len(app.shelf.rows) == 3)


async def test_a_run_that_goes_on_is_not_deleted(app, store):
    with fakes.running(store, fakes.recipe_of("alive", "P"), []):
        async with app.run_test(size=(80, 24), notifications=True) as pilot:
            await listed(app, pilot, 1)
            await pilot.press("d")
            await until(pilot, lambda: "alive is still going on" in screen_text(app))
    assert len(store.runs()) == 1


async def test_resuming_shows_what_is_reused_and_launches_the_recipe_again(app, store, monkeypatch):
    ours = fakes.recipe_of("cut", "PQ")
    cut = [fakes.started(ours), *fakes.training(ours, 0, fakes.START_S), e.RunStopped()]
    first = fakes.add_run(store, ours, cut)
    kept = store.stages_folder / stage_keys(ours)[0]
    kept.mkdir(parents=True)
    (kept / "result.json").write_text("{}")
    # A process that ends at once; training is not what this is about.
    monkeypatch.setattr(process.sys, "executable", "/bin/echo")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, LaunchModal) and app.screen.plan is not None)
        assert [entry.is_reused for entry in app.screen.plan.entries] == [True, False, False]
        await pilot.press("y")
        await until(pilot, lambda: app.current_mode == "live")
        (again,) = [run for run in store.runs() if run.id != first.id]
        assert app.shelf.selected == again.id
        assert again.recipe() == ours


@pytest.mark.parametrize(("last", "sentence"), [(e.RunFinished(), "nothing is left to do"), (None, "it is running")])
async def test_a_run_that_is_finished_or_goes_on_is_not_resumed(app, store, last, sentence):
    ours = fakes.recipe_of("mine", "P")
    with fakes.running(store, ours, [fakes.started(ours), *([last] if last else [])]):
        async with app.run_test(size=(140, 40), notifications=True) as pilot:
            await listed(app, pilot, 1)
            await pilot.press("r")
            await until(pilot, lambda: sentence in screen_text(app))
            assert isinstance(app.screen, RunsScreen)


async def test_a_workbench_that_only_reads_refuses_what_changes_the_store(store, saved, tmp_path):
    add(store, "kept")
    app = workbench(store, saved, tmp_path)
    app.settings = Settings(poll_s=0.02, read_only=True)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await listed(app, pilot, 1)
        for key in "srdutNP":
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, RunsScreen), key
        await until(pilot, lambda: "This workbench only reads" in screen_text(app))
        await pilot.press("space", "i")
        await until(pilot, lambda: isinstance(app.screen, AboutRunModal))
    assert not store.runs()[0].annotations_path.exists()


# -- keys


async def test_everything_about_a_run_is_read_in_a_dialog(app, store):
    (run,) = add(store, "whole", stages="PQD")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        await pilot.press("i")
        await until(pilot, lambda: "accuracy: 94.00 %" in screen_text(app))
        whole = app.screen.query_one("#all").content.plain
        for title in ("numbers", "stages", "recipe", "surroundings"):
            assert f"\n{title}\n" in whole
        assert str(run.folder) in whole
        assert "sparsity = 0.5" in whole
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_the_footer_shows_at_most_nine_keys_whole_and_each_key_is_explained(app, store):
    add(store, "one")
    async with app.run_test(size=(80, 24)) as pilot:
        await listed(app, pilot, 1)
        ours = [active.binding for active in app.screen.active_bindings.values() if active.binding.id]
        assert len({binding.action for binding in ours if binding.show}) <= 9
        assert all(binding.tooltip for binding in ours)
        assert "q quit" in screen_text(app).splitlines()[-1]


async def test_the_screen_of_runs_imports_nothing_heavy(store, saved):
    add(store, "one")
    script = f"""
import asyncio, sys
from pathlib import Path
from pipeline.runs.store import RunStore
from workbench.app import Workbench

async def main():
    app = Workbench(RunStore(Path({str(store.folder)!r})), Path({str(saved)!r}))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in "slash a escape escape g o C escape i escape d escape t escape".split():
            await pilot.press(key)
            await pilot.pause(0.05)
    heavy = {{"torch", "torchvision", "onnx", "onnxruntime", "sklearn", "plotext"}} & set(sys.modules)
    assert not heavy, heavy

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr

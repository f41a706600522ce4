"""Every screen opens at both sizes, is worked by keyboard, and never lets a run's name be markup."""

import subprocess
import sys

import pytest

from pipeline import events as e
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until, workbench
from workbench import screens
from workbench.modals.help import HelpModal, keys
from workbench.screens.frontier import FrontierScreen
from workbench.screens.runs import RunsScreen

sizes = pytest.mark.parametrize("size", [(80, 24), (140, 40)], ids=["80x24", "140x40"])
hostile = "[red]x[/ [@click=app.quit]名前"


@sizes
async def test_every_screen_opens_on_an_empty_store(app, size):
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "No runs yet" in screen_text(app))
        for name, entry in (*screens.found().items(), ("runs", screens.found()["runs"])):
            await pilot.press(entry.key)
            await until(pilot, lambda name=name: app.current_mode == name)
            await until(pilot, lambda: screen_text(app).startswith(" pqd"))


@sizes
async def test_every_screen_shows_runs_of_every_kind(app, store, size):
    ours = fakes.recipe_of("good", "PQD")
    fakes.add_run(store, ours, fakes.whole(ours))
    lost = fakes.recipe_of("gone", "PQ")
    fakes.add_run(store, lost, [fakes.started(lost), *fakes.training(lost, 0, fakes.START_S)])
    fakes.add_run(store, lost, [fakes.started(lost), e.RunFailed(reason="The disk is full.")])
    fakes.add_run(store, lost, [fakes.started(lost), e.RunStopped()])
    broken = fakes.add_run(store, lost, [])
    broken.events_path.write_text("{nonsense\n")
    headless = fakes.add_run(store, ours, [])
    (headless.folder / "recipe.toml").write_text("name = 3")
    async with app.run_test(size=size) as pilot:
        for words in ("ok finished", "!! lost", "x failed", "-- stopped", "?? unreadable"):
            await until(pilot, lambda words=words: words in screen_text(app), words)
        for key in "34521":
            await pilot.press(key)
            for _ in app.shelf.rows:
                await pilot.press("right" if key in "345" else "down")
            await pilot.pause()
        assert isinstance(app.screen, RunsScreen)


@sizes
async def test_names_with_brackets_are_harmless_everywhere(app, store, size):
    ours = fakes.recipe_of(hostile, "PQ")
    fakes.add_run(store, ours, fakes.whole(ours), log="[red]x[/\n\x1b[31mred\x1b[0m\n")
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: "[red]x[/" in screen_text(app))
        await pilot.press("s")
        app.say(hostile)
        pressed = ["3", "l", "4", "right", "space", "e", "escape", "question_mark", "escape", "5", "2", "1", "d"]
        for key in pressed:
            await pilot.press(key)
            await pilot.pause()
        assert "[red]x[/" in screen_text(app)
        await pilot.press("n")
        assert len(store.runs()) == 1


async def test_each_footer_shows_at_most_nine_keys_and_each_key_is_explained(app):
    async with app.run_test(size=(80, 24)) as pilot:
        for key in "12345":
            await pilot.press(key)
            await pilot.pause()
            ours = [a.binding for a in app.screen.active_bindings.values() if a.binding.id]
            shown = {binding.action for binding in ours if binding.show}
            assert len(shown) <= 9, shown
            assert all(binding.tooltip for binding in ours)


async def test_help_lists_the_keys_of_the_screen_and_escape_closes_it(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        await until(pilot, lambda: isinstance(app.screen, FrontierScreen))
        names = {key.name for key in keys(app.screen)}
        assert {"axes", "mark"} <= names
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpModal))
        await until(pilot, lambda: "Choose what stands on the x axis" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, FrontierScreen))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_the_screens_of_a_full_store_import_neither_torch_nor_a_runtime(store, saved, tmp_path):
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    script = f"""
import asyncio, sys
from pathlib import Path
from pipeline.runs.store import RunStore
from workbench.app import Workbench

async def main():
    app = Workbench(RunStore(Path({str(store.folder)!r})), Path({str(saved)!r}))
    async with app.run_test(size=(80, 24)) as pilot:
        for key in ["1", "2", "a", "escape", "p", "escape", "3", "4", "right", "5", "1", "e", "escape"]:
            await pilot.press(key)
            await pilot.pause(0.1)
    heavy = {{"torch", "torchvision", "onnx", "onnxruntime", "sklearn"}} & set(sys.modules)
    assert not heavy, heavy

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("theme", ["ansi-dark", "textual-light", "nord"])
async def test_every_screen_is_drawn_in_other_themes(app, store, theme):
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        for key in "13452":
            await pilot.press(key)
            app.theme = theme
            await pilot.pause()
            app.theme = "calm"
            await pilot.pause()
        assert "pqd" in screen_text(app).splitlines()[0]


async def test_a_second_workbench_sees_the_same_runs(store, saved, tmp_path):
    with fakes.running(store, fakes.recipe_of("shared", "P"), []) as run:
        for _ in range(2):
            app = workbench(store, saved, tmp_path)
            async with app.run_test(size=(80, 24)) as pilot:
                await until(pilot, lambda: "1 running" in screen_text(app))  # noqa: B023
                await pilot.press("q")
            assert fakes.is_locked(run)

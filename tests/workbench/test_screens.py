"""Every screen opens at both sizes, is worked by keyboard, and never lets a run's name be markup."""

import contextlib
import subprocess
import sys

import pytest
from textual.widgets import Input, TextArea

from pipeline import events as e
from tests.workbench import fakes
from tests.workbench.conftest import every_place, screen_text, until, workbench
from workbench import screens
from workbench.modals.help import HelpModal, keys
from workbench.screens.frontier import FrontierScreen
from workbench.screens.runs import RunsScreen
from workbench.widgets.footer import Footer

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


def stored(store, what):
    """Put runs into a store; gives what keeps those alive that go on."""
    if what in ("over", "both"):
        for name in ("one", "two"):
            ours = fakes.recipe_of(name, "PQ")
            fakes.add_run(store, ours, fakes.whole(ours), log="Warning: printed\n")
    if what == "lost":
        ours = fakes.recipe_of("lost", "P")
        fakes.add_run(store, ours, [fakes.started(ours), *fakes.training(ours, 0, fakes.START_S, epochs=2)])
    if what in ("at work", "both"):
        ours = fakes.recipe_of("alive", "P")
        part = fakes.training(ours, 0, fakes.START_S, epochs=2)
        return fakes.running(store, ours, [fakes.started(ours), *part])
    return contextlib.nullcontext()


def footer(app):
    return screen_text(app).splitlines()[-1].strip()


@pytest.mark.parametrize("what", ["nothing", "over", "both"])
async def test_the_footer_shows_all_that_is_of_use_wherever_the_focus_is(app, store, what):
    seen = set()
    with stored(store, what):
        async with app.run_test(size=(80, 24)) as pilot:
            async for key, widget in every_place(app, pilot):
                offered = [a.binding for a in app.screen.query_one(Footer).offered()]
                seen.add((key, type(widget).__name__))
                assert len(offered) <= 9, (key, widget, offered)
                row = footer(app)
                assert len(row.split("  ")) == len(offered), (key, widget, row)
                ends = ("f1 explain  ^q quit",) if isinstance(app.focused, Input | TextArea) else ("? help  q quit",)
                assert row.endswith(ends), (key, widget, row)
                ours = [a.binding for a in app.screen.active_bindings.values() if a.binding.id]
                assert all(binding.tooltip for binding in ours)
    assert {("2", "Outline"), ("2", "Input"), ("2", "Select"), ("2", "TextArea")} <= seen
    if what != "nothing":
        assert {("1", "RunTable"), ("1", "FilterInput"), ("3", "Tile"), ("3", "LogView"), ("3", "Input")} <= seen
        assert ("4", "FilterInput") in seen


@pytest.mark.parametrize(
    ("what", "key", "there", "absent"),
    [
        ("nothing", "1", "p preset  2 compose  f2 check  ? help", "filter mark export compare stop live"),
        ("nothing", "3", "2 compose", "full log pause stop"),
        ("nothing", "4", "2 compose", "mark axes export filter"),
        ("nothing", "5", "2 compose", "runs scroll versus"),
        ("at work", "1", "s stop", "export resume compare"),
        ("at work", "3", "s stop", "export overlay"),
        ("at work", "4", "3 live", "mark axes export filter"),
        ("at work", "5", "1 runs", "scroll versus write"),
        ("over", "1", "e export  c compare", "stop compose resume"),
        ("lost", "1", "r resume", "stop export"),
        ("over", "3", "o overlay  e export", "stop pause"),
        ("over", "4", "x axes", "compose"),
        ("over", "5", "r versus", "compose"),
    ],
)
async def test_the_footer_offers_what_can_be_done_with_the_runs_there_are(app, store, what, key, there, absent):
    with stored(store, what):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: app.shelf.rows is not None and app.shelf.is_complete)
            await pilot.press(key)
            await until(pilot, lambda: app.screen.entry.key == key and there in footer(app))
            words = footer(app).split()
            assert not [word for word in absent.split() if word in words], words


async def test_the_footer_follows_the_marks_and_the_state_of_a_run(app, store):
    with stored(store, "both"):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "s stop" in footer(app) and "export" not in footer(app))
            await pilot.press("up", "space")
            await until(pilot, lambda: "e export" in footer(app) and "stop" not in footer(app))
            drawn = []
            row = app.screen.query_one(Footer)
            row.refresh = lambda *_, **__: drawn.append(row)
            app.shelf_changed.publish(None)
            assert not drawn


async def test_a_key_of_the_footer_is_pressed_by_the_mouse(app, store):
    with stored(store, "over"):
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda: "e export" in footer(app))
            await pilot.click(Footer, offset=(screen_text(app).splitlines()[-1].index("help"), 0))
            await until(pilot, lambda: isinstance(app.screen, HelpModal))
            await pilot.press("escape")
            await pilot.hover(Footer, offset=(2, 0))
            await until(pilot, lambda: "Watch this run" in str(app.screen.query_one(Footer).tooltip))


async def test_in_a_narrow_terminal_help_and_leaving_stay(app, store):
    with stored(store, "over"):
        async with app.run_test(size=(44, 24)) as pilot:
            await until(pilot, lambda: footer(app).startswith("⏎ live"))
            assert footer(app).endswith("? help  q quit")


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

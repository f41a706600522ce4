"""The command palette finds what the screen and everywhere can do, and runs, presets and themes by name."""

from textual.command import CommandPalette
from textual.widgets import OptionList

from pipeline import presets, recipe
from tests.workbench import fakes
from tests.workbench.conftest import every_place, screen_text, until
from workbench.commands import Commands
from workbench.modals.ask import AskModal
from workbench.screens.compose import ComposeScreen
from workbench.screens.runs import RunsScreen

hostile = "[red]x[/ [@click=app.quit]名前"


def shown(app):
    return [str(option.prompt) for option in app.screen.query_one(OptionList)._options]


async def find(pilot, app, words, first="", key="colon"):
    """Type words into the palette until the first hit holds the last of them, or what is expected."""
    await pilot.press(key)
    await until(pilot, lambda: isinstance(app.screen, CommandPalette))
    await pilot.press(*(("space" if letter == " " else letter) for letter in words))
    await until(pilot, lambda: shown(app) and (first or words.split()[-1]) in shown(app)[0], words)


async def test_actions_of_the_screen_and_of_everywhere_are_listed_before_anything_is_typed(app, store):
    ours = fakes.recipe_of("one", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(140, 60)) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        await pilot.press("ctrl+p")
        await until(pilot, lambda: isinstance(app.screen, CommandPalette) and len(shown(app)) > 8)
        text = "\n".join(shown(app))
        for words in ("export", "stop", "go to Compose", "theme", "settings", "check"):
            assert words in text, words
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_a_screen_a_run_and_a_theme_are_reached_by_a_few_letters(app, store):
    for name in ("first", "second", hostile):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 3)
        await find(pilot, app, "run first")
        await pilot.press("enter")
        await until(pilot, lambda: app.shelf.current.name == "first")
        await find(pilot, app, "run [red]")
        await pilot.press("enter")
        await until(pilot, lambda: app.shelf.current.name == hostile)
        await find(pilot, app, "theme nord", key="ctrl+p")
        await pilot.press("enter")
        await until(pilot, lambda: app.theme == "nord")
        await find(pilot, app, "go to Compose")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))


async def test_a_preset_leads_to_compose(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await find(pilot, app, "preset smoke")
        await pilot.press("enter")
        await until(pilot, lambda: app.current_mode == "compose" and "preset smoke" in screen_text(app))
        assert app.screen.draft.recipe() == recipe.load(presets.find("smoke"))
        before = app.screen.draft.sheet
        await find(pilot, app, "preset quickstart")
        await pilot.press("enter")
        await until(pilot, lambda: "preset quickstart" in screen_text(app))
        assert app.screen.draft.recipe() == recipe.load(presets.find("quickstart"))
        await pilot.press("u")
        await until(pilot, lambda: app.screen.draft.sheet == before)


async def test_a_picture_of_the_screen_is_written(app, store, tmp_path):
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await find(pilot, app, "picture screen")
        await pilot.press("enter")
        await until(pilot, lambda: list((tmp_path / "exports").glob("*.svg")))


async def test_the_palette_does_not_answer_letters_that_are_typed_into_it(app, store):
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await find(pilot, app, "quit")
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        assert app.is_running


async def search(app, words):
    return [hit.text async for hit in Commands(app.screen).search(words)]


async def test_whatever_a_key_does_is_found_on_its_screen_by_its_name(app, store):
    for name in ("one", "two"):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    counts = {}
    async with app.run_test(size=(80, 24)) as pilot:
        async for key, _ in every_place(app, pilot):
            wanted = {
                active.binding.description.casefold()
                for active in app.screen.active_bindings.values()
                if active.binding.id and not active.binding.action.endswith("command_palette")
            }
            listed = [command.text.removeprefix("go to ").casefold() for command in Commands(app.screen)._actions()]
            assert wanted <= set(listed), key
            assert "" not in wanted
            assert listed.count("copy") == 1
            counts[key] = max(counts.get(key, 0), len(wanted))
        for entry in ("1", "2", "3", "4", "5"):
            assert counts[entry] > 15
        await pilot.press("1")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        for command in Commands(app.screen)._actions():
            assert command.text in await search(app, command.text)


async def test_letters_that_stand_apart_find_a_command(app, store):
    ours = fakes.recipe_of("prune-90", "P")
    fakes.add_run(store, ours, fakes.whole(ours))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows)
        for words, found in (
            ("rsm", "resume"), ("gtcmp", "go to Compose"), ("qlim", "queue limit"), ("thnrd", "theme nord"),
            ("rprn90", "run prune-90"), ("prsmk", "preset smoke"),
        ):  # fmt: skip
            assert found in await search(app, words), words
        assert await search(app, "zzqqxx") == []
        await find(pilot, app, "qlim", "limit")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskModal))

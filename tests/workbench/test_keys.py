"""Every key can be another one; help and footer follow, and what cannot be is told."""

import pytest
from textual.widgets import Input

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench import keys
from workbench.app import Workbench
from workbench.modals.about import describe
from workbench.modals.help import HelpModal
from workbench.modals.text import TextModal
from workbench.screens.runs import RunsScreen
from workbench.settings import Settings


def app_with(store, saved, **settings):
    return Workbench(store, saved, Settings(poll_s=0.02, **settings))


def add_runs(store, count):
    for number in range(count):
        ours = fakes.recipe_of(f"run-{number}", "P")
        fakes.add_run(store, ours, fakes.whole(ours))


def test_every_binding_has_an_id_and_says_what_it_does():
    for entries in keys.known().values():
        for entry in entries:
            assert entry.id
            assert entry.tooltip, entry


def test_no_key_is_one_that_terminals_keep_for_themselves():
    for entries in keys.known().values():
        for entry in entries:
            for key in entry.keys:
                assert not keys._refused(key), entry


async def test_other_keys_work_and_the_footer_and_the_help_show_them(store, saved):
    add_runs(store, 1)
    app = app_with(store, saved, keys={"stop": "f8, ctrl+t", "help": "f9"})
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "f8" in screen_text(app).lower())
        await pilot.press("s")
        await pilot.press("ctrl+t")
        await until(pilot, lambda: "Only a run that goes on" in screen_text(app))
        await pilot.press("f9")
        await until(pilot, lambda: isinstance(app.screen, HelpModal))
        await pilot.press(*"stop")
        await until(pilot, lambda: "f8" in screen_text(app).lower())


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"exprt": "x"}, "keys.exprt: nothing has this id; did you mean 'export'?"),
        ({"stop": "ctrl+m"}, "'ctrl+m' is taken by terminals for enter"),
        ({"stop": "alt+x"}, "'alt+x' cannot be told apart by every terminal"),
        ({"stop": "f13"}, "'f13' is no key"),
        ({"stop": " , "}, "names no key"),
        ({"stop": "e"}, "keys.stop: 'e' also means export in "),
        ({"stop": "q"}, "keys.stop: 'q' also means quit everywhere"),
        ({"stop": "x", "delete": "x"}, "'x' also means"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(chosen, sentence):
    told = [text for _, text in keys.problems(chosen)]
    assert any(sentence in text for text in told), told


def test_swapping_two_keys_is_no_clash():
    assert keys.problems({"stop": "d", "delete": "s"}) == []


async def test_keys_that_clash_are_left_out_and_told(store, saved):
    add_runs(store, 1)
    app = app_with(store, saved, keys={"stop": "e", "help": "H"})
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "settings that are not used" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))
        await pilot.press("e")
        await until(pilot, lambda: "export" in type(app.screen).__name__.lower())


async def test_the_preset_vim_moves_by_letters_and_gg_needs_two(store, saved):
    add_runs(store, 3)
    app = app_with(store, saved, key_preset="vim")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 3 and app.focused)
        first = app.shelf.selected
        await pilot.press("j")
        await until(pilot, lambda: app.shelf.selected != first)
        await pilot.press("k")
        await until(pilot, lambda: app.shelf.selected == first)
        await pilot.press("G")
        await until(pilot, lambda: app.shelf.selected == app.shelf.visible[-1].id)
        app.action_top()
        assert app.shelf.selected != first
        app.action_top()
        await until(pilot, lambda: app.shelf.selected == first)


async def test_the_preset_vim_leaves_g_to_gg_on_screens_that_use_it_otherwise(store, saved):
    add_runs(store, 3)
    app = app_with(store, saved, key_preset="vim")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 3 and app.focused)
        await pilot.press("G")
        await until(pilot, lambda: app.shelf.selected == app.shelf.visible[-1].id)
        await pilot.press("g", "g")
        await until(pilot, lambda: app.shelf.selected == app.shelf.visible[0].id)
        assert app.shelf.grouping == ""
        await pilot.press("b")
        await until(pilot, lambda: app.shelf.grouping == "backbone")
        await pilot.press("3", "g")
        await pilot.pause()
        assert not app.screen.has_class("-log")
        await pilot.press("L")
        await until(pilot, lambda: app.screen.has_class("-log"))


def test_a_chosen_key_is_checked_against_those_of_the_preset():
    assert keys.problems({"columns": "b"}) == []
    ((name, sentence),) = keys.problems({"columns": "b"}, "vim")
    assert name == "columns"
    assert "'b' also means group in RunsScreen" in sentence


@pytest.mark.parametrize("size", [(80, 24), (140, 40)])
async def test_the_help_groups_keys_and_is_narrowed_by_typing(app, store, size):
    add_runs(store, 1)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: "ok finished" in screen_text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpModal) and "this screen" in screen_text(app))
        places = [key.place for key in app.screen._found]
        assert places == sorted(places, key=("here", "this screen", "everywhere").index)
        await pilot.press(*"colours")
        await until(pilot, lambda: "Choose other colours" in screen_text(app) and "this screen" not in screen_text(app))
        await pilot.press(*"xyz")
        await until(pilot, lambda: "No key is described so" in screen_text(app))
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, RunsScreen))


async def test_f1_explains_the_option_that_a_field_edits_and_escape_leaves_one_layer(app):
    from workbench.screens.compose import ComposeScreen

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("2")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen) and app.focused is not None)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen.query(Input) and app.focused.parent is not None)
        app.screen.query(Input).first().focus()
        await pilot.pause()
        focused = app.focused
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, TextModal))
        assert "It must be" in app.screen._text
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ComposeScreen))
        assert app.focused is focused


async def test_f1_explains_a_widget_and_its_own_keys(app, store):
    add_runs(store, 1)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "ok finished" in screen_text(app) and app.focused)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, TextModal))
        assert "The run below" in app.screen._text or "line" in app.screen._text


def test_an_option_is_explained_with_what_is_allowed_and_its_default():
    from pipeline.options import options_of

    told = describe(next(option for option in options_of(Settings) if option.name == "poll_s"))
    assert "Seconds between two looks at the store." in told
    assert "at least 0.02 and at most 60" in told
    assert "Default: 0.5" in told


async def test_a_word_of_the_top_bar_is_clicked(app):
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "2 Compose" in screen_text(app))
        await pilot.click("TopBar", offset=(screen_text(app).splitlines()[0].index("Compose"), 0))
        await until(pilot, lambda: app.current_mode == "compose")
        await pilot.click("TopBar", offset=(1, 0))
        await pilot.pause()
        assert app.current_mode == "compose"

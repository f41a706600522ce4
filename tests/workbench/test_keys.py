"""Every key can be another one; help and footer follow, and what cannot be is told."""

import re

import pytest
from textual.widgets import Input

from tests.workbench import fakes
from tests.workbench.conftest import every_place, screen_text, until
from workbench import keys
from workbench.app import Workbench
from workbench.modals.about import describe, explain
from workbench.modals.choose import ChooseModal
from workbench.modals.help import HelpModal
from workbench.modals.help import keys as listed_keys
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
    app = app_with(store, saved, keys={"stop": "f8, ctrl+t", "export": "M", "help": "f9"})
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(pilot, lambda: "M export" in screen_text(app) and "f9 help" in screen_text(app))
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
        ({"stop": "j"}, "keys.stop: 'j' also means down in RunTable"),
        ({"live-pause": "k"}, "keys.live-pause: 'k' also means log-up in LogPane"),
        ({"live-pause": "o"}, "keys.live-pause: 'o' also means live-overlay in LiveScreen"),
        ({"delete-preset": "j"}, "keys.delete-preset: 'j' also means down in ChooseModal"),
        ({"stop": "x", "delete": "x"}, "'x' also means"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(chosen, sentence):
    told = [text for _, text in keys.problems(chosen)]
    assert any(sentence in text for text in told), told


def test_swapping_two_keys_is_no_clash():
    assert keys.problems({"stop": "d", "delete": "s"}) == []


def test_keys_of_widgets_that_never_meet_and_keys_that_are_so_by_default_are_no_clash():
    assert keys.problems({"log-wrap": "l"}) == []
    assert keys.problems({"live-next": "n", "filter": "slash"}) == []


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


MOVES = {"h": "left", "j": "down", "k": "up", "l": "right", "G": "end"}
"""Letters of the preset ``vim``, and the keys that they stand for."""


async def test_in_the_preset_vim_the_letters_do_what_arrows_do_wherever_the_focus_is(store, saved):
    add_runs(store, 3)
    app, seen = app_with(store, saved, key_preset="vim"), set()
    async with app.run_test(size=(80, 24)) as pilot:
        async for _, widget in every_place(app, pilot):
            if app.focused is not None and app.focused.check_consume_key("h", "h"):
                continue
            active = {key: found.binding for key, found in app.screen.active_bindings.items()}
            for letter, arrow in MOVES.items():
                moves = active[arrow].action if arrow in active else None
                # A screen's own key for the same thing wins over the preset's.
                assert active[letter].action in (moves, f"app.press('{arrow}')", f"app.{arrow}"), (widget, letter)
            assert active["g"].action in ("app.top", "scroll(-99999)"), widget
            seen.add((app.current_mode, type(widget).__name__))
    assert {("runs", "RunTable"), ("compose", "Outline"), ("live", "Tile"), ("live", "LogView")} <= seen
    assert {("frontier", "NoneType"), ("compare", "NoneType")} <= seen


async def test_in_the_preset_vim_letters_move_on_frontier_and_live_and_the_logarithm_has_another_key(store, saved):
    for place, name in enumerate(("one", "two", "three")):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours, size_bytes=1_000_000 * (place + 1), top1=94.0 - place))
    app = app_with(store, saved, key_preset="vim")
    async with app.run_test(size=(140, 40)) as pilot:
        await until(pilot, lambda: app.shelf.rows and len(app.shelf.rows) == 3)
        await pilot.press("4")
        await until(pilot, lambda: app.screen.current is not None)
        points = [point.row.id for point in app.screen._scene.points]
        await pilot.press("G")
        await until(pilot, lambda: app.shelf.selected == points[-1])
        await pilot.press("h")
        await until(pilot, lambda: app.shelf.selected == points[-2])
        await pilot.press("l")
        await until(pilot, lambda: app.shelf.selected == points[-1])
        await pilot.press("g", "g")
        await until(pilot, lambda: app.shelf.selected == points[0])
        was_log = app.screen._axes["y"].is_log
        await pilot.press("ctrl+l")
        await until(pilot, lambda: app.screen._axes["y"].is_log != was_log)
        await pilot.press("3")
        await until(pilot, lambda: app.screen.tiles.chosen is not None and app.screen.tiles.chosen.chart.canvas)
        tiles = app.screen.tiles
        await pilot.press("h")
        await until(pilot, lambda: tiles.cursor is not None)
        at = tiles.cursor
        await pilot.press("h")
        await until(pilot, lambda: tiles.cursor < at)
        await pilot.press("l")
        await until(pilot, lambda: tiles.cursor == at)
        view, first = tiles.chosen.view, tiles.chosen
        await pilot.press("ctrl+l", "H")
        await until(pilot, lambda: (first.view.log_y, first.view.clips) == (not view.log_y, not view.clips))
        await pilot.press("j")
        await until(pilot, lambda: tiles.chosen not in (None, first))
        await pilot.press("k")
        await until(pilot, lambda: tiles.chosen is first)
        await pilot.press("slash")
        await until(pilot, lambda: app.focused.id == "log-search-input")


async def test_the_preset_vim_moves_in_dialogs_too(store, saved):
    app = app_with(store, saved, key_preset="vim")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.shelf.rows is not None)
        await pilot.press("T")
        await until(pilot, lambda: isinstance(app.screen, ChooseModal) and app.focused.highlighted == 0)
        await pilot.press("G")
        await until(pilot, lambda: app.focused.highlighted == app.focused.option_count - 1)
        await pilot.press("k", "g", "g")
        await until(pilot, lambda: app.focused.highlighted == 0)


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
        about, _, listed = app.screen._text.partition("\n\n")
        assert about == "Runs, one line each, with a header that stays."
        assert [line.split() for line in listed.splitlines()][:2] == [
            ["↑", "k", "The", "run", "above"], ["↓", "j", "The", "run", "below"],
        ]  # fmt: skip
        # A capital letter is one key, however a terminal sends it.
        assert "     end G  The last run" in listed
        assert "shift+g" not in listed
        assert "Filter the runs" not in listed


async def test_f1_on_a_chart_lists_the_keys_of_the_charts_around_it(app, store):
    add_runs(store, 1)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: app.screen.tiles.chosen is not None)
        await pilot.press("f1")
        await until(pilot, lambda: isinstance(app.screen, TextModal))
        for words in (
            "Draws one metric",
            "⏎  Show this chart alone",
            "l  Logarithmic y, x, both or neither, for this chart",
            "+ -  Smooth this chart",
        ):
            assert words in app.screen._text
        assert "Hold the picture" not in app.screen._text


async def test_the_help_and_f1_say_each_key_once(app, store):
    add_runs(store, 2)
    async with app.run_test(size=(80, 24)) as pilot:
        async for _, _ in every_place(app, pilot):
            listed = listed_keys(app.screen)
            assert len({(key.place, key.name, key.tooltip) for key in listed}) == len(listed)
            for shown in (key.keys.split() for key in listed):
                assert len(shown) == len(set(shown))
                assert not re.search(r"shift\+[a-z]\b", " ".join(shown)), shown
            assert not re.search(r"shift\+[a-z]\b", explain(app.screen)[1])


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

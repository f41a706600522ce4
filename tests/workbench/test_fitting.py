"""What is sent is what the terminal can show: its colours, its signs; in as many cells as what it stands for."""

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench import start, terminal
from workbench.app import Workbench
from workbench.fitting import Colorless, Signage
from workbench.memory import Memory
from workbench.settings import Settings

DRAWN = "─│┌┐└┘├┤┬┴┼╭╮╰╯━┃▔▁▊▎▏▕▀▄█▌▐▖▗▘▝▚▞▙▟▛▜←↑→↓⏎␣⌫▸▾◆◇⋄◉●○·…±×🔎⣿⠁"


@pytest.mark.parametrize(
    ("environment", "colors", "marker", "signs"),
    [
        ({"TERM": "dumb"}, "none", "ascii", "ascii"),
        ({"TERM": "dumb", "COLORTERM": "truecolor"}, "none", "ascii", "ascii"),
        ({}, "none", "ascii", "ascii"),
        ({"TERM": "unknown"}, "none", "ascii", "ascii"),
        ({"TERM": "vt100"}, "none", "ascii", "ascii"),
        ({"TERM": "xterm-mono"}, "none", "ascii", "ascii"),
        ({"TERM": "linux"}, "standard", "block", "console"),
        ({"TERM": "screen"}, "standard", "braille", "all"),
        ({"TERM": "xterm"}, "standard", "braille", "all"),
        ({"TERM": "tmux-256color"}, "256", "braille", "all"),
        ({"TERM": "xterm-kitty"}, "256", "braille", "all"),
        ({"TERM": "xterm-direct"}, "truecolor", "braille", "all"),
        ({"TERM": "xterm", "COLORTERM": "24bit"}, "truecolor", "braille", "all"),
        ({"TERM": "xterm-256color", "NO_COLOR": "1"}, "none", "braille", "all"),
        ({"TERM": "xterm-256color", "NO_COLOR": ""}, "256", "braille", "all"),
        ({"TERM": "vt100", "TEXTUAL_COLOR_SYSTEM": "256"}, "256", "ascii", "ascii"),
        ({"TERM": "dumb", "TEXTUAL_DRIVER": "web", "TEXTUAL_COLOR_SYSTEM": "truecolor"}, "truecolor", "braille", "all"),
    ],
    ids=lambda value: (
        " ".join("=".join(pair) for pair in value.items()) or "nothing" if isinstance(value, dict) else ""
    ),
)
def test_what_a_terminal_can_show_is_told_by_its_environment(environment, colors, marker, signs):
    assert terminal.colors(environment) == colors
    assert terminal.marker(environment, "UTF-8") == marker
    assert terminal.signs(marker, environment, "UTF-8") == signs


def test_a_locale_without_utf8_gets_letters_alone_and_so_does_who_wants_them():
    for encoding in ("ANSI_X3.4-1968", "ISO-8859-1"):
        assert terminal.marker({"TERM": "xterm"}, encoding) == "ascii"
        assert terminal.signs("braille", {"TERM": "xterm"}, encoding) == "ascii"
    assert terminal.signs("ascii", {"TERM": "xterm-256color"}, "UTF-8") == "ascii"


def test_letters_stand_for_signs_in_as_many_cells_and_names_stay():
    fitted = Signage("ascii", "UTF-8").fit(DRAWN)
    assert fitted.isascii()
    assert len(fitted) == cell_len(DRAWN)
    assert Signage("ascii", "UTF-8").fit("┤名é│") == "+名é|"
    assert Signage("ascii", "ascii").fit("┤名é│") == "+??e|"
    assert Signage("all").fit(DRAWN) == DRAWN


def test_the_console_keeps_its_lines_and_loses_braille_and_round_corners():
    fitted = Signage("console", "UTF-8").fit(DRAWN)
    assert fitted.startswith("─│┌┐└┘├┤┬┴┼┌┐└┘")
    assert cell_len(fitted) == cell_len(DRAWN)
    # What code page 437, which such a font has, can write.
    assert set("▀▄█▌▐←↑→↓►▼♦○·±") >= set(fitted) - set("─│┌┐└┘├┤┬┴┼×") - set(map(chr, range(128))) - {"•"}


@pytest.mark.parametrize(
    ("signs", "shown", "spelled"),
    [
        ("ascii", "⏎", "enter"), ("ascii", "␣", "space"), ("ascii", "←→", "left/right"), ("ascii", ": ^p", ": ^p"),
        ("console", "⏎", "enter"), ("console", "←→", "←→"), ("all", "⏎", "⏎"),
    ],
)  # fmt: skip
def test_keys_are_spelled_where_the_font_lacks_their_signs(signs, shown, spelled):
    assert Signage(signs).spell(shown) == spelled


async def test_without_colours_a_ground_that_stands_out_is_reversed_and_a_panel_is_not(app):
    async with app.run_test(size=(80, 24)):
        colorless = Colorless(app)
        grounds = ("on #262626", "on #5fafaf", "on #2d4949", "#5fafaf reverse", "bold #d75f5f", "reverse")
        segments = [Segment("x", Style.parse(f"{ground} underline")) for ground in grounds]
        styles = [segment.style for segment in colorless.apply(segments, app.screen.background_colors[0])]
        assert [bool(style.reverse) for style in styles] == [False, True, True, True, False, True]
        assert all(style.color is None and style.bgcolor is None and style.underline for style in styles)
        assert styles[4].bold


def test_the_marker_is_the_settings_own_else_the_one_chosen_on_such_a_terminal_else_what_it_can_show(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("TEXTUAL_DRIVER", raising=False)
    everywhere = Memory(tmp_path / "everywhere.json")
    monkeypatch.setenv("TERM", "linux")
    assert start.choose_marker(Settings(), everywhere).marker == "block"
    everywhere.put("marker.linux", "ascii")
    assert start.choose_marker(Settings(), everywhere).marker == "ascii"
    assert start.choose_marker(Settings(marker="braille"), everywhere).marker == "braille"
    monkeypatch.setenv("TERM", "vt100")
    assert start.choose_marker(Settings(), everywhere).marker == "ascii"
    everywhere.put("marker.vt100", "dots")
    assert start.choose_marker(Settings(), everywhere).marker == "ascii"


@pytest.mark.parametrize(
    ("chosen", "environment", "wanted"),
    [
        (Settings(), {"TERM": "xterm"}, {"TEXTUAL_COLOR_SYSTEM": "standard", "TEXTUAL_FPS": None, "NO_COLOR": None}),
        (Settings(), {"TERM": "xterm", "NO_COLOR": ""}, {"NO_COLOR": None}),
        (Settings(), {"TERM": "dumb"}, {"NO_COLOR": "1"}),
        (Settings(fps=12), {"TERM": "xterm", "TEXTUAL_FPS": "60"}, {"TEXTUAL_FPS": "12", "TEXTUAL_ANIMATIONS": None}),
        (
            Settings(fps=4, low_bandwidth=True),
            {"TERM": "xterm"},
            {"TEXTUAL_FPS": "4", "TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"},
        ),
    ],
)
def test_the_toolkit_is_told_before_it_is_imported(chosen, environment, wanted, monkeypatch):
    own = dict(environment)
    monkeypatch.setattr(start.os, "environ", own)
    start.prepare_toolkit(chosen)
    assert {name: own.get(name) for name in wanted} == wanted


async def test_the_marker_is_one_for_all_screens_and_its_key_works_on_each(store, saved, tmp_path):
    for name, stages in (("one", "P"), ("two", "PQ")):
        ours = fakes.recipe_of(name, stages)
        fakes.add_run(store, ours, fakes.whole(ours))
    app = Workbench(store, saved, Settings(poll_s=0.02))
    app.everywhere = Memory(tmp_path / "everywhere.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "⏎" in screen_text(app))
        await pilot.press("m")
        assert app.marker == "block"
        await pilot.press("m")
        await until(pilot, lambda: "enter live" in screen_text(app))
        assert screen_text(app).isascii()
        await pilot.press("3")
        await until(pilot, lambda: "*" in screen_text(app) and "+" in screen_text(app))
        assert screen_text(app).isascii()
        await pilot.press("m")
        await until(pilot, lambda: any("\u2801" <= letter <= "\u28ff" for letter in screen_text(app)))
        await pilot.press("5")
        await until(pilot, lambda: any("\u2801" <= letter <= "\u28ff" for letter in screen_text(app)))
        await pilot.press("m")
        await until(pilot, lambda: any(letter in screen_text(app) for letter in "▖▗▘▝▚▞"))
        await pilot.press("1")
        await until(pilot, lambda: "⏎" in screen_text(app))

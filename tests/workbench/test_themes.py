"""Every theme is of 256 colours and tells six series apart; nothing is told by colour alone; ``auto`` asks."""

import os
import pty
import re
import subprocess
import sys
import threading

import pytest
from textual.color import Color

from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from workbench import background, themes
from workbench.app import Workbench
from workbench.memory import Memory
from workbench.settings import Settings
from workbench.widgets import palette


def colours(theme):
    fields = ("primary", "secondary", "accent", "success", "warning", "error", "foreground", "background", "panel")
    return {name: getattr(theme, name) for name in fields} | {
        name: value for name, value in theme.variables.items() if value.startswith("#")
    }


def contrast(one, other):
    """The ratio of two luminances, 1 to 21, as accessibility guidelines define it."""

    def luminance(colour):
        parts = [v / 255 / 12.92 if v <= 10 else ((v / 255 + 0.055) / 1.055) ** 2.4 for v in Color.parse(colour).rgb]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def seen_by_dichromats(colour):
    """The colour as people without red cones see it, roughly: red and green add up."""
    red, green, blue = Color.parse(colour).rgb
    return (0.11 * red + 0.89 * green, 0.11 * red + 0.89 * green, blue)


@pytest.mark.parametrize("theme", themes.ours, ids=lambda theme: theme.name)
def test_every_colour_is_one_of_the_256_of_a_terminal_behind_ssh(theme):
    levels = (0, 95, 135, 175, 215, 255)
    cube = {(r, g, b) for r in levels for g in levels for b in levels}
    greys = {(level,) * 3 for level in range(8, 239, 10)}
    for name, value in colours(theme).items():
        assert Color.parse(value).rgb in cube | greys, (name, value)


@pytest.mark.parametrize("theme", themes.ours, ids=lambda theme: theme.name)
def test_words_and_series_stand_out_from_the_background(theme):
    least = 7.0 if theme.name == "high-contrast" else 3.0
    for name, value in colours(theme).items():
        if name.startswith(("series", "foreground", "primary", "success", "warning", "error")):
            assert contrast(theme.background, value) >= least, (name, value)
    assert len({theme.variables[f"series-{number}"] for number in range(1, 7)}) == 6


def test_the_series_of_the_colour_blind_theme_differ_without_red_cones():
    series = [seen_by_dichromats(themes.colour_blind.variables[f"series-{number}"]) for number in range(1, 7)]
    for place, one in enumerate(series):
        for other in series[place + 1 :]:
            assert sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5 > 35, (one, other)


@pytest.mark.parametrize("name", ["calm-light", "high-contrast", "colour-blind", "ansi", "ansi-light", "gruvbox"])
async def test_every_theme_has_six_series_and_draws_the_runs(store, saved, name):
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    app = Workbench(store, saved, Settings(poll_s=0.02, theme=name))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "ok finished" in screen_text(app))
        assert len({palette.color(app, f"series-{number}") for number in range(1, 7)}) == 6


async def test_another_theme_is_chosen_while_the_app_runs_and_remembered(app, tmp_path):
    app.everywhere = Memory(tmp_path / "everywhere.json")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("T")
        await until(pilot, lambda: "theme" in screen_text(app))
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.theme == "calm-light")
    app.everywhere.write()
    assert Memory(tmp_path / "everywhere.json").get("theme", "") == "calm-light"


@pytest.mark.parametrize(("term", "no_colour"), [("linux", ""), ("xterm-256color", "1"), ("xterm", "")])
def test_where_one_is_shows_without_colours(term, no_colour, store, saved):
    """The open screen's word is reversed, in 16 colours and in none."""
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom pipeline.runs.store import RunStore\n"
        "from workbench.app import Workbench\n"
        "async def main():\n app = Workbench(RunStore(Path(sys.argv[1])), Path(sys.argv[2]))\n"
        " async with app.run_test(size=(80, 24)) as pilot:\n  await pilot.pause(0.2)\n"
        "  strip = app.screen._compositor.render_strips()[0]\n"
        "  print([s.text.strip() for s in strip if s.style and s.style.reverse and s.style.bold])\n"
        "asyncio.run(main())\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLORTERM")} | {"TERM": term}
    environment |= {"NO_COLOR": no_colour} if no_colour else {}
    done = subprocess.run(
        [sys.executable, "-c", script, str(store.folder), str(saved)],
        capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    assert "1 Runs" in done.stdout, done.stdout + done.stderr


def answer(line, reply):
    """Be a terminal: read what is asked and send the reply."""
    asked = b""
    while b"\x1b[c" not in asked:
        asked += os.read(line, 1024)
    os.write(line, reply)


@pytest.mark.parametrize(
    ("reply", "dark"),
    [
        (b"\x1b]11;rgb:1212/1212/1212\x1b\\\x1b[?62;c", True),
        (b"\x1b]11;rgb:ffff/fafa/f0f0\x07\x1b[?1;2c", False),
        (b"\x1b]11;rgb:f/f/f\x07\x1b[?1;2c", False),
        (b"\x1b[?1;2c", None),
        (b"\x1b]11;nonsense\x07\x1b[?1;2c", None),
    ],
)
def test_a_terminal_is_asked_for_its_background(reply, dark):
    line, terminal = pty.openpty()
    thread = threading.Thread(target=answer, args=(line, reply), daemon=True)
    thread.start()
    assert background.Question(terminal, 5.0).answer() is dark
    thread.join()
    os.close(line)
    os.close(terminal)


def test_a_terminal_that_says_nothing_costs_a_tenth_of_a_second_and_is_left_as_it_was():
    import termios

    line, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    assert background.Question(terminal, background.ASK_S).answer() is None
    assert termios.tcgetattr(terminal) == before
    os.close(line)
    os.close(terminal)


def test_what_is_no_terminal_is_not_asked(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        assert background.Question(file.fileno(), 5.0).answer() is None
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(
    ("value", "name"), [("15;0", "calm"), ("0;15", "calm-light"), ("0;default;7", "calm-light"), ("", "calm")]
)
def test_where_the_terminal_does_not_answer_the_environment_does(value, name, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLORFGBG", value)
    assert themes.resolve("auto") == name


def test_the_time_to_answer_counts_from_the_question_and_what_came_meanwhile_is_read():
    line, terminal = pty.openpty()
    question, silent = background.Question(terminal, 0.0), background.Question(None, 60.0)
    os.write(line, b"\x1b]11;rgb:ffff/ffff/ffff\x1b\\\x1b[?62;c")
    assert question.answer() is False
    assert silent.answer() is None
    os.close(line)
    os.close(terminal)


def test_the_list_of_known_themes_names_those_of_the_settings_help():
    help_text = re.findall(r"[a-z-]+", Settings.__annotations__["theme"].__metadata__[0].description)
    assert {"auto", "dark", "light", "high-contrast", "colour-blind", "ansi"} <= set(themes.known()) & set(help_text)

"""Settings come from flags, the environment and a file; whatever is wrong is told in a sentence and left out."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runs.index import Index
from tests.workbench import fakes
from tests.workbench.conftest import screen_text, until
from tests.workbench.terminals import Terminal
from workbench import config_file, settings, start
from workbench.app import Workbench
from workbench.memory import Memory, path_of
from workbench.settings import Settings


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("PQD_WORKBENCH_CONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("PQD_WORKBENCH_STATE", str(tmp_path / "state"))
    path = tmp_path / "config" / "config.toml"
    path.parent.mkdir()
    return path


def ask(*words, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "config", *words], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_flags_win_over_the_environment_that_over_the_file_and_that_over_the_default(file):
    file.write_text('theme = "dark"\nmarker = "block"\npoll_s = 1\nbell = false\n')
    found = settings.load(
        {"theme": "light", "read_only": None}, environment={"PQD_THEME": "ansi", "PQD_MARKER": "ascii"}
    )
    assert found.problems == ()
    assert (found.settings.theme, found.settings.marker, found.settings.poll_s) == ("light", "ascii", 1.0)
    assert not found.settings.bell
    assert found.settings.redraw_s == 1.0
    assert found.sources["marker"] == "PQD_MARKER"
    assert found.sources["theme"] == "flag"


def test_everything_wrong_is_told_with_its_line_and_the_rest_holds(file):
    file.write_text(
        '# mine\ntheem = "dark"\npoll_s = 0\nmarker = "dots"\nbell = false\n\n[keys]\nstop = 3\nhelp = "h"\n'
    )
    found = settings.load(environment={"PQD_REDRAW_S": "soon"})
    assert not found.settings.bell
    assert found.settings.poll_s == 0.5
    assert found.settings.keys == {"help": "h"}
    told = "\n".join(found.problems)
    assert "line 2: 'theem' is no setting; did you mean 'theme'?" in told
    assert "line 3: poll_s is 0; it must be a number at least 0.02" in told
    assert "line 4: marker is 'dots'; it must be one of auto, braille, block, ascii" in told
    assert "line 8: keys.stop is 3; it must be a text." in told
    assert "PQD_REDRAW_S of the environment: redraw_s is 'soon'" in told


@pytest.mark.parametrize("content", [b"theme = ", b"\xff\xfe", b"[" * 5000, b"theme = {a = [1, {}]}", b"keys = 3"])
def test_a_damaged_file_leaves_the_defaults_and_one_sentence(file, content):
    file.write_bytes(content)
    found = settings.load(environment={})
    assert found.settings == Settings()
    assert len(found.problems) == 1
    assert str(file) in found.problems[0]


def test_low_bandwidth_draws_every_two_seconds_at_most(file):
    assert settings.load({"low_bandwidth": True}, environment={}).settings.redraw_s == 2.0
    assert settings.load({"low_bandwidth": True}, environment={"PQD_REDRAW_S": "5"}).settings.redraw_s == 5.0


def test_low_bandwidth_draws_four_frames_a_second_unless_others_are_asked_for(file):
    assert settings.load(environment={}).settings.fps == 60
    assert settings.load({"low_bandwidth": True}, environment={}).settings.fps == 4
    assert settings.load({"low_bandwidth": True, "fps": 10}, environment={}).settings.fps == 10
    assert settings.load({"low_bandwidth": True}, environment={"PQD_FPS": "8"}).settings.fps == 8
    file.write_text("fps = 30\nlow_bandwidth = true\n")
    assert settings.load(environment={}).settings.fps == 30
    assert "PQD_FPS of the environment: fps is 61" in settings.load(environment={"PQD_FPS": "61"}).problems[0]


@pytest.mark.parametrize("wrong", ["0", "61", "-1", "many", "4.5"])
def test_a_number_of_frames_that_makes_no_sense_is_refused(wrong):
    done = subprocess.run(
        [sys.executable, "-m", "workbench", "--fps", wrong], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert f"argument --fps: {wrong!r} is not a whole number from 1 to 60" in done.stderr


def bytes_of_moving(store, *flags):
    """How much is sent while the cursor runs down a list at the speed of a held key."""
    listed = [row.name for row in Index(store, is_written=False).rows]
    with Terminal.workbench(store.folder, "--reset-view", *flags) as terminal:
        terminal.until(f">  {listed[0]} ")
        terminal.settle(0.3)
        before = terminal.num_bytes
        for _ in range(25):
            terminal.press("down")
            terminal.read(0.03)
        terminal.until(f">  {listed[25]} ")
        terminal.settle(0.3)
        sent = terminal.num_bytes - before
        terminal.press("q")
        assert terminal.end() == 0
    return sent


@pytest.mark.slow
def test_fewer_frames_send_fewer_bytes(file, store):
    for number in range(30):
        ours = fakes.recipe_of(f"run-{number}", "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    Index(store).look()
    usual, few, slow = (bytes_of_moving(store, *flags) for flags in ([], ["--fps", "2"], ["--low-bandwidth"]))
    assert few < 0.5 * usual, (few, slow, usual)
    assert few <= slow < usual, (few, slow, usual)


def test_the_sample_explains_every_setting_and_sets_none(file):
    file.write_text(config_file.sample())
    assert settings.load(environment={}).settings == Settings()
    file.write_text("\n".join(re.findall(r"^# (\w+ = .*)$", file.read_text(), re.MULTILINE)))
    assert settings.load(environment={}) == settings.Loaded(
        settings=Settings(), sources=dict.fromkeys((n for n in Settings.__struct_fields__ if n != "keys"), str(file))
    )


def test_the_verb_shows_checks_begins_and_describes_the_file(file):
    assert ask("path").stdout.strip() == str(file)
    ask("init")
    assert "exists" in ask("init", code=2).stderr
    assert "is right" in ask("validate").stdout
    file.write_text('theme = "callm"\n[keys]\nexprt = "x"\nstop = "e"\nhelp = "ctrl+m"\n')
    told = ask("validate", code=2).stderr
    assert "line 1: theme: there is no theme 'callm'; did you mean 'calm'?" in told
    assert "line 3: keys.exprt: nothing has this id; did you mean 'export'?" in told
    assert "line 4: keys.stop: 'e' also means export" in told
    assert "line 5: keys.help: 'ctrl+m' is taken by terminals for enter." in told
    assert json.loads(ask("show", "--json").stdout)["settings"]["theme"] == "callm"
    schema = json.loads(ask("schema").stdout)
    assert schema["properties"]["marker"]["enum"] == ["auto", "braille", "block", "ascii"]
    assert set(schema["properties"]) == set(Settings.__struct_fields__)
    assert "export" in ask("keys").stdout


def test_edit_opens_the_editor_of_the_person_and_needs_a_terminal(file, monkeypatch):
    monkeypatch.setenv("EDITOR", "true")
    assert "needs a terminal" in ask("edit", code=2).stderr
    assert file.exists()


async def test_a_broken_file_does_not_stop_the_app(store, saved, file):
    file.write_text('poll_s = 0\ntheme = "calmm"\n[keys]\nexprt = "x"\nquit = "Q"\n')
    loaded = settings.load(environment={})
    chosen, problems = start.choose_theme(loaded, Memory())
    app = Workbench(store, saved, chosen)
    app.problems = [*loaded.problems, *problems]
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "settings that are not used" in screen_text(app))
        for words in ("poll_s is 0", "no theme 'calmm'", "keys.exprt"):
            assert words in app.screen._text
        await pilot.press("escape", "Q")
        await until(pilot, lambda: not app.is_running)


def test_a_theme_that_was_chosen_in_the_app_holds_unless_the_settings_name_one(file, tmp_path, monkeypatch):
    monkeypatch.delenv("TEXTUAL_THEME", raising=False)
    everywhere = Memory(tmp_path / "everywhere.json")
    everywhere.put("theme", "nord")
    assert start.choose_theme(settings.load(environment={}), everywhere)[0].theme == "nord"
    assert start.choose_theme(settings.load(environment={"PQD_THEME": "light"}), everywhere)[0].theme == "calm-light"
    everywhere.put("theme", "gone")
    assert start.choose_theme(settings.load(environment={}), everywhere)[0].theme.startswith("calm")


async def test_read_only_is_said_in_the_top_bar(store, saved):
    app = Workbench(store, saved, Settings(poll_s=0.02, read_only=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "read-only" in screen_text(app).splitlines()[0])


def test_an_unreadable_folder_is_no_reason_not_to_open(monkeypatch, tmp_path):
    monkeypatch.setenv("PQD_WORKBENCH_CONFIG", os.devnull)
    found = settings.load(environment={})
    assert found.settings == Settings()
    assert Path(os.devnull).name in found.problems[0]


def test_the_flags_of_the_app_hold_and_a_forgotten_view_begins_as_at_first(file, store):
    left = path_of(store.folder)
    memory = Memory(left)
    memory.put("mode", "compose")
    memory.write()
    flags = ("--read-only", "--low-bandwidth", "--fps", "9", "--theme", "light", "--reset-view")
    with Terminal.workbench(store.folder, *flags) as terminal:
        terminal.until("No runs yet")
        assert "read-only" in terminal.screen.lines[0]
        assert not left.exists()
        terminal.press("q")
        assert terminal.end() == 0


def test_read_only_changes_no_file_of_the_store(file, store):
    for name in ("one", "two"):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours))
    folders = [store.folder, *(path for path in store.folder.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    before = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in [store.folder, *store.folder.rglob("*")]}
    try:
        with Terminal.workbench(store.folder, "--read-only") as terminal:
            for key, word in (
                ("1", "two"),
                ("3", "loss"),
                ("4", "dominated"),
                ("5", "reference"),
                ("1", "ok finished"),
            ):
                terminal.press(key)
                terminal.until(word)
            terminal.press("q")
            assert terminal.end() == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
    after = {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in [store.folder, *store.folder.rglob("*")]}
    assert after == before

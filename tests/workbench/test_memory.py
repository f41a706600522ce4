"""What was left so is found so: on the disk within a second, for each store, and never a reason to fail."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from tests.workbench import fakes
from tests.workbench.conftest import until
from tests.workbench.terminals import Terminal
from workbench.app import Workbench
from workbench.memory import DELAY_S, LARGEST, Memory, path_of
from workbench.settings import Settings


@pytest.fixture
def path(tmp_path):
    return tmp_path / "views" / "one.json"


def test_values_come_back_with_their_types(path):
    memory = Memory(path)
    for name, value in (("a", "text"), ("b", 0.5), ("c", True), ("d", ["x", "y"]), ("e", 3)):
        memory.put(name, value)
    memory.write()
    again = Memory(path)
    assert (again.get("a", ""), again.get("b", 0.0), again.get("c", False), again.get("e", 0)) == ("text", 0.5, True, 3)
    assert again.get("d", [""]) == ["x", "y"]
    assert again.get("e", 0.0) == 3.0


def test_a_value_of_another_type_is_passed_over(path):
    memory = Memory(path)
    memory.put("a", "text")
    memory.put("b", True)
    assert memory.get("a", 1.0) == 1.0
    assert memory.get("b", 7) == 7
    assert memory.get("none", "default") == "default"


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": "\xff"}', b"[" * 100_000, b" " * (LARGEST + 1)])
def test_a_damaged_file_is_as_no_file(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    memory = Memory(path)
    assert memory.get("a", "default") == "default"
    memory.put("a", "new")
    memory.write()
    assert Memory(path).get("a", "") == "new"


def test_two_workbenches_on_one_store_keep_what_only_the_other_changed(path):
    first, second = Memory(path), Memory(path)
    first.put("a", "first")
    second.put("b", "second")
    first.write()
    second.write()
    assert (Memory(path).get("a", ""), Memory(path).get("b", "")) == ("first", "second")


def test_a_folder_that_cannot_be_written_disturbs_nobody(tmp_path):
    (tmp_path / "file").write_text("")
    memory = Memory(tmp_path / "file" / "view.json")
    memory.put("a", "text")
    memory.write()
    assert memory.get("a", "") == "text"


def test_what_was_changed_survives_a_closed_terminal(path):
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom workbench.memory import Memory\n"
        "Memory(Path(sys.argv[1])).put('live.smoothing', 0.5)\nprint('put', flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdout=subprocess.PIPE,
        # Whoever runs the tests may ignore the signal, as nohup does, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),
    ) as process:
        assert process.stdout.readline() == b"put\n"
        end = time.monotonic() + DELAY_S + 10
        while not path.exists():
            assert time.monotonic() < end
            os.sched_yield()
        os.kill(process.pid, signal.SIGHUP)
        assert process.wait(10) == -signal.SIGHUP
    assert Memory(path).get("live.smoothing", 0.0) == 0.5


def test_each_store_has_its_own_and_everywhere_one_more(tmp_path, monkeypatch):
    monkeypatch.setenv("PQD_WORKBENCH_STATE", str(tmp_path))
    assert len({path_of(tmp_path / "a"), path_of(tmp_path / "b"), path_of(None)}) == 3
    assert path_of(tmp_path / "a") == path_of(tmp_path / "x" / ".." / "a")
    assert path_of(None).is_relative_to(tmp_path)


def test_forgetting_is_on_the_disk_at_once(path):
    memory = Memory(path)
    memory.put("a", 1)
    memory.write()
    memory.forget()
    assert not path.exists()
    assert memory.get("a", 0) == 0


async def test_the_screen_that_was_open_opens_again(store, saved, path):
    for begins in ("runs", "compose"):
        app = Workbench(store, saved, Settings(poll_s=0.02), Memory(path))
        async with app.run_test(size=(80, 24)) as pilot:
            await until(pilot, lambda app=app, begins=begins: app.current_mode == begins)
            await pilot.press("2")
            await until(pilot, lambda app=app: app.current_mode == "compose")
        app.memory.write()


def test_a_closed_terminal_is_opened_again_where_it_was(store, tmp_path):
    """The screen, the filter, the order and the selected run, of the app itself and through its own file."""
    for name, top1 in (("one", 91.0), ("two", 92.0), ("three", 93.0), ("hidden", 50.0)):
        ours = fakes.recipe_of(name, "P")
        fakes.add_run(store, ours, fakes.whole(ours, top1=top1))
    homes = {"PQD_WORKBENCH_STATE": str(tmp_path / "state"), "PQD_WORKBENCH_CONFIG": str(tmp_path / "config")}

    def names(terminal):
        listed = [line.lstrip("> *").split() for line in terminal.screen.lines if "ok finished" in line]
        return [words[0] for words in listed if words[0] in ("one", "two", "three", "hidden")]

    with Terminal.workbench(store.folder, environment=homes) as terminal:
        terminal.until("hidden")
        terminal.press("/")
        terminal.until("size<2MiB")
        terminal.settle()
        terminal.press(*"top1>80", "enter")
        terminal.until(lambda: sorted(names(terminal)) == ["one", "three", "two"])
        while "by top1" not in terminal.screen.text:
            before = terminal.screen.text
            terminal.press("o")
            terminal.until(lambda before=before: terminal.screen.text != before)
            terminal.settle()
        terminal.press("O")
        terminal.until(lambda: names(terminal) == ["one", "two", "three"])
        order = names(terminal)
        terminal.press("home", "down")
        terminal.until(lambda: any(line.startswith(">  two") for line in terminal.screen.lines))
        left = tmp_path / "state" / "views"
        terminal.press("4")
        terminal.until("dominated")

        def kept():
            found = [json.loads(path.read_bytes()) for path in left.glob("*.json")]
            return any(values.get("mode") == "frontier" for values in found)

        terminal.until(lambda: terminal.read(0.01) >= 0 and kept())
        terminal.hang_up()
        assert terminal.process.wait(timeout=30) == -signal.SIGHUP
    with Terminal.workbench(store.folder, environment=homes) as terminal:
        terminal.until("dominated")
        terminal.until("two")
        terminal.press("1")
        terminal.until(lambda: names(terminal) == order)
        assert any(line.startswith(">  two") for line in terminal.screen.lines), terminal.screen.text
        assert "top1>80" in terminal.screen.text
        terminal.press("q")
        assert terminal.end() == 0

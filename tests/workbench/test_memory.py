"""What was left so is found so: on the disk within a second, for each store, and never a reason to fail."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.workbench.conftest import until
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

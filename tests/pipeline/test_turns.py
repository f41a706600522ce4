import os
import signal
import subprocess
import sys

import pytest

from pipeline import turns
from pipeline.errors import RunStoreError

TRAINER = """
import sys
from pipeline import turns
turns.LOOK_EVERY_S = 0
with turns.training(say=lambda reason: print(reason, flush=True)) as give_way:
    print("trains", flush=True)
    for _ in sys.stdin:
        give_way()
        print("step", flush=True)
"""
MEASURER = """
import sys
from pipeline import turns
with turns.measurement():
    print("measures", flush=True)
    sys.stdin.read()
"""
ORPHANING = """
import subprocess, sys
from pipeline import turns
with turns.measurement() as turn:
    subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], pass_fds=(turn,))
    print("measures", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(turns.VARIABLE, str(tmp_path / "turns"))
    return tmp_path / "turns"


@pytest.fixture
def start():
    """Start processes that say on their output where they are and go on when something is written to them."""
    started = []

    def start(code):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
        started.append(subprocess.Popen([sys.executable, "-c", code], **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        with process:
            pass


def line(process):
    return process.stdout.readline().strip()


def test_a_training_pauses_for_a_measurement_and_goes_on(start):
    trainer, said = start(TRAINER), []
    assert line(trainer) == "trains"
    trainer.stdin.write("one\n")
    assert line(trainer) == "step"
    with turns.measurement(say=said.append, interrupt=lambda: trainer.stdin.write("another\n")):
        assert said == [turns.AFTER_TRAINING]
        while (heard := line(trainer)) == "step":
            pass
        assert heard == turns.PAUSES
    assert line(trainer) == "step"


def test_a_training_that_begins_during_a_measurement_waits_for_its_end(start):
    with turns.measurement():
        trainer = start(TRAINER)
        assert line(trainer) == turns.PAUSES
    assert line(trainer) == "trains"


def test_trainings_run_beside_each_other(start):
    first, second = start(TRAINER), start(TRAINER)
    assert (line(first), line(second)) == ("trains", "trains")


def test_two_measurements_take_turns(start):
    first, said = start(MEASURER), []
    assert line(first) == "measures"
    with turns.measurement(say=said.append, interrupt=first.stdin.close):
        assert said == [turns.AFTER_MEASUREMENT]
        assert first.wait(10) == 0


def test_a_killed_training_frees_the_machine(start):
    trainer, said = start(TRAINER), []
    assert line(trainer) == "trains"
    with turns.measurement(say=said.append, interrupt=trainer.kill):
        assert said == [turns.AFTER_TRAINING]
        assert trainer.wait(10) == -signal.SIGKILL


def test_what_a_killed_measurement_left_running_still_counts(start):
    first, said = start(ORPHANING), []
    assert line(first) == "measures"
    first.kill()
    first.wait(10)
    with turns.measurement(say=said.append, interrupt=first.stdin.close):
        assert said == [turns.AFTER_MEASUREMENT]


def test_a_training_that_waits_hears_a_stop(monkeypatch):
    class Stopped(BaseException):
        pass

    def stop():
        raise Stopped

    monkeypatch.setattr(turns, "LOOK_EVERY_S", 0)
    with turns.training(interrupt=stop) as give_way:
        give_way()
        with pytest.raises(Stopped), turns.measurement(interrupt=give_way):
            pytest.fail("a measurement began beside a training")
    with turns.measurement(say=pytest.fail), pytest.raises(Stopped), turns.training(interrupt=stop):
        pytest.fail("a training began beside a measurement")


def test_most_looks_cost_nothing(monkeypatch):
    with turns.training() as give_way:
        monkeypatch.setattr(turns.lock, "attempt", lambda *_, **__: pytest.fail("it looked again at once"))
        give_way()


def test_a_folder_that_others_may_write_is_refused(folder):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(RunStoreError, match="is not a folder that you alone may write; name another one in PQD_"):
        turns.folder()
    folder.rmdir()
    folder.symlink_to(folder.parent)
    with pytest.raises(RunStoreError, match="is not a folder"):
        turns.folder()
    folder.unlink()
    folder.write_text("")
    with pytest.raises(RunStoreError, match="cannot be made: File exists; name another one in PQD_"):
        turns.folder()


def test_without_a_choice_the_folder_is_one_of_the_user_on_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv(turns.VARIABLE)
    monkeypatch.setattr(turns.tempfile, "tempdir", str(tmp_path))
    assert turns.folder() == tmp_path / f"pqd-workbench-{os.getuid()}"
    assert turns.folder().stat().st_mode & 0o777 == 0o700

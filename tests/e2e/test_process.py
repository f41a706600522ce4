"""The pipeline process: detached, stoppable, and honest about how it ended."""

import os
import re
import signal
import subprocess
import sys

import psutil
import pytest

from pipeline import events
from pipeline.keys import stage_keys
from pipeline.results import StageFolder
from pipeline.runs import process
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import is_training, make_recipe, pid, wait_until


def test_a_launched_run_is_alive_from_the_first_moment_and_finishes(store):
    run = process.launch(store, make_recipe("Q", baseline={"epochs": 1}))
    assert run.is_alive()
    wait_until(lambda: not run.is_alive())
    assert run.state().status is Status.FINISHED, run.log_path.read_text()
    assert (run.folder / "summary.json").exists()
    assert (run.folder / "environment.json").exists()
    # The log is for a person: what happened, and no library's chatter between.
    lines = run.log_path.read_text().splitlines()
    assert lines[-1].endswith(" finished")
    assert not [line for line in lines if not re.match(r"\d\d:\d\d:\d\d ", line)]
    assert any("1 quantize: epoch 2/2, loss" in line for line in lines)


def test_a_killed_run_is_lost(training):
    os.kill(pid(training), signal.SIGKILL)
    wait_until(lambda: not training.is_alive())
    assert training.state().status is Status.LOST


def test_a_run_asked_to_stop_ends_at_its_next_step(training):
    process.stop(training)
    wait_until(lambda: not training.is_alive(), 20)
    assert training.state().status is Status.STOPPED


def test_a_terminated_run_ends_cleanly(training):
    os.kill(pid(training), signal.SIGTERM)
    wait_until(lambda: not training.is_alive(), 20)
    assert training.state().status is Status.STOPPED


def test_a_run_outlives_the_session_that_launched_it(tmp_path):
    """The launcher leads a session of its own, as a login shell does, and the whole session is hung up."""
    script = (
        "import signal, sys, time\nfrom pipeline.runs import process\nfrom pipeline.runs.store import RunStore\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # these tests may run below nohup
        "from pathlib import Path\nfrom tests.e2e.conftest import make_recipe\n"
        "run = process.launch(RunStore(Path(sys.argv[1])), make_recipe('P', baseline={'epochs': 100000}))\n"
        "print(run.id, flush=True)\ntime.sleep(600)\n"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    run = RunStore(tmp_path).open(launcher.stdout.readline().strip())
    os.killpg(launcher.pid, signal.SIGHUP)
    launcher.wait()
    launcher.stdout.close()
    wait_until(lambda: is_training(run) or not run.is_alive())
    assert run.is_alive()
    assert psutil.Process(pid(run)).ppid() != launcher.pid
    process.stop(run)
    wait_until(lambda: not run.is_alive())
    assert run.state().status is Status.STOPPED


@pytest.mark.slow
def test_two_runs_that_want_the_same_stage_train_it_once(store):
    wanted = make_recipe("P", baseline={"epochs": 40})
    runs = [process.launch(store, wanted) for _ in range(2)]
    wait_until(lambda: not any(run.is_alive() for run in runs), 180)
    states = [run.state() for run in runs]
    assert [state.status for state in states] == [Status.FINISHED] * 2
    assert sum(stage.reused for state in states for stage in state.stages) == 2


def test_a_run_that_waits_for_another_ones_stage_hears_a_wish_to_stop(store):
    wanted = make_recipe("P")
    with StageFolder(store.stages_folder, stage_keys(wanted)[0]).locked():
        run = process.launch(store, wanted)
        wait_until(lambda: any(isinstance(event, events.Waited) for event in run.events()[0]) or not run.is_alive())
        process.stop(run)
        wait_until(lambda: not run.is_alive(), 20)
    assert run.state().status is Status.STOPPED


def test_a_run_that_cannot_be_done_fails_with_one_sentence(store):
    run = process.launch(store, make_recipe("P", backbone="vgg16_bn"))
    wait_until(lambda: not run.is_alive())
    state = run.state()
    assert state.status is Status.FAILED
    assert state.failure == (
        "the backbone 'vgg16_bn' needs images of at least 32 pixels a side; those of the dataset 'digits' have 8."
    )


@pytest.mark.slow
def test_a_backbone_of_ones_own_is_found_where_one_launches_from_and_trained_anew_when_it_changes(
    store, tmp_path, monkeypatch
):
    module = tmp_path / "my_nets.py"
    source = "from pipeline.backbones.tiny import build as make\n\ndef build(**sizes):\n    return make(**sizes)\n"
    monkeypatch.chdir(tmp_path)
    wanted = make_recipe("Q", backbone="my_nets:build", baseline={"epochs": 1})
    reused = []
    for text in (source, source, source + "# another text\n"):
        module.write_text(text)
        run = process.launch(store, wanted)
        wait_until(lambda run=run: not run.is_alive())
        state = run.state()
        assert state.status is Status.FINISHED, run.log_path.read_text()
        reused.append(state.stages[0].reused)
    assert reused == [False, True, False]


@pytest.mark.slow
def test_training_that_diverges_fails_with_what_to_do(store):
    run = process.launch(store, make_recipe("", baseline={"epochs": 3, "learning_rate": 1e9}))
    wait_until(lambda: not run.is_alive())
    state = run.state()
    assert state.status is Status.FAILED
    assert "lower learning_rate" in state.failure

"""Trainings and measurements on one machine: a real run gives way to a measurement and goes on after it."""

from pipeline import events, turns
from pipeline.runs import process
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe
from tests.e2e.test_process import is_training, wait_until


def test_a_run_pauses_while_something_is_measured_and_says_so(tmp_path):
    run = process.launch(RunStore(tmp_path / "store"), make_recipe("", baseline={"epochs": 100_000}))
    wait_until(lambda: is_training(run))
    said = []
    with turns.measurement(say=said.append):
        wait_until(lambda: run.state().activity == turns.PAUSES)
        steps = run.state().stages[0].step
    wait_until(lambda: run.state().stages[0].step > steps)
    assert run.state().activity == ""
    assert said in ([], [turns.AFTER_TRAINING])
    process.stop(run)
    wait_until(lambda: not run.is_alive())
    assert run.state().status is Status.STOPPED


def test_a_paused_run_hears_a_stop(tmp_path):
    run = process.launch(RunStore(tmp_path / "store"), make_recipe("", baseline={"epochs": 100_000}))
    wait_until(lambda: is_training(run))
    with turns.measurement():
        wait_until(lambda: run.state().activity == turns.PAUSES)
        process.stop(run)
        wait_until(lambda: not run.is_alive())
    assert run.state().status is Status.STOPPED
    assert isinstance(run.events()[0][-1], events.RunStopped)

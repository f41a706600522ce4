"""Trainings and measurements on one machine: a real run gives way to a measurement and goes on after it."""

from pipeline import events, turns
from pipeline.runs import process
from pipeline.runs.state import Status
from tests.e2e.conftest import wait_until


def test_a_run_pauses_while_something_is_measured_and_says_so(training):
    said = []
    with turns.measurement(say=said.append):
        wait_until(lambda: training.state().activity == turns.PAUSES)
        steps = training.state().stages[0].step
    wait_until(lambda: training.state().stages[0].step > steps)
    assert training.state().activity == ""
    assert said in ([], [turns.AFTER_TRAINING])
    process.stop(training)
    wait_until(lambda: not training.is_alive())
    assert training.state().status is Status.STOPPED


def test_a_paused_run_hears_a_stop(training):
    with turns.measurement():
        wait_until(lambda: training.state().activity == turns.PAUSES)
        process.stop(training)
        wait_until(lambda: not training.is_alive())
    assert training.state().status is Status.STOPPED
    assert isinstance(training.events()[0][-1], events.RunStopped)

"""A run that was stopped or killed loses at most the epoch it was in: the next run that wants the stage goes on there."""

import os
import signal
import subprocess
import sys

import msgspec
import pytest

from pipeline import events, partial, session, worker
from pipeline.errors import RunStoreError
from pipeline.keys import stage_keys
from pipeline.results import StageFolder
from pipeline.runs import process
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe, pid, run_here, wait_until

EPOCHS = 4
TABLES = {
    "": None,
    "P": {"stage": "prune", "sparsity": 0.6, "epochs": EPOCHS},
    "G": {"stage": "prune", "sparsity": 0.6, "importance": "gradient", "min_density": 0.1, "epochs": EPOCHS},
    "N": {"stage": "prune", "pattern": "2:4", "epochs": EPOCHS},
    "Q": {"stage": "quantize", "epochs": EPOCHS},
    "D": {"stage": "distill", "epochs": EPOCHS},
}


def wanted_of(letters, **training):
    return make_recipe(
        "",
        name="interrupted",
        baseline={"epochs": EPOCHS if not letters else 1},
        stages=[TABLES[letter] for letter in letters],
        training={"batch_size": 256, "device": "cpu", "teacher_cache_mib": 0} | training,
    )


def happened(run, kind):
    return [event for event in run.events()[0] if isinstance(event, kind)]


def result_of(run, index):
    found = StageFolder(run.store / "stages", stage_keys(run.recipe())[index]).result()
    assert found is not None
    return found


def plain(history):
    """Compare curves without what the clock decides."""
    return [(event.epoch, event.step, event.metrics | {"images_per_s": 0.0}) for event in history]


@pytest.fixture
def stop_after_epoch(monkeypatch):
    """Ask for a stop after the epoch at work when an epoch of a stage ends, as a person in another process would."""
    emit = session._Reporter._finished

    def arm(run, index, epoch, when="epoch"):
        def finished(self, event):
            emit(self, event)
            if (event.index, event.epoch) == (index, epoch) and self._session.run.id == run.id:
                process.stop(run, when)

        monkeypatch.setattr(session._Reporter, "_finished", finished)
        monkeypatch.setattr(session.StopRequest, "look_every_s", 0.0)

    return arm


def run_stopped(store, wanted, arm, *where):
    run, lock = store.create(wanted)
    arm(run, *where)
    try:
        worker.work(run.folder, lock)
    finally:
        os.close(lock)
    assert run.state().status is Status.STOPPED, run.events()[0][-3:]
    return run


@pytest.mark.parametrize(
    ("letters", "training"),
    [
        ("", {"optimizer": "adamw", "mixup": 0.2}),
        ("P", {"ema": 0.9}),
        ("G", {}),
        ("N", {"keep": "best"}),
        ("Q", {"optimizer": "adamw", "ema": 0.9}),
        ("D", {"mixup": 0.2}),
    ],
)
def test_an_interrupted_stage_comes_to_the_very_same_result(tmp_path, stop_after_epoch, letters, training):
    wanted, index = wanted_of(letters, **training), len(letters)
    whole = result_of(run_here(RunStore(tmp_path / "whole"), wanted), index)
    store = RunStore(tmp_path / "interrupted")
    first = run_stopped(store, wanted, stop_after_epoch, index, 2)
    assert [event.epoch for event in happened(first, events.EpochFinished) if event.index == index] == [1, 2]
    kept = list(store.stages_folder.glob("*.partial"))
    assert len(kept) == 1

    second = run_here(store, wanted)
    state = second.state()
    assert state.status is Status.FINISHED, state.failure
    (resumed,) = happened(second, events.StageResumed)
    assert (resumed.index, resumed.epoch) == (index, 2)
    found = result_of(second, index)
    assert found.sha256 == whole.sha256
    assert plain(found.history) == plain(whole.history)
    assert found.metrics | {"images_per_s": 0, "tflops": 0, "percent_of_peak": 0} == whole.metrics | {
        "images_per_s": 0, "tflops": 0, "percent_of_peak": 0,
    }  # fmt: skip
    # The curve of the new run is whole, and nothing is left on the disk.
    assert [event.epoch for event in happened(second, events.EpochFinished) if event.index == index] == [1, 2, 3, 4]
    assert second.history().series["top1"][0][-EPOCHS:] == [state.stages[0].epochs * bool(index) + n for n in (1, 2, 3, 4)]
    assert state.stages[index].resumed_step == resumed.step > 0
    assert not list(store.stages_folder.glob("*.partial"))
    assert "resumed after epoch 2" in "".join(map(str, [*_lines(second)]))


def _lines(run):
    from pipeline.runs import wording
    from pipeline.runs.state import RunState

    state = RunState()
    for event in run.events()[0]:
        state = state.after(event)
        yield wording.describe(event, state)

"""A run that was stopped or killed loses little: the next run that wants the stage goes on after its last epoch."""

import os
import signal
import subprocess
import sys

import pytest

from pipeline import events, partial, session, worker
from pipeline.errors import RunStoreError
from pipeline.keys import stage_keys
from pipeline.results import StageFolder
from pipeline.runs import process, wording
from pipeline.runs.state import RunState, Status
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


def wanted_of(letters, *, epochs=EPOCHS, **training):
    return make_recipe(
        "",
        name="interrupted",
        baseline={"epochs": epochs if not letters else 1},
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


def lines_of(run):
    state = RunState()
    for event in run.events()[0]:
        state = state.after(event)
        yield wording.describe(event, state)


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


@pytest.mark.slow
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
    epochs, _ = second.history().series["top1"]
    assert epochs[-EPOCHS:] == [index + epoch for epoch in (1, 2, 3, 4)]
    assert state.stages[index].resumed_step == resumed.step > 0
    assert not list(store.stages_folder.glob("*.partial"))
    assert "resumed after epoch 2" in "\n".join(lines_of(second))


def test_a_stop_after_the_stage_stores_its_result_and_trains_nothing_more(store, stop_after_epoch):
    run = run_stopped(store, wanted_of("PQ"), stop_after_epoch, 1, 1, "stage")
    assert [event.index for event in happened(run, events.StageFinished)] == [0, 1]
    assert [event.when for event in happened(run, events.StopRequested)] == ["stage"]
    assert max(event.epoch for event in happened(run, events.EpochFinished)) == EPOCHS
    assert not [event for event in happened(run, events.StageStarted) if event.index == 2]
    assert not list(store.stages_folder.glob("*.partial"))


def test_a_stop_in_the_last_epoch_of_a_stage_stores_its_result(store, stop_after_epoch):
    run = run_stopped(store, wanted_of("P"), stop_after_epoch, 1, EPOCHS)
    assert [event.index for event in happened(run, events.StageFinished)] == [0, 1]
    assert not list(store.stages_folder.glob("*.partial"))


def test_a_run_without_epochs_to_come_stops_at_the_next_opportunity(store):
    first = run_here(store, wanted_of("P"))
    run, lock = store.create(wanted_of("P"))
    process.stop(run, "stage")
    worker.work(run.folder, lock)
    os.close(lock)
    assert first.state().status is Status.FINISHED
    assert run.state().status is Status.STOPPED
    assert not happened(run, events.ModelLowered)


def test_a_stop_that_was_withdrawn_is_forgotten_and_a_signal_overrides(training):
    def heard():
        return [event.when for event in happened(training, events.StopRequested)]

    process.stop(training, "stage")
    wait_until(lambda: heard() == ["stage"], 20)
    assert training.state().stopping == "stage"
    process.withdraw_stop(training)
    wait_until(lambda: heard() == ["stage", None], 20)
    assert training.state().stopping is None
    process.stop(training, "stage")
    wait_until(lambda: len(heard()) == 3, 20)
    os.kill(pid(training), signal.SIGTERM)
    wait_until(lambda: not training.is_alive(), 20)
    assert heard()[-1] == "now"
    assert training.state().status is Status.STOPPED
    assert training.state().stopping is None


@pytest.mark.parametrize("left", ["damaged", "empty", "of another network"])
def test_what_is_left_of_a_stage_but_cannot_be_used_is_noted_and_the_stage_starts_over(store, stop_after_epoch, left):
    run_stopped(store, wanted_of("P"), stop_after_epoch, 1, 2)
    (kept,) = store.stages_folder.glob("*.partial")
    if left == "of another network":
        snapshot, past = partial.Partial(kept).read()
        snapshot.tensors.popitem()
        partial.Partial(kept).write(snapshot, history=past.history, seconds=past.seconds)
    else:
        kept.write_bytes(b"" if left == "empty" else kept.read_bytes()[:-7] + b"1234567")
    run = run_here(store, wanted_of("P"))
    assert run.state().status is Status.FINISHED
    assert any("starts over" in note for note in run.state().notes), run.state().notes
    assert not happened(run, events.StageResumed)
    assert [event.epoch for event in happened(run, events.EpochFinished) if event.index == 1] == [1, 2, 3, 4]
    assert result_of(run, 1).history[-1].epoch == EPOCHS
    assert not kept.exists()


KILLED = """
import sys
from pathlib import Path
from pipeline import partial, worker
from pipeline.runs.store import RunStore
from tests.e2e.test_resuming import wanted_of
partial.EVERY_S = 0.0
partial.LARGEST_SHARE = 1.0
run, lock = RunStore(Path(sys.argv[1])).create(wanted_of("", epochs=12, batch_size=64, ema=0.9))
print(run.id, flush=True)
worker.work(run.folder, lock)
"""


@pytest.mark.slow
def test_a_killed_process_loses_no_epoch_that_was_kept(tmp_path):
    store = RunStore(tmp_path / "killed")
    working = subprocess.Popen([sys.executable, "-c", KILLED, str(store.folder)], stdout=subprocess.PIPE, text=True)
    run = store.open(working.stdout.readline().strip())
    wait_until(lambda: any(store.stages_folder.glob("*.partial")) or not run.is_alive())
    working.kill()
    working.wait()
    working.stdout.close()
    assert run.state().status is Status.LOST

    again = process.relaunch(run)
    assert (again.folder / "recipe.toml").read_bytes() == (run.folder / "recipe.toml").read_bytes()
    wait_until(lambda: not again.is_alive())
    assert again.state().status is Status.FINISHED, again.log_path.read_text()
    assert happened(again, events.StageResumed)
    whole = process.launch(RunStore(tmp_path / "whole"), wanted_of("", epochs=12, batch_size=64, ema=0.9))
    wait_until(lambda: not whole.is_alive())
    assert plain(result_of(again, 0).history) == plain(result_of(whole, 0).history)
    assert result_of(again, 0).sha256 == result_of(whole, 0).sha256
    assert not list(store.stages_folder.glob(".*.tmp"))


@pytest.mark.slow
def test_a_stage_that_fits_twice_goes_on_in_the_first_of_them_alone(tmp_path, stop_after_epoch, monkeypatch):
    from pipeline.stages.quantize import Quantize

    def twice(stage, model, surroundings):
        model = stage.prepare(model)
        surroundings.calibrate(model)
        for _ in range(2):
            surroundings.fit(model, epochs=2, learning_rate=stage.learning_rate)
        return model

    monkeypatch.setattr(Quantize, "apply", twice)
    wanted = wanted_of("Q")
    whole = result_of(run_here(RunStore(tmp_path / "whole"), wanted), 1)
    store = RunStore(tmp_path / "interrupted")
    run_stopped(store, wanted, stop_after_epoch, 1, 1)
    assert result_of(run_here(store, wanted), 1).sha256 == whole.sha256
    assert not list(store.stages_folder.glob("*.partial"))


def test_training_that_diverges_leaves_nothing_to_go_on_from(store, stop_after_epoch):
    wanted = make_recipe(
        "", baseline={"epochs": 4, "learning_rate": 0.1}, training={"batch_size": 256, "device": "cpu"}
    )
    run_stopped(store, wanted, stop_after_epoch, 0, 1)
    (kept,) = store.stages_folder.glob("*.partial")
    snapshot, past = partial.Partial(kept).read()
    for name, tensor in snapshot.tensors.items():
        if name.startswith("network.") and tensor.is_floating_point():
            tensor.fill_(float("nan"))
    partial.Partial(kept).write(snapshot, history=past.history, seconds=past.seconds)
    run = run_here(store, wanted)
    assert run.state().status is Status.FAILED
    assert not kept.exists()


def test_only_a_run_that_is_over_is_launched_again(training):
    with pytest.raises(RunStoreError, match="is still going on: it is running"):
        process.relaunch(training)


@pytest.mark.parametrize("status", Status)
def test_what_goes_on_or_is_finished_is_not_resumed(status):
    is_refused = status in (Status.QUEUED, Status.RUNNING, Status.FINISHED)
    assert bool(process.why_not_resumed(status)) == is_refused


@pytest.mark.slow
def test_a_run_that_is_launched_again_reuses_what_is_there(store):
    first = run_here(store, wanted_of("P"))
    # Its process died right before its last word.
    first.summary_path.unlink()
    first.events_path.write_bytes(b"".join(first.events_path.read_bytes().splitlines(keepends=True)[:-1]))
    assert first.state().status is Status.LOST
    text = "# a person's own remark\n" + (first.folder / "recipe.toml").read_text()
    (first.folder / "recipe.toml").write_text(text)
    again = process.relaunch(first)
    assert (again.folder / "recipe.toml").read_text() == text
    wait_until(lambda: not again.is_alive())
    assert all(stage.reused for stage in again.state().stages)

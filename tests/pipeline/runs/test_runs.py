"""Runs on disk: the log, the fold, the store and the lock, without training anything."""

import fcntl
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import events as e
from pipeline import recipe
from pipeline.errors import CorruptRun, RunNotFound, RunStoreError
from pipeline.report import Accuracy
from pipeline.runs import log, process, rows, wording
from pipeline.runs.annotations import Annotations
from pipeline.runs.state import History, RunState, Status
from pipeline.runs.store import Run, RunStore

plan = (e.StagePlan(stage="baseline", key="k0", epochs=2), e.StagePlan(stage="prune", key="k1", epochs=4))
started = e.RunStarted(time_s=100.0, pid=1, host="h", device="cpu", plan=plan)


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture
def smoke() -> recipe.Recipe:
    return recipe.loads(
        'name = "a [red]name[/] / ü"\nbackbone = "tiny"\ndataset = "digits"', source="t", folder=recipe.Path("/")
    )


def fold(*happened: e.AnyEvent) -> RunState:
    state = RunState()
    for event in happened:
        state = state.after(event)
    return state


def record(run: Run, *happened: e.AnyEvent) -> None:
    with log.EventWriter(run.events_path) as writer:
        for event in happened:
            writer.append(event)


class TestLog:
    def test_what_is_appended_is_read_back(self, tmp_path):
        path = tmp_path / "events.jsonl"
        with log.EventWriter(path) as writer:
            writer.append(started)
            writer.append(e.Noted(text="ünïcode\nand a line break"))
        found, offset = log.read(path)
        assert found[0] == started
        assert found[1].text == "ünïcode\nand a line break"
        assert offset == path.stat().st_size

    def test_a_line_still_being_written_stays_unread(self, tmp_path):
        path = tmp_path / "events.jsonl"
        line = e.encode(e.Noted(text="late"))
        path.write_bytes(e.encode(started) + line[:10])
        found, offset = log.read(path)
        assert found == [started]
        path.write_bytes(e.encode(started) + line)
        assert [event.text for event in log.read(path, offset)[0]] == ["late"]

    def test_a_damaged_line_is_named_with_file_and_byte(self, tmp_path):
        path = tmp_path / "events.jsonl"
        whole = e.encode(started)
        path.write_bytes(whole + b"{broken}\n")
        with pytest.raises(CorruptRun, match=rf"events\.jsonl: the line at byte {len(whole)} is not an event"):
            log.read(path)

    def test_a_metric_that_is_not_finite_survives_as_nothing(self):
        event = e.decode(e.encode(e.Progressed(index=0, step=1, metrics={"loss": math.nan, "top1": 3.0})))
        assert event.metrics == {"loss": None, "top1": 3.0}

    def test_a_log_that_does_not_exist_yet_is_empty(self, tmp_path):
        assert log.read(tmp_path / "none") == ([], 0)


class TestState:
    def test_a_stage_goes_from_pending_over_running_to_finished(self):
        state = fold(started, e.StageStarted(time_s=100.0, index=0, steps=10))
        assert (state.stages[0].status, state.stages[1].status) == ("running", "pending")
        state = state.after(e.EpochFinished(time_s=110.0, index=0, epoch=1, step=5, metrics={"top1": 50.0}))
        assert state.stages[0].progress == 0.5
        assert state.stage_eta_s(110.0) == 10
        assert state.eta_s(110.0) == 10 + 4 * 10
        state = state.after(e.StageFinished(time_s=120.0, index=0, metrics={"top1": 60.0}, seconds=20.0))
        assert (state.stages[0].status, state.stages[0].top1, state.index) == ("finished", 60.0, None)
        assert state.progress == 2 / 6

    def test_the_eta_goes_down_between_two_events(self):
        state = fold(
            started, e.StageStarted(time_s=100.0, index=0, steps=10),
            e.Progressed(time_s=110.0, index=0, step=5, metrics={}),
        )  # fmt: skip
        assert state.stage_eta_s(113.0) == 7
        assert state.stage_eta_s(999.0) == 0

    def test_the_eta_of_a_resumed_stage_counts_the_steps_of_this_run_alone(self):
        state = fold(
            started,
            *(e.EpochFinished(time_s=101.0, index=1, epoch=n, step=100 * n, metrics={"top1": 50.0}) for n in (1, 2, 3)),
            e.StageStarted(time_s=102.0, index=1, steps=400),
            e.StageResumed(time_s=102.0, index=1, epoch=3, step=300),
        )
        assert (state.stages[1].progress, state.stages[1].epoch, state.stages[1].step) == (0.75, 3, 300)
        assert state.stage_eta_s(102.0) is None
        assert state.eta_s(102.0) is None
        state = state.after(e.Progressed(time_s=104.0, index=1, step=310, metrics={}))
        assert state.stage_eta_s(104.0) == pytest.approx(18)
        state = state.after(e.EpochFinished(time_s=122.0, index=1, epoch=4, step=400, metrics={"top1": 50.0}))
        assert state.stage_eta_s(122.0) == 0

    def test_a_pending_stop_is_told_until_the_run_is_over_or_the_wish_is_withdrawn(self):
        state = fold(started, e.StopRequested(when="epoch"))
        assert state.stopping == "epoch"
        assert wording.stopping(state.stopping) == "stops after this epoch"
        assert state.after(e.StopRequested(when=None)).stopping is None
        over = state.after(e.RunStopped())
        assert (over.status, over.stopping) == (Status.STOPPED, None)
        row = rows.row_of("r", None, state, Annotations())
        assert row.stopping == "epoch"
        assert rows.row_of("r", None, Run.settle(Run(Path("r")), state, alive=False), Annotations()).stopping is None

    def test_a_run_that_waits_for_its_turn_is_queued_until_it_begins(self):
        waits = e.Waited(time_s=90.0, reason="waits for 2 runs before it")
        state = fold(waits)
        assert (state.status, state.activity) == (Status.QUEUED, "waits for 2 runs before it")
        assert wording.describe(waits, state) == "waits for 2 runs before it"
        assert rows.row_of("r", None, state, Annotations(), queued_at=3).queued_at == 3
        state = state.after(started)
        assert (state.status, state.activity) == (Status.RUNNING, "preparing")
        assert rows.row_of("r", None, state, Annotations(), queued_at=3).queued_at is None

    def test_a_reused_stage_counts_as_done(self):
        state = fold(started, e.StageReused(index=0, metrics={"top1": 70.0}, seconds=9.0))
        assert state.stages[0].reused
        assert state.progress == 2 / 6

    def test_a_download_is_under_way_until_something_else_happens(self):
        state = fold(started, e.Downloaded(done=30, total=120))
        assert (state.download, state.activity) == (0.25, "downloading 25 %")
        assert state.after(e.StageStarted(index=0, steps=1)).download is None

    def test_numbers_of_baseline_and_deployed_are_kept_apart(self):
        accuracy = Accuracy(correct=9, total=10, runtime="onnxruntime")
        state = fold(started, e.AccuracyMeasured(subject="deployed", accuracy=accuracy))
        assert state.deployed.accuracy == accuracy
        assert state.baseline.accuracy is None

    @pytest.mark.parametrize(
        ("last", "status"),
        [
            (e.RunFinished(), Status.FINISHED),
            (e.RunFailed(reason="why"), Status.FAILED),
            (e.RunStopped(), Status.STOPPED),
        ],
    )
    def test_the_last_event_says_how_it_ended(self, last, status):
        assert fold(started, last).status is status

    def test_the_curves_run_over_the_whole_recipe(self):
        history = History()
        for event in (
            started,
            e.EpochFinished(index=0, epoch=2, step=10, metrics={"top1": 50.0}),
            e.StageStarted(index=1, steps=8),
            e.Progressed(index=1, step=2, metrics={"loss": None}),
            e.EpochFinished(index=1, epoch=4, step=8, metrics={"top1": 60.0}),
        ):
            history.add(event)
        assert history.borders == [0.0, 2.0]
        assert history.series["top1"] == ([2.0, 6.0], [50.0, 60.0])
        epochs, values = history.series["loss"]
        assert epochs == [3.0]
        assert math.isnan(values[0])

    def test_an_event_about_a_stage_that_is_not_planned_is_refused(self):
        event = e.Progressed(index=7, step=1, metrics={})
        with pytest.raises(CorruptRun, match="names entry 7 of a plan of 2"):
            fold(started, event)
        history = History()
        history.add(started)
        with pytest.raises(CorruptRun, match="names entry 7 of a plan of 2"):
            history.add(event)


class TestStore:
    def test_a_run_is_alive_as_long_as_its_lock_is_held(self, store, smoke):
        run, lock = store.create(smoke)
        assert run.is_alive()
        assert run.state().status is Status.QUEUED
        os.close(lock)
        assert not run.is_alive()
        assert run.state().status is Status.LOST

    def test_a_lock_held_by_another_process_dies_with_it(self, store, smoke):
        run, lock = store.create(smoke)
        holder = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=(lock,))
        os.close(lock)
        record(run, started)
        assert run.state().status is Status.RUNNING
        holder.kill()
        holder.wait()
        holder.stdin.close()
        assert run.state().status is Status.LOST

    def test_a_name_of_any_letters_gives_a_plain_folder(self, store, smoke):
        run, lock = store.create(smoke)
        os.close(lock)
        assert run.id.split("-", 4)[4].startswith("a-red-name-")
        assert run.recipe() == smoke

    def test_runs_are_listed_newest_first_and_found_by_parts_of_their_id(self, store, smoke):
        made = []
        for _ in range(2):
            run, lock = store.create(smoke)
            os.close(lock)
            made.append(run)
        listed = [run.id for run in store.runs()]
        assert listed == sorted(listed, reverse=True)
        assert store.open("last").id == listed[0]
        assert store.open(made[0].id[-4:]).id == made[0].id
        assert store.open(smoke.name).id == listed[0]

    def test_an_unknown_run_is_answered_with_the_nearest(self, store, smoke):
        with pytest.raises(RunNotFound, match="is empty"):
            store.open("x")
        run, lock = store.create(smoke)
        os.close(lock)
        with pytest.raises(RunNotFound, match="did you mean"):
            store.open(run.id + "x")

    def test_a_living_run_is_not_deleted(self, store, smoke):
        run, lock = store.create(smoke)
        with pytest.raises(RunStoreError, match="still alive"):
            store.delete(run)
        os.close(lock)
        store.delete(run)
        assert store.runs() == []

    def test_a_damaged_summary_is_made_good_by_the_log(self, store, smoke):
        run, lock = store.create(smoke)
        os.close(lock)
        record(run, started, e.RunFinished())
        (run.folder / "summary.json").write_text("{")
        assert run.state().status is Status.FINISHED

    def test_a_store_that_cannot_be_written_is_one_sentence(self, tmp_path, smoke):
        (tmp_path / "file").write_text("")
        with pytest.raises(RunStoreError, match="cannot be written"):
            RunStore(tmp_path / "file").create(smoke)

    def test_only_a_living_run_can_be_stopped(self, store, smoke):
        run, lock = store.create(smoke)
        process.stop(run, "stage")
        assert run.stop_path.read_text() == "stage"
        process.stop(run)
        assert run.stop_path.read_text() == "now"
        os.close(lock)
        with pytest.raises(RunStoreError, match="is not running: it is lost"):
            process.stop(run)

    def test_looking_at_a_run_never_takes_its_lock_away(self, store, smoke):
        run, lock = store.create(smoke)
        for _ in range(3):
            assert run.is_alive()
        other = os.open(run.lock_path, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(other)
        os.close(lock)

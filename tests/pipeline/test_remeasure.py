"""Measuring finished runs again: real files, a real runtime, a fresh process; networks of one layer."""

import json
import os
import signal
import subprocess
import sys

import onnx
import pytest

from pipeline import events as e
from pipeline import remeasure
from pipeline.errors import RunStoreError
from pipeline.remeasure import Told, Wanted
from pipeline.runs.state import Status
from pipeline.runs.store import Run, RunStore
from tests.e2e.conftest import make_recipe, run_here
from tests.pipeline.exports import recorded

IN_ONNX = Wanted(runtimes=("onnxruntime",))


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "store")


def finished(store: RunStore, name: str = "small", mark: str = "") -> Run:
    """A finished run; ``mark`` makes its deployed file another one than its baseline's."""
    run = recorded.finished(store, name)
    if mark:
        path = run.folder / "artifacts" / "deployed" / "model.onnx"
        network = onnx.load(path)
        network.doc_string = mark
        onnx.save(network, path)
        run.append([recorded.artifact(run, "deployed", "onnx", path)])
    return run


def measured(*runs: Run, wanted: Wanted = IN_ONNX) -> list[Told]:
    told: list[Told] = []
    remeasure.record(remeasure.measure(runs, wanted, tell=told.append), tell=told.append)
    return told


@pytest.mark.slow
def test_two_runs_are_timed_together_and_equal_files_once(store):
    runs = [finished(store, "one", mark="a"), finished(store, "two", mark="b")]
    told = measured(*runs)
    assert [line.text for line in told if "timing" in line.text] == ["timing 3 files in onnxruntime, batch 1"]
    assert not any(line.failed for line in told)
    one, two = (run.state() for run in runs)
    assert one.baseline.latency == two.baseline.latency
    assert one.deployed.latency != two.deployed.latency
    assert one.deployed.latency["onnxruntime"].machine != recorded.machine()


def test_the_newest_number_counts_and_the_run_stays_finished(store):
    run = finished(store)
    before = run.state()
    measured(run, wanted=Wanted(runtimes=("onnxruntime",), batch_sizes=(1, 2), threads=1))
    after = run.state()
    assert (after.status, after.activity, after.ended_s) == (Status.FINISHED, "", before.ended_s)
    assert list(after.deployed.latency) == ["onnxruntime", "onnxruntime, batch 2"]
    assert after.deployed.latency["onnxruntime"] != before.deployed.latency["onnxruntime"]
    assert after.deployed.accuracies == before.deployed.accuracies
    run.summary_path.unlink()
    assert run.state() == after


def test_a_file_that_was_changed_is_told_and_nothing_is_written(store):
    run = finished(store)
    (run.folder / "artifacts" / "deployed" / "model.onnx").write_bytes(b"x")
    (run.folder / "artifacts" / "baseline" / "model.onnx").unlink()
    content = run.events_path.read_bytes()
    told = [line.text for line in measured(run) if line.failed]
    assert len(told) == 2
    assert "cannot be read: No such file" in told[0]
    assert "is not the one that the run left; run it again." in told[1]
    assert run.events_path.read_bytes() == content


def test_a_run_without_sample_images_is_told(store):
    run = finished(store)
    (run.folder / "artifacts" / "deployed" / "samples.npz").unlink()
    (line,) = measured(run)
    assert line.failed
    assert "samples.npz' cannot be read: No such file or directory." in line.text


def test_top1_is_not_measured_where_the_stages_are_gone(store):
    run = finished(store)
    told = measured(run, wanted=Wanted(runtimes=("openvino",)))
    assert any("top-1 in openvino is not measured: the store does not hold its stages" in line.text for line in told)
    assert "openvino" in run.state().deployed.latency


@pytest.mark.slow
def test_a_runtime_that_has_not_answered_yet_answers_the_test_split(store):
    run = run_here(store, make_recipe("Q"))
    told = measured(run, wanted=Wanted(runtimes=("openvino",)))
    assert not any(line.failed for line in told)
    report = run.state().deployed
    assert list(report.accuracies) == ["onnxruntime", "openvino"]
    assert report.accuracies["openvino"].versus_baseline.total == 360
    assert report.accuracies["openvino"].agreement > 0.95
    assert report.latency["openvino"].roof_ms is None or report.latency["openvino"].of_roof > 0


def test_an_interrupted_measurement_leaves_everything_as_it_was(store):
    run = finished(store)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "measure", run.folder, "--wanted", '{"runtimes": ["onnxruntime"]}'],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "timing" in json.loads(process.stdout.readline())["text"]
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before


class TestAppend:
    def test_a_run_at_work_takes_no_further_facts(self, store):
        run, lock = recorded.create(store)
        recorded.record(run, recorded.trained())
        with pytest.raises(RunStoreError, match="is still alive; wait for its end or stop it"):
            run.append([e.Noted(text="x")])
        os.close(lock)
        with pytest.raises(RunStoreError, match="is lost; only a run that came to its end"):
            run.append([e.Noted(text="x")])

    def test_a_run_that_is_gone_is_one_sentence(self, store):
        run = recorded.finished(store)
        store.delete(run)
        with pytest.raises(RunStoreError, match="cannot be opened"):
            run.append([e.Noted(text="x")])

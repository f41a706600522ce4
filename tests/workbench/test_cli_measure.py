"""The verb ``measure``, in processes of its own."""

import json
import os
import signal
import subprocess

import pytest

from pipeline import events as e
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded
from tests.pipeline.test_remeasure import finished
from tests.workbench.commands import COMMAND, call, refusal
from workbench.feed import Feed
from workbench.settings import Settings


@pytest.fixture
def store(tmp_path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.mark.slow
def test_old_numbers_stand_beside_new_ones_and_readers_see_them(store):
    run = finished(store)
    posted = []
    feed = Feed(store, posted.append, Settings(poll_s=0.01, redraw_s=0.0))
    feed.poll()
    done = call("measure", "last", "--runtime", "onnxruntime", "--store", store.folder)
    assert "timing 1 file in onnxruntime, batch 1" in done.stderr
    new = run.state().deployed.latency["onnxruntime"].median_ms
    assert f"2.000 -> {new:.3f}" in done.stdout
    feed.poll()
    (row,) = posted[-1].rows
    assert (row.runtime, row.median_ms) == ("onnxruntime", new)
    shown = json.loads(call("show", "last", "--json", "--store", store.folder).stdout)
    assert shown["deployed"]["latency"]["onnxruntime"]["median_ms"] == new


def test_what_cannot_be_measured_is_said_and_the_rest_goes_on(store):
    bare = recorded.finished(store, "bare")
    (bare.folder / "artifacts" / "deployed" / "samples.npz").unlink()
    done = call("measure", "--all", "--json", "--store", store.folder, code=6)
    assert "not measured: the file " in done.stderr
    assert [run["id"] for run in json.loads(done.stdout)] == [bare.id]


def test_a_wrong_command_line_is_one_sentence(store):
    words = ["--store", store.folder]
    assert "name the runs to measure, or give --all" in refusal("measure", *words, code=2)
    assert "is finished yet" in refusal("measure", "--all", *words, code=3)
    run = recorded.finished(store)
    assert "not both" in refusal("measure", run.id, "--all", *words, code=2)
    assert "threads is 0; it must be" in refusal("measure", run.id, "--threads", "0", *words, code=2)
    assert "batch_sizes is [0]; it must be a list of whole numbers" in refusal(
        "measure", run.id, "--batch-size", "0", *words, code=2
    )
    assert "no runtime is called 'onnx'" in refusal("measure", run.id, "--runtime", "onnx", *words, code=2)


def test_a_run_that_still_trains_is_refused(store):
    run, lock = recorded.create(store)
    recorded.record(run, recorded.trained())
    said = refusal("measure", run.id, "--store", store.folder, code=2)
    assert said == f"the run {run.id} is running; only a finished run can be measured again."
    os.close(lock)
    ended = recorded.finished(store, last=e.RunStopped())
    assert "is stopped; only a finished run" in refusal("measure", ended.id, "--store", store.folder, code=2)


def test_ctrl_c_changes_nothing(store):
    run = finished(store)
    before = run.events_path.read_bytes()
    process = subprocess.Popen(
        [*COMMAND, "measure", "last", "--runtime", "onnxruntime", "--store", store.folder],
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert "timing" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert "interrupted: the runs are as they were." in process.communicate()[1]
    assert process.returncode == 130
    assert run.events_path.read_bytes() == before

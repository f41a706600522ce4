import fcntl
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import MeasurementError, RunStoreError
from pipeline.lock import exclusive
from pipeline.measure import latency
from tests.pipeline.runtimes import tiny_onnx

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return {
        "baseline": tiny_onnx.write(folder / "slow.onnx", width=100),
        "deployed": tiny_onnx.write(folder / "fast.onnx"),
    }


@pytest.fixture
def settings(tmp_path):
    return {
        "runtime": "onnxruntime",
        "images": IMAGES,
        "threads": 1,
        "batch_size": 1,
        "samples": 200,
        "lock_path": tmp_path / "measure.lock",
    }


def test_both_files_are_timed_and_the_faster_one_is_faster(subjects, settings):
    found = latency.measure(subjects, **settings)
    assert list(found) == ["baseline", "deployed"]
    for numbers in found.values():
        assert 0 < numbers.min_ms <= numbers.median_ms <= numbers.p90_ms <= numbers.p99_ms
        assert numbers.samples == 200
        assert (numbers.threads, numbers.batch_size, numbers.runtime) == (1, 1, "onnxruntime")
        assert set(numbers.machine.versions) == {"python", "onnxruntime", "numpy"}
        assert numbers.load is not None
    assert found["deployed"].median_ms < found["baseline"].median_ms / 3


def test_batches_larger_than_the_images_at_hand_are_filled_up(subjects, settings):
    found = latency.measure({"deployed": subjects["deployed"]}, **settings | {"batch_size": 64, "threads": 2})
    assert found["deployed"].batch_size == 64


def test_the_process_that_measures_is_free_of_torch(subjects, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES[:, None])
    request = latency.Request(
        subjects={name: str(path) for name, path in subjects.items()},
        runtime="onnxruntime",
        images="images.npy",
        threads=1,
        samples=20,
    )
    with exclusive(tmp_path / "lock") as lock:
        answer = latency._ask(request, tmp_path, lock)
    assert not answer.has_torch
    assert {name: len(times) for name, times in answer.times_ns.items()} == {"baseline": 20, "deployed": 20}


def test_blocks_alternate_and_the_order_is_swapped_each_round():
    calls = []
    predicts = {name: lambda batch, name=name: calls.append(name) for name in ("a", "b")}
    times = latency._interleaved(predicts, IMAGES[:, None], samples=40)
    assert {name: len(each) for name, each in times.items()} == {"a": 40, "b": 40}
    # Each block has one call that is not timed; the warm-up comes before all of them.
    timed = "".join(calls[-(80 + 6) :])
    assert timed == "a" * 17 + "b" * 17 + "b" * 17 + "a" * 17 + "a" * 9 + "b" * 9
    assert calls[: latency.WARMUP_CALLS] == ["a"] * latency.WARMUP_CALLS


def test_every_call_gets_another_batch_as_far_as_there_are_any():
    assert latency._batches(IMAGES, 1).shape == (16, 1, 3, 16, 16)
    assert latency._batches(IMAGES, 16).shape == (2, 16, 3, 16, 16)
    repeated = latency._batches(IMAGES, 100)
    assert repeated.shape == (1, 100, 3, 16, 16)
    np.testing.assert_array_equal(repeated[0, 40], IMAGES[0])


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_a_process_stays_on_as_many_cores_as_threads():
    before = os.sched_getaffinity(0)
    try:
        latency._pin(len(before))
        assert os.sched_getaffinity(0) == before
        latency._pin(1)
        assert len(os.sched_getaffinity(0)) == 1
        assert os.sched_getaffinity(0) <= before
    finally:
        os.sched_setaffinity(0, before)


def test_a_file_that_cannot_be_opened_is_named_in_one_sentence(subjects, settings, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nonsense")
    with pytest.raises(MeasurementError) as caught:
        latency.measure({**subjects, "deployed": broken}, **settings)
    assert str(broken) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_that_a_file_does_not_take_are_named(subjects, settings):
    with pytest.raises(MeasurementError, match=r"slow.onnx' on uint8 images of shape \(1, 2, 16, 16\)") as caught:
        latency.measure(subjects, **settings | {"images": IMAGES[:, :2]})
    assert "\n" not in str(caught.value)


def test_a_runtime_that_breaks_is_answered_with_the_last_word_of_the_process(subjects, settings, tmp_path, monkeypatch):
    code = "REQUIRES = ()\ndef load(path, *, threads):\n    raise OSError('out of luck')\nhere = __import__(__name__)\n"
    (tmp_path / "broken_runtime.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MeasurementError, match=r"^latency could not be measured: OSError: out of luck$"):
        latency.measure(subjects, **settings | {"runtime": "broken_runtime:here"})


def test_a_process_that_is_killed_is_reported(subjects, settings):
    def kill():
        (child,) = Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()
        os.kill(int(child), signal.SIGKILL)

    with pytest.raises(MeasurementError, match="killed by signal 9"):
        latency.measure(subjects, **settings | {"samples": 10**6}, interrupt=kill)


def test_an_interrupted_measurement_leaves_no_process_and_no_lock(subjects, settings):
    class Stopped(BaseException):
        pass

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        latency.measure(subjects, **settings | {"samples": 10**6}, interrupt=stop)
    assert Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split() == []
    with exclusive(settings["lock_path"], waiting=pytest.fail):
        pass


def test_a_second_measurement_waits_for_the_first_and_says_so_once(tmp_path):
    path, events, entered = tmp_path / "measure.lock", [], threading.Event()

    def second():
        with exclusive(path, waiting=lambda: (events.append("waiting"), entered.set())):
            events.append("second")

    with exclusive(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(10)
        events.append("first")
    thread.join(10)
    assert events == ["waiting", "first", "second"]


def test_waiting_can_be_interrupted(tmp_path):
    class Stopped(BaseException):
        pass

    def stop():
        raise Stopped

    with exclusive(tmp_path / "lock"), pytest.raises(Stopped), exclusive(tmp_path / "lock", interrupt=stop):
        pytest.fail("two hold the lock")


def test_the_lock_is_held_while_the_process_measures(subjects, settings):
    seen = []

    def look():
        with settings["lock_path"].open() as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                seen.append("free")
            except BlockingIOError:
                seen.append("held")

    latency.measure(subjects, **settings, interrupt=look)
    assert set(seen) == {"held"}
    look()
    assert seen[-1] == "free"


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(RunStoreError, match="cannot be opened: No such file"), exclusive(tmp_path / "a" / "lock"):
        pytest.fail("there is no such folder")

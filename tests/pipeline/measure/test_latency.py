import os
import signal
import sys
import threading
import typing
from pathlib import Path

import numpy as np
import pytest

from pipeline import lock, turns
from pipeline.errors import MeasurementError
from pipeline.measure import latency, roof
from pipeline.measure.latency import Subject
from pipeline.measure.timing import Effort
from pipeline.report import LayerWork
from pipeline.sections import Measure
from tests.pipeline.runtimes import tiny_onnx

IMAGES = np.random.default_rng(0).integers(0, 256, (40, 3, 16, 16), dtype=np.uint8)
AS_IT_IS = dict(latency.efforts)
BRIEF = Effort(seconds=0.05, calls=40, at_most_s=5, settle_s=0)
ENDLESS = Effort(seconds=1e6, calls=1, at_most_s=1e6, settle_s=0)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    folder = tmp_path_factory.mktemp("onnx")
    return {
        "baseline": Subject(
            path=tiny_onnx.write(folder / "slow.onnx", width=100), layers=(LayerWork(num_weights=2, uses=1_000_000),)
        ),
        "deployed": Subject(path=tiny_onnx.write(folder / "fast.onnx")),
    }


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setitem(latency.efforts, "quick", BRIEF)


@pytest.fixture
def endless(monkeypatch):
    monkeypatch.setitem(latency.efforts, "quick", ENDLESS)


def measure(subjects, **changes):
    return latency.measure(subjects, **{"runtime": "onnxruntime", "images": IMAGES} | changes)


def children():
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


def test_both_files_are_timed_and_the_faster_one_is_faster(subjects):
    found = measure(subjects)
    assert list(found) == ["baseline", "deployed"]
    for numbers in found.values():
        assert 0 < numbers.min_ms <= numbers.median_ms <= numbers.p90_ms <= numbers.p99_ms
        assert numbers.samples >= 40
        assert (numbers.threads, numbers.batch_size, numbers.runtime) == (1, 1, "onnxruntime")
        assert set(numbers.machine.versions) == {"python", "onnxruntime", "numpy"}
        assert numbers.precision == {"float32": 2}
        assert numbers.load is not None
        assert numbers.load_after is not None
        assert numbers.involuntary_switches >= 0
        assert (numbers.busy_elsewhere is not None) == sys.platform.startswith("linux")
    assert found["deployed"].median_ms < found["baseline"].median_ms / 3


def test_the_roof_is_the_time_of_the_multiplications_at_the_peak(subjects):
    found = measure(subjects, batch_size=8, threads=2)
    assert found["deployed"].roof_ms is None
    assert found["deployed"].roof_of == ""
    peak = roof.peak()
    if peak is None:
        pytest.skip("this machine's peak cannot be measured")
    name, roof_ms = peak.roof(subjects["baseline"].layers, {"float32": 2}, batch_size=8, threads=2)
    assert found["baseline"].roof_of == name
    assert found["baseline"].roof_ms == pytest.approx(roof_ms)


def test_batches_larger_than_the_images_at_hand_are_filled_up(subjects):
    found = measure({"deployed": subjects["deployed"]}, batch_size=64, threads=2)
    assert found["deployed"].batch_size == 64


def test_the_process_that_measures_is_free_of_torch(subjects, tmp_path):
    np.save(tmp_path / "images.npy", IMAGES[:, None])
    request = latency.Request(
        subjects={name: str(subject.path) for name, subject in subjects.items()},
        runtime="onnxruntime",
        images="images.npy",
        threads=1,
        effort=BRIEF,
    )
    with turns.measurement() as turn:
        answer = latency._ask(request, tmp_path, turn)
    assert not answer.has_torch
    assert list(answer.timings) == ["baseline", "deployed"]


def test_every_mode_asks_for_what_the_option_promises():
    (text,) = typing.get_type_hints(Measure, include_extras=True)["latency"].__metadata__
    assert text.description.startswith("quick: 1 s and 200 calls at least; report: 60 s and 1,000;")
    asked = {mode: (effort.seconds, effort.calls) for mode, effort in AS_IT_IS.items()}
    assert asked == {"quick": (1, 200), "report": (60, 1000)}


def test_every_call_gets_another_batch_as_far_as_there_are_any():
    assert latency._batches(IMAGES, 1).shape == (16, 1, 3, 16, 16)
    assert latency._batches(IMAGES, 16).shape == (2, 16, 3, 16, 16)
    repeated = latency._batches(IMAGES, 100)
    assert repeated.shape == (1, 100, 3, 16, 16)
    np.testing.assert_array_equal(repeated[0, 40], IMAGES[0])


def test_a_file_that_cannot_be_opened_is_named_in_one_sentence(subjects, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"nonsense")
    with pytest.raises(MeasurementError) as caught:
        measure({**subjects, "deployed": Subject(path=broken)})
    assert str(broken) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_images_that_a_file_does_not_take_are_named(subjects):
    with pytest.raises(MeasurementError, match=r"slow.onnx' on uint8 images of shape \(1, 2, 16, 16\)") as caught:
        measure(subjects, images=IMAGES[:, :2])
    assert "\n" not in str(caught.value)


def test_a_runtime_that_breaks_is_answered_with_the_last_word_of_the_process(subjects, tmp_path, monkeypatch):
    code = "REQUIRES = ()\ndef load(path, *, threads):\n    raise OSError('out of luck')\nhere = __import__(__name__)\n"
    (tmp_path / "broken_runtime.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(MeasurementError, match=r"^latency could not be measured: OSError: out of luck$"):
        measure(subjects, runtime="broken_runtime:here")


@pytest.mark.usefixtures("endless")
def test_a_process_that_is_killed_is_reported(subjects):
    def kill():
        (child,) = children()
        os.kill(int(child), signal.SIGKILL)

    with pytest.raises(MeasurementError, match="killed by signal 9"):
        measure(subjects, interrupt=kill)


@pytest.mark.usefixtures("endless")
def test_an_interrupted_measurement_leaves_no_process_and_no_lock(subjects):
    class Stopped(BaseException):
        pass

    def stop():
        raise Stopped

    with pytest.raises(Stopped):
        measure(subjects, interrupt=stop)
    assert children() == []
    with turns.measurement(say=pytest.fail):
        pass


def test_the_machine_is_taken_while_the_process_measures(subjects):
    seen = []

    def look():
        for name in ("wanted", "busy"):
            with lock.opened(turns.folder() / name) as descriptor:
                seen.append(lock.attempt(descriptor))

    measure(subjects, interrupt=look)
    assert not any(seen)
    look()
    assert seen[-2:] == [True, True]

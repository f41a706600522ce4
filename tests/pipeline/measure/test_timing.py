import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

from pipeline.measure import machine, timing
from pipeline.measure.timing import Clock, Effort
from pipeline.runtimes import onnxruntime
from tests.pipeline.runtimes import tiny_onnx

BATCHES = np.zeros((4, 1, 3, 8, 8), np.uint8)


def effort(**changes):
    return Effort(**{"seconds": 0.0, "calls": 3, "at_most_s": 1e9, "settle_s": 0.0} | changes)


def clock(*times_ms):
    found = Clock()
    found.times_ns.extend(round(1e6 * time) for time in times_ms)
    found.seconds = sum(times_ms) / 1e3
    return found


def test_blocks_alternate_and_the_order_is_swapped_each_round(monkeypatch):
    monkeypatch.setattr(timing, "BLOCK_S", 1e-9)
    calls = []
    predicts = {name: lambda batch, name=name: calls.append(name) for name in ("a", "b")}
    clocks = {name: Clock() for name in predicts}
    timing.interleave(clocks, predicts, BATCHES, effort())
    # One call of each block is not timed, and a block has at least one that is.
    assert "".join(calls) == "aabbbbaaaabb"
    assert {name: len(each.times_ns) for name, each in clocks.items()} == {"a": 3, "b": 3}


def test_a_quick_file_gets_more_calls_in_a_block_than_a_slow_one():
    predicts = {"slow": lambda batch: np.linalg.svd(np.ones((150, 150))), "quick": lambda batch: None}
    clocks = {name: Clock() for name in predicts}
    timing.interleave(clocks, predicts, BATCHES, effort(calls=1))
    assert len(clocks["quick"].times_ns) > 10 * len(clocks["slow"].times_ns)


@pytest.mark.parametrize(
    ("times_ms", "expected"),
    [([500] * 2, False), ([10] * 99, False), ([10] * 101, True), ([400] * 3, True), ([1] * 500, False)],
)
def test_long_enough_and_often_enough_are_both_asked(times_ms, expected):
    assert clock(*times_ms).has_had(effort(seconds=1.0, calls=3)) is expected


def test_a_slow_file_gets_fewer_calls_but_never_fewer_than_ten():
    asked = effort(seconds=1.0, calls=200, at_most_s=60.0)
    assert not clock(*[1000] * 59).has_had(asked)
    assert clock(*[1000] * 60).has_had(asked)
    assert not clock(*[20_000] * 9).has_had(asked)
    assert clock(*[20_000] * 10).has_had(asked)


def test_few_files_are_open_together_for_all_of_their_effort():
    asked = effort()
    names = [str(number) for number in range(timing.TOGETHER)]
    assert list(timing.sweeps(names, asked)) == [(names, asked)]


def test_many_files_take_turns_in_groups_there_and_back():
    asked = effort(seconds=60.0, calls=1000, at_most_s=600.0)
    names = [str(number) for number in range(2 * timing.TOGETHER + 3)]
    found = list(timing.sweeps(names, asked))
    groups = [group for group, _ in found]
    assert max(map(len, groups)) == timing.TOGETHER
    assert groups[:3] == groups[:2:-1]
    assert [name for group in groups[:3] for name in group] == names
    half = effort(seconds=30.0, calls=500, at_most_s=300.0)
    assert [each for _, each in found] == [half] * 3 + [asked] * 3


def test_every_one_of_many_files_is_timed_and_few_are_open_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(timing, "TOGETHER", 2)
    monkeypatch.setattr(timing, "WARMUP_S", 0.0)
    monkeypatch.setattr(timing, "BLOCK_S", 1e-9)
    opened = []

    class Runtime:
        @staticmethod
        def load(path, *, threads):
            opened.append(weakref.ref(loaded := onnxruntime.load(path, threads=threads)))
            assert sum(each() is not None for each in opened) <= 2
            return loaded

    path = tiny_onnx.write(tmp_path / "tiny.onnx")
    request = timing.Request(
        subjects={name: str(path) for name in "abcde"}, runtime="", images="", threads=1, effort=effort(calls=4)
    )
    found = timing.measure(request, Runtime, BATCHES)
    assert len(opened) == 10
    assert {name: (each.samples, each.precision) for name, each in found.items()} == {
        name: (4, {"float32": 2}) for name in "abcde"
    }


def test_the_record_is_of_the_timed_calls():
    found = clock(*range(101))
    found.loads, found.elsewhere, found.switches = [0.5, 0.7, 0.6, 0.9], [None, 0.2, 0.1], 7
    found.precision = {"int8": 3}
    summed_up = found.timing()
    assert (summed_up.min_ms, summed_up.median_ms, summed_up.p90_ms, summed_up.p99_ms) == (0, 50, 90, 99)
    assert (summed_up.samples, summed_up.load, summed_up.load_after) == (101, 0.5, 0.9)
    assert (summed_up.busy_elsewhere, summed_up.involuntary_switches) == (0.2, 7)
    assert summed_up.precision == {"int8": 3}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_a_core_that_is_taken_away_is_counted():
    before = os.sched_getaffinity(0)
    company = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        machine.pin(1)
        os.sched_setaffinity(company.pid, os.sched_getaffinity(0))
        found, blocks = Clock(), 0
        while not found.switches and blocks < 200:
            found.block(lambda batch: None, BATCHES)
            blocks += 1
    finally:
        company.kill()
        company.wait()
        os.sched_setaffinity(0, before)
    assert found.switches > 0

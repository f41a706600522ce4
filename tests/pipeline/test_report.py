import math

import pytest

from pipeline.report import Accuracy, CheckpointSize, Latency, Machine, Report, pareto_front

machine = Machine(cpu="c", instruction_set="avx512_vnni", cores=2, host="h", system="s", versions={})


def latency(median_ms: float) -> Latency:
    return Latency(
        runtime="onnxruntime", median_ms=median_ms, p90_ms=median_ms, p99_ms=median_ms, min_ms=1.0, samples=200,
        threads=1, batch_size=1, machine=machine,
    )  # fmt: skip


def report(correct: int, size_bytes: int, median_ms: float) -> Report:
    return Report(
        accuracy=Accuracy(correct=correct, total=100, runtime="onnxruntime"),
        size=CheckpointSize(size_bytes=size_bytes, num_parameters=10, num_nonzero=5),
        latency={"onnxruntime": latency(median_ms)},
    )


def test_the_interval_is_wilsons():
    # Newcombe 1998, table I: 81 of 263 gives 0.2553 to 0.3662.
    low, high = Accuracy(correct=81, total=263, runtime="x").interval
    assert (round(low, 2), round(high, 2)) == (25.53, 36.62)


def test_a_perfect_score_still_has_an_interval():
    low, high = Accuracy(correct=100, total=100, runtime="x").interval
    assert 95 < low < 97
    assert high == pytest.approx(100)


def test_a_network_is_compared_with_its_baseline():
    comparison = report(95, 100, 0.5).versus(report(96, 400, 2.0))
    assert comparison.top1_points == pytest.approx(-1)
    assert comparison.size_ratio == 4
    assert comparison.speedup == {"onnxruntime": 4}


def test_what_is_not_measured_is_not_compared():
    comparison = Report().versus(report(96, 400, 2.0))
    assert (comparison.top1_points, comparison.size_ratio, comparison.speedup) == (None, None, {})


def test_a_latency_far_above_its_minimum_is_noisy():
    assert latency(1.3).is_noisy
    assert not latency(1.2).is_noisy


def test_the_front_holds_what_nothing_beats():
    points = [("a", (1.0, 3.0)), ("b", (2.0, 2.0)), ("c", (2.0, 3.0)), ("d", (3.0, 1.0)), ("nan", (math.nan, 0.0))]
    assert pareto_front(points) == ["a", "b", "d"]


def test_equal_points_stand_on_the_front_together():
    assert pareto_front([("a", (1.0,)), ("b", (1.0,))]) == ["a", "b"]

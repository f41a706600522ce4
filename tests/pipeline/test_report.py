import math
import random

import msgspec
import pytest

from pipeline.report import Accuracy, CheckpointSize, Latency, Machine, Paired, Report, pareto_front

machine = Machine(cpu="c", instruction_set="avx512_vnni", cores=2, host="h", system="s", versions={})


def latency(median_ms: float) -> Latency:
    return Latency(
        runtime="onnxruntime", median_ms=median_ms, p90_ms=median_ms, p99_ms=median_ms, min_ms=1.0, samples=200,
        threads=1, batch_size=1, machine=machine,
    )  # fmt: skip


def report(correct: int, size_bytes: int, median_ms: float) -> Report:
    return Report(
        accuracies={"onnxruntime": Accuracy(correct=correct, total=100, runtime="onnxruntime")},
        size=CheckpointSize(
            size_bytes=size_bytes, num_parameters=10, num_nonzero=5, dense_bytes=10, float_bytes=40, bound_bytes=9.0
        ),
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


def test_more_right_answers_than_samples_are_refused():
    with pytest.raises(msgspec.ValidationError, match="11 right answers are more than all 10 samples"):
        msgspec.json.decode(b'{"correct": 11, "total": 10, "runtime": "x"}', type=Accuracy)


def test_a_network_is_compared_with_its_baseline():
    comparison = report(95, 100, 0.5).versus(report(96, 400, 2.0))
    assert comparison.top1_points == pytest.approx(-1)
    assert comparison.size_ratio == 4
    assert comparison.speedup == {"onnxruntime": 4}


def test_what_is_not_measured_is_not_compared():
    comparison = Report().versus(report(96, 400, 2.0))
    assert (comparison.top1_points, comparison.size_ratio, comparison.speedup) == (None, None, {})


def test_a_median_far_above_the_minimum_was_contended():
    assert latency(1.3).contended
    assert not latency(1.2).contended


def test_a_processor_that_others_used_was_contended():
    assert msgspec.structs.replace(latency(1.0), busy_elsewhere=0.5).contended
    assert not msgspec.structs.replace(latency(1.0), busy_elsewhere=0.1).contended


def test_batches_of_other_sizes_are_filed_apart():
    assert latency(1.0).condition == "onnxruntime"
    assert msgspec.structs.replace(latency(1.0), batch_size=8).condition == "onnxruntime, batch 8"
    assert msgspec.structs.replace(latency(1.0), batch_size=8, threads=2).condition == "onnxruntime, batch 8, 2 threads"


def test_the_fastest_is_looked_for_among_the_smallest_batches():
    found = [latency(3.0), msgspec.structs.replace(latency(2.0), runtime="openvino")]
    found.append(msgspec.structs.replace(latency(1.0), batch_size=8))
    assert Report(latency={one.condition: one for one in found}).fastest.runtime == "openvino"


class TestPaired:
    def test_the_p_value_is_the_exact_binomial(self):
        # 2 * (1 + 10 + 45) / 2**10: at most two of ten heads.
        assert Paired(total=100, gained=2, lost=8).p_value == pytest.approx(2 * 56 / 1024)
        assert Paired(total=100, gained=5, lost=5).p_value == 1.0
        assert Paired(total=100, gained=0, lost=0).p_value == 1.0
        assert Paired(total=10_000, gained=0, lost=1_500).p_value < 1e-300

    def test_above_the_exact_test_stands_the_normal_distribution_with_edwards_correction(self):
        # The exact test of 10,000 throws and the approximation of 10,001 hardly differ.
        exact = Paired(total=20_000, gained=4900, lost=5100).p_value
        near = Paired(total=20_000, gained=4900, lost=5101)
        assert near.p_value == pytest.approx(math.erfc(200 / math.sqrt(2 * 10_001)))
        assert near.p_value == pytest.approx(exact, rel=0.03)

    def test_more_changed_answers_than_samples_are_refused(self):
        assert Paired(total=10, gained=4, lost=6).margin > 0
        with pytest.raises(msgspec.ValidationError, match="5 gained and 6 lost are more than all 10 samples"):
            msgspec.json.decode(b'{"total": 10, "gained": 5, "lost": 6}', type=Paired)

    def test_the_interval_is_agresti_and_mins(self):
        # Written out for 3 gained and 9 lost of 200: cells 3.5 and 9.5 of 202.
        paired = Paired(total=200, gained=3, lost=9)
        deviation = math.sqrt((3.5 + 9.5) - (3.5 - 9.5) ** 2 / 202) / 202
        assert paired.points == pytest.approx(-3.0)
        assert paired.margin == pytest.approx(100 * 1.959964 * deviation)

    def test_equal_answers_still_have_a_margin(self):
        assert Paired(total=3000, gained=0, lost=0).margin == pytest.approx(100 * 1.959964 / 3002)


def test_the_front_holds_what_nothing_beats():
    points = [("a", (1.0, 3.0)), ("b", (2.0, 2.0)), ("c", (2.0, 3.0)), ("d", (3.0, 1.0)), ("nan", (math.nan, 0.0))]
    assert pareto_front(points) == ["a", "b", "d"]


def test_equal_points_stand_on_the_front_together():
    assert pareto_front([("a", (1.0,)), ("b", (1.0,))]) == ["a", "b"]


def plain_front(points):
    """The definition, written out."""
    valid = [(item, costs) for item, costs in points if not any(math.isnan(cost) for cost in costs)]

    def beats(a, b):
        return a != b and all(x <= y for x, y in zip(a, b, strict=True))

    return [item for item, costs in valid if not any(beats(other, costs) for _, other in valid)]


@pytest.mark.parametrize("costs", [1, 2, 3, 4])
def test_the_front_is_that_of_the_definition_whatever_the_points(costs):
    chance = random.Random(costs)
    for _ in range(300):
        values = [*range(chance.choice((2, 5, 100))), math.inf, -math.inf, math.nan, -0.0]
        points = [(n, tuple(chance.choice(values) for _ in range(costs))) for n in range(chance.randrange(30))]
        assert pareto_front(points) == plain_front(points)


def test_the_front_of_five_thousand_runs_takes_few_comparisons():
    class Counted(float):
        compared = 0

        def __lt__(self, other):
            Counted.compared += 1
            return float.__lt__(self, other)

        def __le__(self, other):
            Counted.compared += 1
            return float.__le__(self, other)

    chance = random.Random(0)
    points = [(n, tuple(Counted(chance.random()) for _ in range(3))) for n in range(5000)]
    assert len(pareto_front(points)) < 500
    assert Counted.compared < 40 * 5000

import numpy as np
import pytest

from pipeline.errors import MeasurementError
from pipeline.measure.accuracy import accuracy, classify
from pipeline.report import Machine, Paired

WHERE = Machine(
    cpu="", instruction_set="avx2", cores=1, host="", system="", versions={"python": "3.11", "somewhere": "1.2"}
)

rng = np.random.default_rng(0)
images = rng.integers(0, 256, (25, 3, 4, 4), dtype=np.uint8)
truth = images.mean((2, 3)).argmax(1)


def means(batch):
    return batch.mean((2, 3), dtype=np.float32)


@pytest.mark.parametrize("batch_size", [1, 7, 25, 256])
def test_the_largest_logit_is_the_answer_whatever_the_batches(batch_size):
    answers = classify(means, images, batch_size)
    assert answers.dtype == np.int64
    np.testing.assert_array_equal(answers, truth)


def shifted(classes, first, last):
    """Change the classes of some samples."""
    found = classes.copy()
    found[first:last] = (found[first:last] + 1) % 3
    return found


def test_right_answers_and_agreement_are_counted():
    labels, trained = shifted(truth, 0, 5), shifted(truth, 0, 10)
    found = accuracy(truth, labels, runtime="somewhere", machine=WHERE, trained=trained)
    assert (found.correct, found.total, found.runtime) == (20, 25, "somewhere")
    assert (found.version, found.instruction_set) == ("1.2", "avx2")
    assert found.top1 == 80
    assert found.agreement == 0.6
    assert found.versus_baseline is None
    assert accuracy(truth, labels, runtime="somewhere", machine=WHERE).agreement is None


def test_answers_are_compared_with_the_baseline_s_sample_by_sample():
    # Of 25 samples, the first 4 are answered wrongly by this network alone, the next 2 by both, the next 7 by the
    # baseline alone.
    found = accuracy(shifted(truth, 0, 6), truth, runtime="somewhere", machine=WHERE, baseline=shifted(truth, 4, 13))
    assert found.versus_baseline == Paired(total=25, gained=7, lost=4)


def test_logits_that_are_not_finite_are_not_counted_as_answers():
    with pytest.raises(MeasurementError, match="infinite or NaN"):
        classify(lambda batch: np.full((len(batch), 3), np.nan, np.float32), images)


def test_an_output_of_another_shape_is_refused():
    with pytest.raises(MeasurementError, match=r"output of shape \(3,\) for 25 images"):
        classify(lambda batch: np.zeros(3, np.float32), images)

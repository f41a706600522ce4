import numpy as np
import pytest

from pipeline.errors import MeasurementError
from pipeline.measure.accuracy import accuracy, classify

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


def test_right_answers_and_agreement_are_counted():
    labels, trained = truth.copy(), truth.copy()
    labels[:5] = (labels[:5] + 1) % 3
    trained[:10] = (trained[:10] + 1) % 3
    found = accuracy(means, images, labels, runtime="somewhere", trained=trained)
    assert (found.correct, found.total, found.runtime) == (20, 25, "somewhere")
    assert found.top1 == 80
    assert found.agreement == 0.6
    assert accuracy(means, images, labels, runtime="somewhere").agreement is None


def test_logits_that_are_not_finite_are_not_counted_as_answers():
    with pytest.raises(MeasurementError, match="infinite or NaN"):
        classify(lambda batch: np.full((len(batch), 3), np.nan, np.float32), images)


def test_an_output_of_another_shape_is_refused():
    with pytest.raises(MeasurementError, match=r"output of shape \(3,\) for 25 images"):
        classify(lambda batch: np.zeros(3, np.float32), images)

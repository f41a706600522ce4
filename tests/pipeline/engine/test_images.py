import numpy as np
import pytest
import torch

from pipeline.engine.images import ImageClassification
from pipeline.errors import DatasetError
from pipeline.protocols import Splits


def make_splits(count=40, side=8, augmentation="shift-flip") -> Splits:
    rng = np.random.default_rng(0)
    return Splits(
        x_train=rng.integers(0, 256, (count, 3, side, side), dtype=np.uint8),
        y_train=np.arange(count) % 4,
        x_test=rng.integers(0, 256, (10, 3, side, side), dtype=np.uint8),
        y_test=np.arange(10) % 4,
        classes=("a", "b", "c", "d"),
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.25, 0.3),
        augmentation=augmentation,
    )


def make_task(splits=None, **changes) -> ImageClassification:
    settings = {"device": torch.device("cpu"), "seed": 0, "batch_size": 8, "validation": 0.25} | changes
    return ImageClassification(splits or make_splits(), **settings)


def test_held_out_images_are_never_trained_on():
    splits = make_splits()
    task = make_task(splits)
    trained = {image.numpy().tobytes() for image in task.x_train}
    held_out = {image.numpy().tobytes() for image in task.x_validation}
    assert (len(trained), len(held_out)) == (30, 10)
    assert not trained & held_out
    assert trained | held_out == {image.tobytes() for image in splits.x_train}


def test_images_are_normalised_as_the_dataset_says():
    splits = make_splits()
    task = make_task(splits)
    expected = (splits.x_test / 255 - np.reshape(splits.mean, (1, 3, 1, 1))) / np.reshape(splits.std, (1, 3, 1, 1))
    np.testing.assert_allclose(task.normalise(torch.from_numpy(splits.x_test)), expected, atol=1e-5)


def test_an_epoch_shows_each_image_at_most_once_in_whole_batches():
    task = make_task(augmentation="none")
    seen = [image.numpy().tobytes() for batch in task.epoch(0) for image in batch.inputs]
    assert len(seen) == len(set(seen)) == 24 == task.steps_per_epoch * 8


def test_a_view_depends_on_seed_epoch_and_image_alone():
    def views(task, epoch):
        return torch.cat([batch.inputs for batch in task.epoch(epoch)])

    task = make_task()
    first = views(task, 3)
    views(task, 4)
    torch.rand(100)
    assert torch.equal(first, views(task, 3))
    assert torch.equal(first, views(make_task(), 3))
    assert not torch.equal(first, views(task, 4))
    assert not torch.equal(first, views(make_task(seed=1), 3))


def test_a_view_is_the_image_shifted_and_mirrored_with_black_around_it():
    task = make_task()
    image = task.x_train[:1]
    reach = 1
    padded = np.pad(image[0].numpy(), ((0, 0), (1, 1), (1, 1)))
    for dy in range(3):
        for dx in range(3):
            for mirror in (False, True):
                # The reference: cut the window out of the padded image, then mirror it.
                window = padded[:, dy : dy + 8, dx : dx + 8]
                expected = window[:, :, ::-1] if mirror else window
                view = task._views(image, torch.tensor([[dy, dx]]), torch.tensor([mirror]), reach)
                wanted = task.normalise(torch.from_numpy(expected[None].copy()))
                assert torch.equal(view, wanted), (dy, dx, mirror)


def test_images_that_must_not_be_mirrored_are_not():
    task = make_task(make_splits(augmentation="shift"))
    image = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(30, 3, 8, 8).contiguous()
    task.x_train = image
    for inputs in (batch.inputs for batch in task.epoch(0)):
        pixels = inputs[:, 0, 2:6, 2:6]
        assert (pixels.diff(dim=2) > 0).all()


def test_evaluation_measures_the_held_out_images():
    task = make_task()

    class Right(torch.nn.Module):
        def forward(self, inputs):
            return torch.nn.functional.one_hot(task.y_validation, 4).float() * 100

    assert task.evaluate(Right()) == {"top1": 100.0, "validation_loss": 0.0}


def test_too_few_images_are_refused():
    with pytest.raises(DatasetError, match="2 training images are too few to hold out"):
        make_task(make_splits(count=2))

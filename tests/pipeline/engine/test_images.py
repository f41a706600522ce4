import numpy as np
import pytest
import torch

from pipeline.engine.images import ImageClassification
from pipeline.engine.task import Batch
from pipeline.errors import DatasetError
from pipeline.protocols import Splits
from pipeline.sections import Training


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


def make_task(splits=None, *, seed=0, **changes) -> ImageClassification:
    settings = Training(**({"batch_size": 8, "validation": 0.25} | changes))
    return ImageClassification(splits or make_splits(), device=torch.device("cpu"), seed=seed, settings=settings)


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
    task = make_task(augment="none")
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


def test_cut_and_blended_views_are_pure_as_well():
    def batches(task, epoch):
        return [(batch.inputs, batch.targets, batch.index) for batch in task.epoch(epoch)]

    def equal(some, others):
        return all(map(torch.equal, *(sum(each, ()) for each in (some, others))))

    task = make_task(cutout=0.5, mixup=0.4)
    first = batches(task, 3)
    batches(task, 4)
    torch.rand(100)
    assert equal(first, batches(task, 3))
    assert equal(first, batches(make_task(cutout=0.5, mixup=0.4), 3))
    assert not equal(first, batches(task, 4))
    assert not equal(first, batches(make_task(cutout=0.5, mixup=0.4, seed=1), 3))


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


@pytest.mark.parametrize("centre", [(0, 0), (3, 4), (7, 2)])
def test_cutout_blanks_a_square_around_a_centre_that_may_reach_over_the_edge(centre):
    task = make_task(cutout=0.5)
    image = torch.rand(1, 3, 8, 8) + 1
    expected = image.clone()
    row, column = centre
    # The reference: a side of 4, two pixels before the centre and two from it on.
    expected[:, :, max(0, row - 2) : row + 2, max(0, column - 2) : column + 2] = 0
    assert torch.equal(task._cut_out(image, (torch.tensor([centre]) + 0.5) / 8), expected)


def test_every_view_has_the_memory_layout_that_convolutions_want():
    for changes in ({}, {"cutout": 0.5}, {"mixup": 0.4}, {"augment": "none", "mixup": 0.4, "cutout": 0.5}):
        inputs = next(make_task(**changes).epoch(0)).inputs
        assert inputs.is_contiguous(memory_format=torch.channels_last), changes


def test_mixup_blends_each_image_and_its_class_with_its_neighbour():
    plain, mixed = (next(make_task(mixup=alpha).epoch(2)) for alpha in (0, 0.4))
    share, labels = make_task(mixup=0.4)._mixup_shares(2)[0], plain.targets
    inputs, targets = torch.empty(8, 3, 8, 8), torch.zeros(8, 4)
    for i in range(8):
        inputs[i] = share * plain.inputs[i] + (1 - share) * plain.inputs[i - 1]
        targets[i, labels[i]] += share
        targets[i, labels[i - 1]] += 1 - share
    torch.testing.assert_close(mixed.inputs, inputs)
    torch.testing.assert_close(mixed.targets, targets)
    assert torch.equal(plain.index, mixed.index)


def test_the_shares_of_mixup_are_drawn_from_a_beta_distribution():
    task = make_task(make_splits(count=4000), batch_size=2, mixup=0.4)
    shares = np.array(task._mixup_shares(0))
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    # Of Beta(a, a): 1 / (4 (2 a + 1)).
    assert shares.var() == pytest.approx(1 / (4 * 1.8), abs=0.02)
    assert task.with_settings(Training(batch_size=2))._mixup_shares(0) == [1.0] * 1500


def test_the_loss_takes_smoothed_and_shared_labels():
    torch.manual_seed(0)
    logits, labels, shares = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2]), torch.rand(5, 4).softmax(1)

    def reference(targets):
        smoothed = 0.9 * targets + 0.1 / 4
        return -(smoothed * logits.log_softmax(1)).sum(1).mean().item()

    task = make_task(label_smoothing=0.1)
    for targets, expected in ((labels, torch.eye(4)[labels]), (shares, shares)):
        batch = Batch(inputs=None, targets=targets, index=torch.arange(5), epoch=0)
        assert task.loss(batch, logits).item() == pytest.approx(reference(expected), rel=1e-5)


def test_a_task_with_other_settings_shares_the_images():
    task = make_task()
    other = task.with_settings(Training(batch_size=4, augment="none", validation=0.5))
    assert other.x_train is task.x_train
    assert other.x_validation is task.x_validation
    assert (other.batch_size, other.augmentation) == (4, "none")
    assert (task.batch_size, task.augmentation) == (8, "shift-flip")
    assert other.views_key != task.views_key

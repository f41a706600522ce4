"""A teacher answers once: where its answers are known they are read, and the student cannot tell."""

import pytest
import torch

from pipeline.backbones import resnet18, resnet20, tiny, wrn_28_10
from pipeline.engine import distillation, placement, training
from pipeline.engine.task import Batch
from pipeline.errors import RunStopped
from pipeline.sections import Training
from tests.pipeline.engine.test_images import make_task
from tests.pipeline.engine.test_training import Recorder

settings = Training(batch_size=8)
SHOWN = 24
"""Images that an epoch of the task shows: three batches of eight."""


class Memory(dict):
    """Tables that are kept in a dictionary."""

    read = dict.get

    def write(self, epoch, table) -> None:
        self[epoch] = table


def network(build, seed):
    torch.manual_seed(seed)
    return build(num_classes=4, in_channels=3)


def teacher(tables, task):
    return distillation.Teacher(network(resnet20.build, 1).eval, task, settings, tables)


def taught(tables, *, epochs=2, quantised=False, stop_after=None):
    """Train a student; gives its tensors and the teacher."""
    task, student = make_task(), network(tiny.build, 0)
    if quantised:
        student = placement.prepare(student)
        training.calibrate(student, task)
    answers = teacher(tables, task)
    loss = distillation.soft_target_loss(answers, task.loss, temperature=4.0, alpha=0.9)
    watcher = Recorder(stop_after)
    training.fit(student, task, epochs=epochs, learning_rate=0.05, settings=settings, watcher=watcher, loss=loss)
    return student.state_dict(), answers


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("quantised", [False, True], ids=["float", "fake-quantised"])
def test_a_student_is_the_same_with_its_teachers_answers_unkept_new_and_known(quantised):
    tables = Memory()
    off, _ = taught(None, quantised=quantised)
    cold, asked = taught(tables, quantised=quantised)
    warm, spared = taught(tables, quantised=quantised)
    assert (asked.computed, asked.remembered) == (2 * SHOWN, 0)
    assert (spared.computed, spared.remembered) == (0, 2 * SHOWN)
    assert_equal(off, cold)
    assert_equal(off, warm)


@pytest.mark.parametrize(("epochs", "computed", "remembered"), [(1, 0, 1), (3, 1, 2)])
def test_a_shorter_or_longer_student_reads_what_another_one_asked(epochs, computed, remembered):
    tables = Memory()
    taught(tables, epochs=2, quantised=True)
    student, answers = taught(tables, epochs=epochs)
    assert (answers.computed, answers.remembered) == (computed * SHOWN, remembered * SHOWN)
    assert_equal(student, taught(None, epochs=epochs)[0])


def test_a_teacher_whose_answers_are_all_known_is_never_loaded():
    tables, task = Memory(), make_task()
    first = teacher(tables, task)
    expected = [first(batch) for batch in task.epoch(0)]

    def refuse():
        raise AssertionError("it was loaded")

    again = distillation.Teacher(refuse, task, settings, tables)
    assert all(torch.equal(again(batch), one) for batch, one in zip(task.epoch(0), expected, strict=True))
    assert all(torch.equal(first(batch), one) for batch, one in zip(task.epoch(0), expected, strict=True))


def test_an_epoch_that_was_stopped_leaves_no_table():
    tables = Memory()
    with pytest.raises(RunStopped):
        taught(tables, epochs=2, stop_after=5)
    assert list(tables) == [0]
    assert tables[0].shape == (30, 4)
    # Three whole batches of eight leave six of the thirty images out of an epoch.
    assert int(torch.from_numpy(tables[0]).isnan().all(1).sum()) == 30 - SHOWN


def test_alpha_one_leaves_the_labels_out_whatever_they_are():
    torch.manual_seed(0)
    student, answers = torch.randn(6, 4), torch.randn(6, 4)
    batch = Batch(inputs=torch.zeros(6, 1), targets=torch.arange(6) % 4, index=torch.arange(6), epoch=0)

    def plain(batch, outputs):
        raise AssertionError("the labels were looked at")

    loss = distillation.soft_target_loss(lambda batch: answers, plain, temperature=2.0, alpha=1.0)
    assert loss(batch, student) == distillation.soft_targets(student, answers, 2.0)


def test_what_is_shown_has_another_key_when_anything_changes_it():
    ways = [{"seed": 1}, {"batch_size": 4}, {"validation": 0.5}, {"augment": "none"}, {"cutout": 0.5}, {"mixup": 0.2}]
    keys = {make_task(**way).views_key for way in ways}
    assert len({make_task().views_key, *keys}) == 1 + len(ways)
    assert make_task(momentum=0.1, label_smoothing=0.1, weight_decay=0.0).views_key == make_task().views_key


def test_a_wide_resnet_teaches_a_resnet18():
    torch.manual_seed(0)
    wide = wrn_28_10.build(num_classes=10, in_channels=3).eval()
    student = resnet18.build(num_classes=10, in_channels=3)
    inputs = torch.randn(2, 3, 8, 8)
    batch = Batch(inputs=inputs, targets=torch.tensor([1, 2]), index=torch.arange(2), epoch=0)
    answers = distillation.Teacher(lambda: wide, make_task(), settings)
    outputs = student(inputs)
    loss = distillation.soft_target_loss(answers, make_task().loss, temperature=4.0, alpha=0.9)(batch, outputs)
    loss.backward()
    assert answers(batch).shape == outputs.shape == (2, 10)
    assert all(parameter.grad.isfinite().all() for parameter in student.parameters())
    assert not any(parameter.grad is not None for parameter in wide.parameters())

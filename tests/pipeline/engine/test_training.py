import math

import pytest
import torch
from torch.nn import functional

from pipeline.backbones import tiny
from pipeline.engine import distillation, placement, sparsity, training
from pipeline.engine.images import ImageClassification
from pipeline.engine.task import Batch
from pipeline.errors import RunStopped, TrainingDiverged
from pipeline.sections import Training
from tests.pipeline.engine.test_images import make_task


class Recorder:
    """A watcher that keeps what it is told, and stops the training when asked to."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.epochs = []
        self.notes = []
        self.steps = 0
        self.stop_after = stop_after

    def checkpoint_stop(self) -> None:
        if self.steps == self.stop_after:
            raise RunStopped
        self.steps += 1

    def progressed(self, step, metrics) -> None:
        pass

    def began(self, epoch, step) -> None:
        pass

    def epoch_finished(self, epoch, step, metrics, make) -> None:
        self.epochs.append((epoch, step, metrics))

    def noted(self, text) -> None:
        self.notes.append(text)


def build():
    torch.manual_seed(0)
    return tiny.build(num_classes=4, in_channels=3)


def fit(model, recorder=None, **changes):
    settings = {"epochs": 2, "learning_rate": 0.05, "settings": Training(batch_size=8)} | changes
    training.fit(model, make_task(), watcher=recorder or Recorder(), **settings)


def test_training_lowers_the_loss_and_reports_every_epoch():
    recorder = Recorder()
    fit(build(), recorder, epochs=6)
    losses = [metrics["loss"] for _, _, metrics in recorder.epochs]
    assert losses[-1] < losses[0]
    assert [(epoch, step) for epoch, step, _ in recorder.epochs] == [(n, 3 * n) for n in range(1, 7)]
    expected = {"loss", "validation_loss", "top1", "learning_rate", "images_per_s", "sparsity"}
    assert set(recorder.epochs[0][2]) == expected


def test_no_epochs_change_nothing():
    model = build()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    fit(model, epochs=0)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_wish_to_stop_is_heard_between_two_steps():
    recorder = Recorder(stop_after=4)
    with pytest.raises(RunStopped):
        fit(build(), recorder)
    assert recorder.steps == 4


def spoiled(*steps):
    """Make a loss that is NaN on some steps, counted from 1."""
    count = 0
    task = make_task()

    def loss(batch, outputs):
        nonlocal count
        count += 1
        return task.loss(batch, outputs) * (math.nan if count in steps else 1.0)

    return loss


def state_of(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(some, others):
    return all(torch.equal(tensor, others[name]) for name, tensor in some.items())


def test_a_step_size_that_is_much_too_large_ends_the_stage_with_what_to_do():
    with pytest.raises(TrainingDiverged, match=r"not finite .*: lower learning_rate of this stage or set clip_norm"):
        fit(build(), learning_rate=1e12, epochs=5)


def test_a_step_whose_loss_is_not_finite_moves_nothing_and_is_counted():
    recorder, model = Recorder(), build()
    weights = []

    def remember(progress):
        weights.append(next(model.parameters()).detach().clone())

    fit(model, recorder, loss=spoiled(2), before_step=remember)
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[2], weights[3])
    assert recorder.notes == ["the loss of step 2 is nan: such steps are left out."]
    assert [metrics["bad_steps"] for _, _, metrics in recorder.epochs] == [1, 1]
    assert all(math.isfinite(metrics["loss"]) for _, _, metrics in recorder.epochs)


def test_infinite_activations_do_not_spoil_the_statistics_of_batch_normalisation():
    model, task = build(), make_task()

    class Spoiled:
        def __getattr__(self, name):
            return getattr(task, name)

        def epoch(self, epoch):
            for number, batch in enumerate(task.epoch(epoch)):
                inputs = batch.inputs * (math.inf if number == 1 else 1.0)
                yield Batch(inputs=inputs, targets=batch.targets, index=batch.index, epoch=epoch)

    settings = Training(batch_size=8)
    recorder = Recorder()
    training.fit(model, Spoiled(), epochs=2, learning_rate=0.05, settings=settings, watcher=recorder)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    assert recorder.epochs[-1][2]["bad_steps"] == 2


def test_too_many_bad_steps_in_a_row_end_the_stage_with_the_last_good_network():
    model, at_ends = build(), []

    class Remembering(Recorder):
        def epoch_finished(self, epoch, step, metrics, make):
            at_ends.append(state_of(model))

    settings = Training(batch_size=8, max_bad_steps=2)
    message = "2 steps in a row up to step 9 of 12: lower .* the last good network is the one after epoch 2"
    with pytest.raises(TrainingDiverged, match=message):
        fit(model, Remembering(), epochs=4, settings=settings, loss=spoiled(5, 8, 9))
    assert not model.training
    assert same(at_ends[1], state_of(model))


def test_a_stage_that_fails_in_its_first_epoch_gives_the_network_back_as_it_was():
    model = build()
    before = state_of(model)
    with pytest.raises(TrainingDiverged, match="before the first epoch"):
        fit(model, settings=Training(batch_size=8, max_bad_steps=1), loss=spoiled(3))
    assert same(before, state_of(model))


def test_the_best_epoch_is_kept_if_the_recipe_says_so():
    scores = iter([40.0, 90.0, 70.0, 60.0, 70.0])
    states = []

    class Scored:
        def __getattr__(self, name):
            return getattr(task, name)

        def evaluate(self, model):
            states.append(state_of(model))
            return {"top1": next(scores), "validation_loss": 1.0}

    task, model = make_task(), build()
    settings = Training(batch_size=8, keep="best")
    outcome = training.fit(
        model, Scored(), epochs=5, learning_rate=0.05, settings=settings, watcher=Recorder(), settled_after=0.5
    )
    # The second epoch is the best, but the network was not yet what the stage wants.
    assert outcome == {"last_top1": 70.0, "best_top1": 70.0, "best_epoch": 3.0}
    assert same(states[2], state_of(model))


def test_a_moving_average_is_what_is_evaluated_and_kept():
    model = sparsity.attach_masks(build())
    sparsity.raise_sparsity(model, 0.5)
    seen = []
    layer = next(iter(sparsity.prunable(model).values()))

    def remember(progress):
        seen.append(layer.weight.detach().clone())

    recorder = Recorder()
    fit(model, recorder, settings=Training(batch_size=8, ema=0.3), epochs=2, before_step=remember)
    plain = sparsity.attach_masks(build())
    sparsity.raise_sparsity(plain, 0.5)
    fit(plain, epochs=2)
    last = next(iter(sparsity.prunable(plain).values())).weight.detach()
    average = seen[0]
    for step, weight in enumerate([*seen[1:], last], start=1):
        decay = min(0.3, step / (step + 9))
        average = decay * average + (1 - decay) * weight
    torch.testing.assert_close(layer.weight, average)
    assert not layer.weight[~layer.weight_mask].any()
    assert make_task().evaluate(model)["top1"] == recorder.epochs[-1][2]["top1"]


def test_the_moving_average_of_a_prepared_network_has_its_ranges():
    average, plain = (placement.prepare(build()) for _ in range(2))
    for model, ema in ((average, 0.9), (plain, 0.0)):
        training.calibrate(model, make_task())
        fit(model, settings=Training(batch_size=8, ema=ema), epochs=2)
    buffers = dict(plain.named_buffers())
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in average.named_buffers())
    assert any(not torch.equal(*pair) for pair in zip(average.parameters(), plain.parameters(), strict=True))


def test_the_norm_of_all_gradients_together_is_clipped():
    def first_step(clip_norm):
        model = build()
        before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        moved = []

        def remember(progress):
            moved.append(torch.nn.utils.parameters_to_vector(model.parameters()).detach() - before)

        settings = Training(
            batch_size=8, momentum=0.0, weight_decay=0.0, warmup=0.0, schedule="constant", clip_norm=clip_norm
        )
        fit(model, settings=settings, epochs=1, learning_rate=0.5, before_step=remember)
        return moved[1]

    free, clipped = first_step(0.0), first_step(0.01)
    assert free.norm() > 0.5 * 0.01
    torch.testing.assert_close(clipped, free * (0.5 * 0.01 / free.norm()), rtol=1e-3, atol=1e-7)


everything = {
    "optimizer": "adamw", "schedule": "one-cycle", "label_smoothing": 0.1, "mixup": 0.4, "cutout": 0.4,
    "clip_norm": 1.0, "ema": 0.9, "keep": "best",
}  # fmt: skip


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("prepared", [False, True])
def test_the_same_seed_gives_the_same_weights_bit_for_bit_with_everything_on(precision, prepared):
    states = []
    for _ in range(2):
        settings = Training(batch_size=8, precision=precision, **everything)
        model = placement.prepare(build()) if prepared else build()
        task = make_task().with_settings(settings)
        training.fit(model, task, epochs=2, learning_rate=0.01, settings=settings, watcher=Recorder())
        states.append(state_of(model))
    assert same(*states)


def test_a_distilled_batch_that_is_mixed_reaches_the_teacher_mixed():
    settings = Training(batch_size=8, mixup=0.4)
    task = make_task(mixup=0.4)
    asked, given = [], []

    def answers(batch):
        asked.append(batch.inputs)
        return torch.zeros(8, 4)

    class Student(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = build()

        def forward(self, inputs):
            given.append(inputs)
            return self.network(inputs)

    loss = distillation.soft_target_loss(answers, task.loss, temperature=2.0, alpha=0.5)
    recorder = Recorder()
    training.fit(Student(), task, epochs=1, learning_rate=0.01, settings=settings, watcher=recorder, loss=loss)
    assert len(asked) == 3
    assert all(a is b for a, b in zip(asked, given, strict=False))
    assert math.isfinite(recorder.epochs[0][2]["loss"])


def test_pruned_weights_stay_zero_through_training():
    model = sparsity.attach_masks(build())
    sparsity.raise_sparsity(model, 0.7, scope="global")
    masks = {name: layer.weight_mask.clone() for name, layer in sparsity.prunable(model).items()}
    fit(model)
    for name, layer in sparsity.prunable(model).items():
        assert not layer.weight[~masks[name]].any()
        assert layer.weight[masks[name]].all()


def test_ranges_are_frozen_for_the_rest_of_the_stage():
    model = placement.prepare(build())
    training.calibrate(model, make_task())
    seen = []

    def remember(progress):
        seen.append((progress, {name: value.clone() for name, value in model.named_buffers() if "range" in name}))

    fit(model, epochs=4, before_step=remember, freeze_after=0.5)
    late = [ranges for progress, ranges in seen if progress > 0.5]
    early = [ranges for progress, ranges in seen if progress <= 0.25]
    assert all(torch.equal(late[0][name], late[-1][name]) for name in late[0])
    assert any(not torch.equal(early[0][name], early[-1][name]) for name in early[0])


@pytest.mark.slow
def test_a_long_distillation_of_a_quantised_network_does_not_diverge():
    """BatchNorm held at its running statistics while steps are large takes this from 99 to 19 percent."""
    from pipeline.datasets.digits import Digits

    settings = Training(batch_size=64)
    task = ImageClassification(Digits().load(), device=torch.device("cpu"), seed=0, settings=settings)
    torch.manual_seed(0)
    teacher = tiny.build(num_classes=10, in_channels=1)
    training.fit(teacher, task, epochs=40, learning_rate=0.03, settings=settings, watcher=Recorder())
    student = placement.prepare(teacher)
    training.calibrate(student, task)
    before = task.evaluate(student)["top1"]
    answers = distillation.Teacher(teacher.eval, task, settings)
    loss = distillation.soft_target_loss(answers, task.loss, temperature=4.0, alpha=0.7)
    training.fit(student, task, epochs=4, learning_rate=0.01, settings=settings, watcher=Recorder(), loss=loss)
    assert before > 95
    assert task.evaluate(student)["top1"] > before - 2


def test_calibration_sets_every_range_and_trains_nothing():
    model = placement.prepare(build())
    before = {name: value.clone() for name, value in model.named_parameters()}
    statistics = {name: value.clone() for name, value in model.named_buffers() if "running" in name}
    training.calibrate(model, make_task())
    assert all(torch.equal(before[name], value) for name, value in model.named_parameters())
    assert all(torch.equal(value, model.get_buffer(name)) for name, value in statistics.items())
    ranges = [value for name, value in model.named_buffers() if name.endswith("range_max")]
    assert ranges
    assert all(value.isfinite() for value in ranges)


def test_the_soft_target_loss_is_hintons():
    torch.manual_seed(0)
    student, answers, labels = torch.randn(6, 4), torch.randn(6, 4), torch.arange(6) % 4
    t, alpha = 3.0, 0.7
    p, q = functional.softmax(answers / t, 1), functional.softmax(student / t, 1)
    divergence = (p * (p.log() - q.log())).sum(1).mean()
    expected = alpha * t * t * divergence + (1 - alpha) * functional.cross_entropy(student, labels)
    loss = distillation.soft_target_loss(lambda batch: answers, make_task().loss, temperature=t, alpha=alpha)
    batch = Batch(inputs=torch.zeros(6, 1), targets=labels, index=torch.arange(6), epoch=0)
    assert loss(batch, student).item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_student_that_equals_its_teacher_has_no_soft_loss():
    logits = torch.randn(5, 3)
    assert distillation.soft_targets(logits, logits, 4.0).item() == pytest.approx(0.0, abs=1e-6)
    assert math.isfinite(distillation.soft_targets(logits * 1e4, -logits * 1e4, 1.0).item())

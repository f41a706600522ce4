"""The one training loop that every stage uses, in the order in which things happen.

for each epoch
    for each batch
        the stage's own change, if it has one (prune raises the sparsity)
        forward, loss; a step whose loss is not finite ends here
        backward, clipping, optimiser step
        pruned weights are set back to zero, the moving average follows
    evaluate on the held-out images, tell the watcher, remember the network
keep the last network or the best

Between two epochs all that training carries on is in one snapshot, from which another process can go on.

For a prepared network, ranges follow the activations for the first part of the stage and are then frozen. BatchNorm
goes on normalising by its batch to the end: held at its running statistics while steps are still large, a small
network was seen to diverge.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import torch
from torch import nn

from pipeline.engine import acceleration, fake_quant, optimizers, snapshot, sparsity
from pipeline.engine.averaging import Average
from pipeline.engine.distillation import Loss
from pipeline.engine.keeping import Keeper
from pipeline.engine.snapshot import Snapshot
from pipeline.engine.task import Batch, Task
from pipeline.errors import CheckpointError, TrainingDiverged
from pipeline.sections import Training

report_every_s = 0.5
"""Least time between two progress reports."""

calibration_samples = 1024
"""Training images that set the first ranges of the activations."""


class Watcher(Protocol):
    """Whoever follows the training."""

    def checkpoint_stop(self) -> None:
        """Raise ``RunStopped`` when a person asked the run to stop; called between two steps."""

    def progressed(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take note of ``loss``, ``learning_rate``, ``images_per_s`` and ``sparsity`` after a step.

        ``bad_steps`` is among them once a step was left out because its loss was not finite: how many were.
        """

    def began(self, epoch: int, step: int) -> None:
        """Take note of how much was done before; called once: zeros, or where ``resume`` goes on."""

    def epoch_finished(self, epoch: int, step: int, metrics: Mapping[str, float], make: Callable[[], Snapshot]) -> None:
        """Take note of the same and the validation metrics after an epoch; ``make`` gives what can be gone on from."""

    def noted(self, text: str) -> None:
        """Take note of something that a person should know, in one sentence."""


def fit(
    model: nn.Module,
    task: Task,
    *,
    epochs: int,
    learning_rate: float,
    settings: Training,
    watcher: Watcher,
    loss: Loss | None = None,
    before_step: Callable[[float], None] | None = None,
    freeze_after: float = 0.6,
    settled_after: float = 0.0,
    resume: Snapshot | None = None,
) -> dict[str, float]:
    """Train a network in place.

    Args:
        model: takes inputs ``(N, C, H, W)``, gives logits ``(N, classes)``; on the task's device.
        task: the data and the plain loss.
        epochs: passes over the training split; 0 trains nothing.
        learning_rate: peak step size.
        settings: how; see ``pipeline.sections.Training``.
        watcher: follows the training and may stop it.
        loss: replaces the plain loss of the task; called with float32 outputs, outside of any autocast.
        before_step: called with the share of the stage done, before each step.
        freeze_after: share of the steps after which the ranges of a prepared network are fixed.
        settled_after: share of the steps after which the network is what the stage wants; earlier epochs are never
            the best.
        resume: go on from here as if training had not been interrupted; what does not fit is noted and left alone.

    Returns:
        ``last_NAME``, ``best_NAME`` and ``best_epoch`` for the first metric of the task, as far as there are any.

    Raises:
        TrainingDiverged: the loss stays infinite or NaN; the network is as after the last good epoch.
        RunStopped: a person asked for it.
    """
    steps = epochs * task.steps_per_epoch
    observing = fake_quant.is_prepared(model)
    fake_quant.set_observing(model, True)
    stepper = _Stepper(model, task, settings, loss or task.loss)
    keeper = Keeper(stepper.result)
    meter = _Meter(task, watcher)
    state = _State(model, stepper, keeper, meter, task.device)
    begin = state.resumed(resume, epochs, watcher) if resume is not None else 0
    step, progress = begin * task.steps_per_epoch, 0.0
    watcher.began(begin, step)
    for epoch in range(begin, epochs):
        model.train()
        for batch in task.epoch(epoch):
            watcher.checkpoint_stop()
            progress = step / steps
            if observing and progress >= freeze_after:
                observing = False
                fake_quant.set_observing(model, False)
            if before_step is not None:
                before_step(progress)
            rate = optimizers.rate_at((step + 0.5) / steps, peak=learning_rate, settings=settings)
            value = stepper.step(batch, rate)
            step += 1
            meter.add(model, step, value, rate)
            if not math.isfinite(value):
                keeper.restore_statistics(model)
            if meter.bad_steps_in_a_row == settings.max_bad_steps:
                raise _diverged(model, keeper, f"{settings.max_bad_steps} steps in a row up to step {step} of {steps}")
        metrics = meter.finish_epoch()
        found = task.evaluate(stepper.settled())
        keeper.take(epoch + 1, found, settled=progress >= settled_after)
        watcher.epoch_finished(
            epoch + 1, step, metrics | found | _sparsity(stepper.result), partial(state.snapshot, epoch + 1)
        )
        meter.restart_clock()
    if keeper.epoch != epochs:
        raise _diverged(model, keeper, "the held-out samples at the end")
    model.load_state_dict(keeper.state(settings.keep))
    model.eval()
    return keeper.outcome


class _Stepper:
    """One optimiser step after the other."""

    def __init__(self, model: nn.Module, task: Task, settings: Training, loss: Loss) -> None:
        self._model = model
        self._network = acceleration.compiled(model, settings, task.device)
        self._autocast = acceleration.autocast(settings, task.device)
        self.optimizer = optimizers.build(model, settings)
        self.average = Average(model, settings.ema) if settings.ema else None
        self._clip_norm = settings.clip_norm
        self._loss = loss

    @property
    def result(self) -> nn.Module:
        """The network that is evaluated and kept: the average, where there is one."""
        return self.average.network if self.average is not None else self._model

    def settled(self) -> nn.Module:
        """Give the result, up to date."""
        if self.average is not None:
            self.average.settle()
        return self.result

    def step(self, batch: Batch, rate: float) -> float:
        """Take a step and give the loss; when that is not finite, no weight has moved."""
        with self._autocast:
            outputs = self._network(batch.inputs)
        loss = self._loss(batch, outputs.float())
        # Read before the backward pass begins: the device is busy with that while the next step is prepared.
        value = loss.item()
        if not math.isfinite(value):
            return value
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip_norm:
            nn.utils.clip_grad_norm_(self._model.parameters(), self._clip_norm)
        optimizers.set_rate(self.optimizer, rate)
        self.optimizer.step()
        sparsity.enforce(self._model)
        if self.average is not None:
            self.average.update()
        return value


@dataclass(frozen=True)
class _State:
    """All that an epoch hands on to the next."""

    model: nn.Module
    stepper: _Stepper
    keeper: Keeper
    meter: "_Meter"
    device: torch.device

    def snapshot(self, epoch: int) -> Snapshot:
        """Give the state after an epoch; its tensors go on changing."""
        average = self.stepper.average
        tensors = snapshot.part("network", self.model.state_dict()) | self.keeper.tensors(epoch)
        tensors |= snapshot.part("optimizer", snapshot.optimizer_tensors(self.stepper.optimizer))
        tensors |= snapshot.part("random", snapshot.random_streams(self.device))
        if average is not None:
            tensors |= snapshot.part("average", average.network.state_dict())
        numbers = {
            "average_steps": average.steps if average is not None else 0,
            "keeper": self.keeper.numbers(),
            "bad_steps": [self.meter.bad_steps, self.meter.bad_steps_in_a_row],
        }
        return Snapshot(epoch=epoch, tensors=tensors, numbers=numbers)

    def resumed(self, kept: Snapshot, epochs: int, watcher: Watcher) -> int:
        """Take up a state; gives the epochs that were done: 0 when it does not fit, and nothing has changed then."""
        try:
            self._restore(kept, epochs)
        except (CheckpointError, KeyError, TypeError, ValueError, RuntimeError):
            watcher.noted(f"{snapshot.MISFIT} The stage starts over.")
            return 0
        return kept.epoch

    def _restore(self, kept: Snapshot, epochs: int) -> None:
        average, network, averaged = self.stepper.average, kept.part("network"), kept.part("average")
        snapshot.refuse_misfit(network, self.model.state_dict())
        snapshot.refuse_misfit(averaged, {} if average is None else average.network.state_dict())
        if not 0 < kept.epoch <= epochs:
            raise CheckpointError(snapshot.MISFIT)
        momenta = snapshot.fitting_momenta(self.stepper.optimizer, kept.part("optimizer"))
        average_steps, (bad_steps, in_a_row) = kept.numbers["average_steps"], kept.numbers["bad_steps"]
        self.keeper.restore(kept, evaluated=averaged or network)
        # From here on nothing fails, so a state that does not fit has left everything as it was.
        snapshot.set_random_streams(kept.part("random"), self.device)
        snapshot.load_momenta(self.stepper.optimizer, momenta)
        self.model.load_state_dict(network)
        if average is not None:
            average.network.load_state_dict(averaged)
            average.steps = average_steps
        self.meter.bad_steps, self.meter.bad_steps_in_a_row = bad_steps, in_a_row


def _diverged(model: nn.Module, keeper: Keeper, where: str) -> TrainingDiverged:
    """Put a network back to its last good state, and say why."""
    model.load_state_dict(keeper.state("last"))
    model.eval()
    since = f"after epoch {keeper.epoch}" if keeper.epoch else "before the first epoch"
    return TrainingDiverged(
        f"the loss is not finite on {where}: lower learning_rate of this stage or set clip_norm; "
        f"the last good network is the one {since}."
    )


def accumulate_gradients(model: nn.Module, task: Task, *, samples: int = 1024) -> None:
    """Leave in ``grad`` of each parameter the gradient of the plain loss, summed over batches of training samples.

    Args:
        model: in evaluation mode afterwards; BatchNorm normalises by its running statistics and keeps them.
        task: the data and the loss.
        samples: about how many training samples are looked at, without augmentation.
    """
    model.eval()
    model.zero_grad(set_to_none=True)
    for batch in task.training_samples(samples):
        task.loss(batch, model(batch.inputs)).backward()


@torch.no_grad()
def calibrate(model: nn.Module, task: Task) -> None:
    """Set the ranges of a prepared network's activations from training images, without training."""
    model.train()
    fake_quant.set_observing(model, True)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    for batch in task.training_samples(calibration_samples):
        model(batch.inputs)
    model.eval()


def _sparsity(model: nn.Module) -> dict[str, float]:
    return {"sparsity": sparsity.sparsity_of(model)}


class _Meter:
    """Means of the loss since the last report and over the epoch; counts the steps without one."""

    def __init__(self, task: Task, watcher: Watcher) -> None:
        self.bad_steps = 0
        """Steps of the stage whose loss was not finite."""
        self.bad_steps_in_a_row = 0
        self._batch_size = task.batch_size
        self._watcher = watcher
        self._recent: list[float] = []
        self._epoch: list[float] = []
        self._rate = 0.0
        self._images_per_s = math.nan
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leave out of the throughput whatever was done since the last report."""
        self._since = time.perf_counter()

    def add(self, model: nn.Module, step: int, loss: float, rate: float) -> None:
        self._recent.append(loss)
        self._epoch.append(loss)
        self._rate = rate
        if math.isfinite(loss):
            self.bad_steps_in_a_row = 0
        else:
            self.bad_steps += 1
            self.bad_steps_in_a_row += 1
            if self.bad_steps == 1:
                self._watcher.noted(f"the loss of step {step} is {loss}: such steps are left out.")
        if time.perf_counter() - self._since >= report_every_s:
            self._watcher.progressed(step, self._report(self._recent) | _sparsity(model))

    def finish_epoch(self) -> dict[str, float]:
        metrics = self._report(self._epoch)
        self._epoch = []
        return metrics

    def _report(self, losses: list[float]) -> dict[str, float]:
        if self._recent:
            self._images_per_s = len(self._recent) * self._batch_size / (time.perf_counter() - self._since)
        finite = [loss for loss in losses if math.isfinite(loss)]
        bad = {"bad_steps": float(self.bad_steps)} if self.bad_steps else {}
        self._recent = []
        self.restart_clock()
        return {
            "loss": sum(finite) / len(finite) if finite else math.nan,
            "learning_rate": self._rate,
            "images_per_s": self._images_per_s,
        } | bad

"""The one training loop that every stage uses, in the order in which things happen.

for each epoch
    for each batch
        the stage's own change, if it has one (prune raises the sparsity)
        forward, loss, backward, optimiser step
        pruned weights are set back to zero
    evaluate on the held-out images, tell the watcher

For a prepared network, ranges follow the activations for the first part of the stage and are then frozen. BatchNorm
goes on normalising by its batch to the end: held at its running statistics while steps are still large, a small
network was seen to diverge.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from pipeline.engine import fake_quant, sparsity
from pipeline.engine.distillation import Loss
from pipeline.engine.task import Task
from pipeline.errors import StageError
from pipeline.recipe import Training

report_every_s = 0.5
"""Least time between two progress reports: reading the loss waits for the device."""

calibration_samples = 1024
"""Training images that set the first ranges of the activations."""


class Watcher(Protocol):
    """Whoever follows the training."""

    def checkpoint_stop(self) -> None:
        """Raise ``RunStopped`` when a person asked the run to stop; called between two steps."""

    def progressed(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take note of ``loss``, ``learning_rate``, ``images_per_s`` and ``sparsity`` after a step."""

    def epoch_finished(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Take note of the validation metrics after an epoch."""


def learning_rate_at(progress: float, *, peak: float, settings: Training) -> float:
    """Give the step size at a share of a stage.

    Args:
        progress: 0 to 1.
        peak: the highest step size.
        settings: ``warmup`` is the share over which it rises in a straight line; then it stays, or falls to 0 along
            half a cosine.
    """
    if progress < settings.warmup:
        return peak * progress / settings.warmup
    if settings.schedule == "constant":
        return peak
    fallen = (progress - settings.warmup) / (1 - settings.warmup)
    return peak * 0.5 * (1 + math.cos(math.pi * fallen))


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
) -> None:
    """Train a network in place.

    Args:
        model: takes inputs ``(N, C, H, W)``, gives logits ``(N, classes)``; on the task's device.
        task: the data and the plain loss.
        epochs: passes over the training split; 0 trains nothing.
        learning_rate: peak step size.
        settings: optimiser and schedule.
        watcher: follows the training and may stop it.
        loss: replaces the plain loss of the task.
        before_step: called with the share of the stage done, before each step.
        freeze_after: share of the steps after which the ranges of a prepared network are fixed.

    Raises:
        StageError: the loss is no longer finite.
        RunStopped: a person asked for it.
    """
    steps = epochs * task.steps_per_epoch
    observing = fake_quant.is_prepared(model)
    optimizer = torch.optim.SGD(
        model.parameters(),
        lr=learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=settings.momentum > 0,
    )
    meter = _Meter(task, watcher)
    step = 0
    fake_quant.set_observing(model, True)
    for epoch in range(epochs):
        model.train()
        for batch in task.epoch(epoch):
            watcher.checkpoint_stop()
            progress = step / steps
            if observing and progress >= freeze_after:
                observing = False
                fake_quant.set_observing(model, False)
            rate = learning_rate_at((step + 0.5) / steps, peak=learning_rate, settings=settings)
            for group in optimizer.param_groups:
                group["lr"] = rate
            if before_step is not None:
                before_step(progress)
            outputs = model(batch.inputs)
            value = loss(batch, outputs) if loss is not None else task.loss(batch, outputs)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
            sparsity.enforce(model)
            step += 1
            meter.add(model, step, value.detach(), rate)
        metrics = meter.finish_epoch(step)
        watcher.epoch_finished(epoch + 1, step, metrics | task.evaluate(model) | _sparsity(model))
        meter.restart_clock()
    model.eval()


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
    """Sums the loss on the device and reads it only when a report is due."""

    def __init__(self, task: Task, watcher: Watcher) -> None:
        self._batch_size = task.batch_size
        self._watcher = watcher
        self._epoch_loss: Tensor | float = 0.0
        self._epoch_steps = 0
        self._loss: Tensor | float = 0.0
        self._steps = 0
        self._rate = 0.0
        self._images_per_s = math.nan
        self.restart_clock()

    def restart_clock(self) -> None:
        """Leave out of the throughput whatever was done since the last report."""
        self._since = time.perf_counter()

    def add(self, model: nn.Module, step: int, loss: Tensor, rate: float) -> None:
        self._loss = self._loss + loss
        self._epoch_loss = self._epoch_loss + loss
        self._steps += 1
        self._epoch_steps += 1
        self._rate = rate
        if time.perf_counter() - self._since >= report_every_s:
            self._watcher.progressed(step, self._report(step) | _sparsity(model))

    def finish_epoch(self, step: int) -> dict[str, float]:
        if self._steps:
            self._report(step)
        loss = float(self._epoch_loss) / self._epoch_steps
        self._epoch_loss, self._epoch_steps = 0.0, 0
        return {"loss": loss, "learning_rate": self._rate, "images_per_s": self._images_per_s}

    def _report(self, step: int) -> dict[str, float]:
        loss = float(self._loss) / self._steps
        if not math.isfinite(loss):
            raise StageError(f"the loss is {loss} near step {step}: lower learning_rate of this stage.")
        self._images_per_s = self._steps * self._batch_size / (time.perf_counter() - self._since)
        self._loss, self._steps = 0.0, 0
        self.restart_clock()
        return {"loss": loss, "learning_rate": self._rate, "images_per_s": self._images_per_s}

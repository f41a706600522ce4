"""What a training step achieves of what the device can do: operations a sample needs, operations a second at best."""

import functools
import statistics
import time
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.engine import acceleration
from pipeline.engine.task import Task
from pipeline.report import LayerWork
from pipeline.sections import Training

trial_s = 0.25
"""How long the peak of a device is looked for."""


def achieved(model: nn.Module, task: Task, settings: Training, images_per_s: Sequence[float]) -> dict[str, float]:
    """Set what a training achieved against what the device can do.

    Args:
        model: the network that was trained.
        task: gives a sample of the shape that it saw.
        settings: ``precision`` is the type whose peak counts.
        images_per_s: of each epoch, at least one.

    Returns:
        ``images_per_s``, the median; ``tflops``, 10^12 operations a second; ``percent_of_peak``.
    """
    dtype = getattr(torch, acceleration.precision(settings, task.device))
    rate = statistics.median(images_per_s)
    flops = rate * training_flops(model, task)
    share = 100 * flops / peak_flops(task.device, dtype)
    return {"images_per_s": rate, "tflops": flops / 1e12, "percent_of_peak": share}


def training_flops(model: nn.Module, task: Task) -> float:
    """Count the floating-point operations of a training step, by sample.

    Matrix products and convolutions only, two operations for each multiply-add, and three times the forward pass: the
    backward pass computes a gradient of the inputs and one of the weights.

    Args:
        model: its mode and its buffers stay as they are.
        task: gives a sample of the shape that the network sees.
    """
    was_training = model.training
    batch = next(iter(task.training_samples(2)))
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.eval()(batch.inputs)
    model.train(was_training)
    return 3.0 * counter.get_total_flops() / len(batch.targets)


@torch.no_grad()
def layers(model: nn.Module, images: Tensor) -> tuple[LayerWork, ...]:
    """Say what each convolution and linear layer has to do for one image, in the order in which they are called.

    Padding counts as data: where maps are smaller than kernels, that is more than a runtime needs to do.

    Args:
        model: its mode and its buffers stay as they are.
        images: of the shape that it takes, `(N, C, H, W)`; only the shape counts.
    """
    found: list[LayerWork] = []

    def note(layer: nn.Module, _: object, output: Tensor) -> None:
        weight = cast("Tensor", layer.weight)
        found.append(LayerWork(num_weights=weight.numel(), uses=output[0].numel() // len(weight)))

    called = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    hooks = [layer.register_forward_hook(note) for layer in called]
    was_training, device = model.training, next(model.parameters()).device
    try:
        model.eval()(torch.zeros(1, *images.shape[1:], device=device))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(found)


@functools.cache
def peak_flops(device: torch.device, dtype: torch.dtype) -> float:
    """Measure the operations a second of the largest matrix product that is quick to try; the best of some.

    Args:
        device: where; all its threads are used.
        dtype: type of the factors.
    """
    side = 8192 if device.type == "cuda" else 2048
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, until = float("inf"), time.perf_counter() + trial_s
    while best == float("inf") or time.perf_counter() < until:
        _wait_for(device)
        start = time.perf_counter()
        torch.mm(left, right)
        _wait_for(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * side**3 / best


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)

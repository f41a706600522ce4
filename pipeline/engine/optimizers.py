"""What moves the weights: the optimiser, which parameters decay, and the step size over a stage."""

import bisect
import math

import torch
from torch import nn

from pipeline.sections import Training

SECOND_MOMENT = 0.999
"""Decay of AdamW's mean squared gradient, as Kingma and Ba (2015) have it."""

RISE = 0.3
"""Share of a one-cycle stage over which the step size rises."""
START, END = 1 / 25, 1 / 250_000
"""First and last step size of a one-cycle stage, as a share of the highest."""


def build(model: nn.Module, settings: Training) -> torch.optim.Optimizer:
    """Make the optimiser of a stage; its step size is set before each step.

    ``sgd`` is that of Sutskever et al. (2013) with Nesterov momentum, its decay added to the gradient; ``adamw`` is
    Loshchilov and Hutter (2019), algorithm 2, its decay apart from the gradient.
    """
    groups = decay_groups(model, settings.weight_decay)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, betas=(settings.momentum, SECOND_MOMENT))
    return torch.optim.SGD(groups, momentum=settings.momentum, nesterov=settings.momentum > 0)


def decay_groups(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Divide the parameters into those that decay and those of fewer than two dimensions, which do not.

    The latter are biases, scale and shift of normalisations, and learned steps of fake quantisers: small values there
    do not make a network simpler.
    """
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, object]] = [
        {"params": [each for each in parameters if each.dim() >= 2], "weight_decay": weight_decay},
        {"params": [each for each in parameters if each.dim() < 2], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Use a step size from now on."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def rate_at(progress: float, *, peak: float, settings: Training) -> float:
    """Give the step size at a share of a stage.

    Over the share ``warmup`` it rises in a straight line. Then ``constant`` stays, ``cosine`` falls to 0 along half a
    cosine (Loshchilov and Hutter 2017, equation 5, without restarts), ``multi-step`` falls by ``gamma`` at each of
    ``milestones``. ``one-cycle`` (Smith and Topin 2019) rises from a 25th of the peak over the first 30 percent and
    falls to almost nothing, both along half a cosine; it takes no warm-up.

    Args:
        progress: 0 to 1.
        peak: the highest step size.
        settings: schedule and its options.
    """
    if settings.schedule == "one-cycle":
        if progress < RISE:
            return _half_cosine(peak * START, peak, progress / RISE)
        return _half_cosine(peak, peak * END, (progress - RISE) / (1 - RISE))
    if progress < settings.warmup:
        return peak * progress / settings.warmup
    match settings.schedule:
        case "cosine":
            return _half_cosine(peak, 0.0, (progress - settings.warmup) / (1 - settings.warmup))
        case "multi-step":
            return peak * settings.gamma ** bisect.bisect_right(sorted(settings.milestones), progress)
        case _:
            return peak


def _half_cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))

"""A moving average of a network's parameters over training steps, kept beside the network."""

import copy

import torch
from torch import Tensor, nn

from pipeline.engine import sparsity


class Average:
    """Exponential moving average (Polyak and Juditsky 1992, in the form of Tarvainen and Valpola 2017).

    After step t, counted from 1, ``average = d * average + (1 - d) * parameter`` with
    ``d = min(decay, t / (t + 9))``, so that what the network was before the first step does not weigh on a short
    stage.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Begin with the network as it is.

        Args:
            model: goes on training.
            decay: above 0 and below 1.
        """
        self.network = copy.deepcopy(model)
        """The averaged network, up to date after ``settle``."""
        self._model = model
        self._decay = decay
        self.steps = 0
        """Optimiser steps that were taken note of; goes on from another number where training does."""
        self._averages: list[Tensor] = [parameter.detach() for parameter in self.network.parameters()]
        self._parameters: list[Tensor] = [parameter.detach() for parameter in model.parameters()]

    @torch.no_grad()
    def update(self) -> None:
        """Take note of an optimiser step."""
        self.steps += 1
        decay = min(self._decay, self.steps / (self.steps + 9))
        torch._foreach_lerp_(self._averages, self._parameters, 1 - decay)

    @torch.no_grad()
    def settle(self) -> None:
        """Bring statistics, masks and ranges up to date: copied, not averaged. Masked weights are zero then."""
        for mine, theirs in zip(self.network.buffers(), self._model.buffers(), strict=True):
            mine.copy_(theirs)
        sparsity.enforce(self.network)

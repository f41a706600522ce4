"""The states of a network that a stage may end with: the last good one and the best."""

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pipeline.engine import snapshot
from pipeline.engine.snapshot import Snapshot

STATISTICS = ("running_mean", "running_var")
"""What a batch with infinities or NaN spoils in a BatchNorm, for good."""


class Keeper:
    """Remembers a network after each epoch whose metrics are finite."""

    def __init__(self, network: nn.Module) -> None:
        """Remember a network as it is before the first epoch.

        Args:
            network: the one that is evaluated; goes on changing.
        """
        self.epoch = 0
        """The last good epoch, from 1; 0 for the state before the first."""
        self.outcome: dict[str, float] = {}
        """``last_NAME``, ``best_NAME`` and ``best_epoch``; NAME is the first metric."""
        self._network = network
        self._last = self._copy()
        self._best: dict[str, Tensor] | None = None

    def take(self, epoch: int, metrics: Mapping[str, float], *, settled: bool) -> None:
        """Take note of a finished epoch.

        Args:
            epoch: from 1.
            metrics: the higher the first, the better the network.
            settled: whether the epoch may be the best.
        """
        if not all(math.isfinite(value) for value in metrics.values()):
            return
        self.epoch, self._last = epoch, self._copy()
        name, value = next(iter(metrics.items()))
        self.outcome[f"last_{name}"] = value
        if settled and value > self.outcome.get(f"best_{name}", -math.inf):
            self._best = self._last
            self.outcome |= {f"best_{name}": value, "best_epoch": float(epoch)}

    def state(self, keep: Literal["last", "best"]) -> dict[str, Tensor]:
        """Give the state dict of the last good epoch, or of the best; of the last where no epoch may be the best."""
        return self._best if keep == "best" and self._best is not None else self._last

    def numbers(self) -> dict[str, Any]:
        """Give what ``restore`` needs beside ``tensors``, as plain values."""
        best = None if self._best is None else "last" if self._best is self._last else "other"
        return {"epoch": self.epoch, "outcome": self.outcome, "best": best}

    def tensors(self, epoch: int) -> dict[str, Tensor]:
        """Give the networks that are remembered, without those that are the evaluated one after this epoch."""
        last = {} if self.epoch == epoch else snapshot.part("last", self._last)
        return last | ({} if self._best is None or self._best is self._last else snapshot.part("best", self._best))

    def restore(self, kept: Snapshot, *, evaluated: dict[str, Tensor]) -> None:
        """Remember what a keeper did after an epoch.

        Args:
            kept: holds its ``numbers`` and ``tensors``.
            evaluated: the evaluated network after that epoch.

        Raises:
            CheckpointError: the networks were others; nothing has changed then.
        """
        found, expected = kept.numbers["keeper"], self._network.state_dict()
        last = kept.part("last") or evaluated
        best = {None: None, "last": last, "other": kept.part("best")}[found["best"]]
        for network in (last, best or last):
            snapshot.refuse_misfit(network, expected)
        self.epoch, self.outcome, self._last, self._best = found["epoch"], dict(found["outcome"]), last, best

    @torch.no_grad()
    def restore_statistics(self, model: nn.Module) -> None:
        """Put the statistics of every BatchNorm of the network in training back to those of the last good epoch."""
        for name, buffer in model.named_buffers():
            if name.endswith(STATISTICS):
                buffer.copy_(self._last[name])

    def _copy(self) -> dict[str, Tensor]:
        return {name: tensor.detach().clone() for name, tensor in self._network.state_dict().items()}

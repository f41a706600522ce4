"""What training carries from one epoch into the next, so that it can go on in another process, bit for bit.

Whatever else decides a step is a pure function of the seed, the epoch and the share of the stage that is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pipeline.errors import CheckpointError

MISFIT = "what an interrupted run left of this stage does not fit the network or its settings."


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The state of a training between two epochs."""

    epoch: int
    """Passes done."""
    tensors: dict[str, Tensor]
    """By the part of the training, a dot and the name there; they go on changing with the training."""
    numbers: dict[str, Any]
    """Whatever is no tensor, as plain values."""

    def part(self, name: str) -> dict[str, Tensor]:
        """Give the tensors of one part, without its name."""
        return {key.removeprefix(f"{name}."): t for key, t in self.tensors.items() if key.startswith(f"{name}.")}


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Put the name of a part before the names of its tensors."""
    return {f"{name}.{key}": tensor.detach() for key, tensor in tensors.items()}


def refuse_misfit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """Make sure that tensors can be loaded into others.

    Raises:
        CheckpointError: names, shapes or types differ.
    """
    if {name: (t.shape, t.dtype) for name, t in found.items()} != {
        name: (t.shape, t.dtype) for name, t in expected.items()
    }:
        raise CheckpointError(MISFIT)


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Give the momenta and counters of every parameter, by its place, a dot and their name."""
    states = optimizer.state_dict()["state"].items()
    return {f"{place}.{name}": t for place, state in states for name, t in state.items() if t is not None}


def fitting_momenta(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    """Turn ``optimizer_tensors`` into what ``load_momenta`` takes.

    Raises:
        CheckpointError: they belong to other parameters.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    found: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        place, _, name = key.partition(".")
        parameter = parameters[int(place)] if int(place) < len(parameters) else None
        if parameter is None or tensor.shape not in (parameter.shape, torch.Size()):
            raise CheckpointError(MISFIT)
        if tensor.dim():
            # In the layout of the parameter: in another one the same sums are done by other instructions.
            tensor = torch.empty_like(parameter, dtype=tensor.dtype).copy_(tensor)
        found.setdefault(int(place), {})[name] = tensor
    return found


def load_momenta(optimizer: torch.optim.Optimizer, momenta: dict[int, dict[str, Tensor]]) -> None:
    """Put momenta and counters back; the settings of the optimiser stay."""
    optimizer.load_state_dict({"state": momenta, "param_groups": optimizer.state_dict()["param_groups"]})


def random_streams(device: torch.device) -> dict[str, Tensor]:
    """Give torch's own random streams, from which dropout is drawn."""
    streams = {"cpu": torch.get_rng_state()}
    return streams | ({"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else {})


def set_random_streams(streams: Mapping[str, Tensor], device: torch.device) -> None:
    """Put torch's random streams back."""
    torch.set_rng_state(streams["cpu"])
    if device.type == "cuda" and "cuda" in streams:
        torch.cuda.set_rng_state(streams["cuda"], device)

"""What makes a training step cheaper where the device is built for it: bfloat16 arithmetic and compilation.

Neither is chosen by measuring: equal devices choose alike, and equal recipes train alike on them.
"""

import importlib.util
from typing import Literal, cast

import torch
from torch import nn

from pipeline import processor
from pipeline.sections import Training

Precision = Literal["float32", "bfloat16"]

CPU_FLAGS = ("amx_bf16", "avx512_bf16")
"""Instructions that multiply in bfloat16; without them it is slower than float32."""


def precision(settings: Training, device: torch.device) -> Precision:
    """Choose the arithmetic of forward and backward passes; weights, losses and evaluation stay in float32."""
    if settings.precision != "auto":
        return settings.precision
    return "bfloat16" if _multiplies_bfloat16(device) else "float32"


def autocast(settings: Training, device: torch.device) -> torch.autocast:
    """Give the context of a forward pass, which does nothing in float32."""
    enabled = precision(settings, device) == "bfloat16"
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def compiled(model: nn.Module, settings: Training, device: torch.device) -> nn.Module:
    """Give the network that training calls: the same parameters, compiled where the settings say so.

    A network of a class and shape that this process compiled before is not compiled again, so stages share the work; a
    newly prepared one has code of its own, but torch finds its kernels in its cache on disk.
    """
    return cast("nn.Module", torch.compile(model)) if compiles(settings, device) else model


def compiles(settings: Training, device: torch.device) -> bool:
    """Tell whether the network is compiled for training."""
    if settings.compile != "auto":
        return settings.compile == "on"
    return device.type == "cuda" and importlib.util.find_spec("triton") is not None


def describe(settings: Training, device: torch.device) -> str:
    """Say in one sentence how training computes."""
    way = ", compiled" if compiles(settings, device) else ""
    return f"training computes in {precision(settings, device)}{way} (precision = {settings.precision})."


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return not processor.flags().isdisjoint(CPU_FLAGS)

"""Wide ResNet 28-10 (36.5 M parameters at 100 classes).

Zagoruyko and Komodakis (https://arxiv.org/abs/1605.07146): three groups of four pre-activation blocks at 160, 320
and 640 channels. Pre-activation means that batch normalisation and ReLU come before each convolution: where they
follow an addition there is no convolution to fold them into, and they stay operations of their own after lowering.
Dropout is off.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.backbones._blocks import initialised

MIN_IMAGE_SIDE: int = 8
"""Smallest square image accepted, in pixels: two halvings leave 2x2."""


class PreActivationBlock(nn.Module):
    """Twice batch normalisation, ReLU and a 3x3 convolution, with a shortcut around them.

    A block that changes the shape feeds its shortcut, a 1x1 convolution, from the activated input; any other
    block adds its untouched input.
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.changes_shape = stride != 1 or in_channels != channels
        if self.changes_shape:
            self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C, H / stride, W / stride)`."""
        activated = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(activated))))
        added: Tensor = out + (self.shortcut(activated) if self.changes_shape else x)
        return added


class WideResNet28x10(nn.Module):
    """Stem, three groups of four blocks, batch normalisation, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.group1 = _group(16, 160, stride=1)
        self.group2 = _group(160, 320, stride=2)
        self.group3 = _group(320, 640, stride=2)
        self.bn = nn.BatchNorm2d(640)
        self.fc = nn.Linear(640, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images `(N, in_channels, H, W)` to logits `(N, num_classes)`."""
        x = self.group3(self.group2(self.group1(self.conv1(x))))
        x = F.relu(self.bn(x))
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.fc(x)
        return logits


def _group(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    first = PreActivationBlock(in_channels, channels, stride)
    return nn.Sequential(first, *(PreActivationBlock(channels, channels, 1) for _ in range(3)))


def build(*, num_classes: int, in_channels: int) -> nn.Module:
    """Build the network with Kaiming-normal convolutions (fan out)."""
    return initialised(WideResNet28x10(num_classes, in_channels))

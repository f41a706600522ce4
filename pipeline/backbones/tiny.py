"""A tiny residual network for tests and first steps (about 5 thousand parameters).

It has one of everything that compression must handle: convolution with batch normalisation, an addition, a global
pooling and a linear head. On 8x8 images it trains in seconds on one core.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.backbones._blocks import initialised

MIN_IMAGE_SIDE: int = 4
"""Smallest square image accepted, in pixels."""


class Tiny(nn.Module):
    """A stem, one residual block at 16 channels, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn0 = nn.BatchNorm2d(16)
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.head = nn.Linear(16, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images `(N, in_channels, H, W)` to logits `(N, num_classes)`."""
        x = F.relu(self.bn0(self.stem(x)))
        out = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(out)) + x)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.head(x)
        return logits


def build(*, num_classes: int, in_channels: int) -> nn.Module:
    """Build the network with Kaiming-normal convolutions (fan out)."""
    return initialised(Tiny(num_classes, in_channels))

"""ResNet-20 for small images, with parameter-free shortcuts (0.27 M parameters at 10 classes).

The CIFAR network of He et al. (https://arxiv.org/abs/1512.03385, section 4.2): three groups of three basic
blocks at 16, 32 and 64 channels. Where a group halves the image its shortcut is option A: every second pixel,
the missing channels filled with zeros. Parameter names are those of the widely published CIFAR-10 checkpoint,
so its state dict loads once the prefix `module.` is cut off.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.backbones._blocks import BasicBlock, initialised

MIN_IMAGE_SIDE: int = 8
"""Smallest square image accepted, in pixels: two halvings leave 2x2."""


class Subsample(nn.Module):
    """Option-A shortcut: halve height and width, add `extra` zero channels, half of them on each side.

    Both operations only move values and insert zeros, so a quantised input keeps its scale and zero point.
    """

    def __init__(self, extra: int) -> None:
        super().__init__()
        self.extra = extra

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, H, W)` to `(N, C + extra, ceil(H / 2), ceil(W / 2))`."""
        # A 1x1 max pool picks the same pixels as x[:, :, ::2, ::2], and INT8 runtimes have a kernel for it.
        picked = F.max_pool2d(x, kernel_size=1, stride=2)
        before = self.extra // 2
        return F.pad(picked, (0, 0, 0, 0, before, self.extra - before))


class ResNet20(nn.Module):
    """Stem, three groups of three blocks, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _group(16, 16, stride=1)
        self.layer2 = _group(16, 32, stride=2)
        self.layer3 = _group(32, 64, stride=2)
        self.linear = nn.Linear(64, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images `(N, in_channels, H, W)` to logits `(N, num_classes)`."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.linear(x)
        return logits


def _group(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    downsample = nn.Identity() if stride == 1 else Subsample(channels - in_channels)
    first = BasicBlock(in_channels, channels, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1, nn.Identity()) for _ in range(2)))


def build(*, num_classes: int, in_channels: int) -> nn.Module:
    """Build the network with Kaiming-normal convolutions (fan out)."""
    return initialised(ResNet20(num_classes, in_channels))

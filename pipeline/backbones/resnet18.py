"""ResNet-18 with the stem for small images (11.17 M parameters at 10 classes).

The four-group network of He et al. (https://arxiv.org/abs/1512.03385) as used on CIFAR: the 7x7 stem and its
max pool give way to one 3x3 convolution, so the first group works at full image size. Shortcuts that change the
shape are 1x1 convolutions with batch normalisation (option B).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.backbones._blocks import BasicBlock, initialised

MIN_IMAGE_SIDE: int = 8
"""Smallest square image accepted, in pixels: three halvings leave 1x1."""


class ResNet18(nn.Module):
    """Stem, four groups of two blocks at 64 to 512 channels, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 64, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = _group(64, 64, stride=1)
        self.layer2 = _group(64, 128, stride=2)
        self.layer3 = _group(128, 256, stride=2)
        self.layer4 = _group(256, 512, stride=2)
        self.fc = nn.Linear(512, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images `(N, in_channels, H, W)` to logits `(N, num_classes)`."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.fc(x)
        return logits


def _group(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    downsample: nn.Module = nn.Identity()
    if stride != 1:
        projection = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        downsample = nn.Sequential(projection, nn.BatchNorm2d(channels))
    first = BasicBlock(in_channels, channels, stride, downsample)
    return nn.Sequential(first, BasicBlock(channels, channels, 1, nn.Identity()))


def build(*, num_classes: int, in_channels: int) -> nn.Module:
    """Build the network with Kaiming-normal convolutions (fan out)."""
    return initialised(ResNet18(num_classes, in_channels))

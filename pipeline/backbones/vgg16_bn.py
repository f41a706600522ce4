"""VGG-16 with batch normalisation and a single linear head (14.72 M parameters at 10 classes).

The thirteen convolutions of configuration D of Simonyan and Zisserman (https://arxiv.org/abs/1409.1556), each
followed by batch normalisation (hence without bias). On small images the three large linear layers of the
original give way to one behind global average pooling.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.backbones._blocks import initialised

MIN_IMAGE_SIDE: int = 32
"""Smallest square image accepted, in pixels: five halvings leave 1x1."""

GROUPS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Output channels of each convolution; a 2x2 max pool ends every group."""


class VGG16BN(nn.Module):
    """Thirteen convolutions in five groups, global average pooling, one linear layer."""

    def __init__(self, num_classes: int, in_channels: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        previous = in_channels
        for group in GROUPS:
            for channels_in, channels_out in pairwise((previous, *group)):
                convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
                layers += [convolution, nn.BatchNorm2d(channels_out), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
            previous = group[-1]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(previous, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map normalised images `(N, in_channels, H, W)` to logits `(N, num_classes)`."""
        x = self.features(x)
        x = torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)
        logits: Tensor = self.classifier(x)
        return logits


def build(*, num_classes: int, in_channels: int) -> nn.Module:
    """Build the network with Kaiming-normal convolutions (fan out)."""
    return initialised(VGG16BN(num_classes, in_channels))

"""What several backbones are built from."""

import torch.nn.functional as F
from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them (He et al. 2015, figure 5 left)."""

    def __init__(self, in_channels: int, channels: int, stride: int, downsample: nn.Module) -> None:
        """Build the block; `downsample` maps its input to the shape of its result, Identity where they agree."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C_in, H, W)` to `(N, C, H / stride, W / stride)`."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.downsample(x))


def initialised(model: nn.Module) -> nn.Module:
    """Give every convolution Kaiming-normal weights (fan out); returns the model."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model

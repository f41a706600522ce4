"""Small compact checkpoints to execute."""

from pathlib import Path

import torch
from torch import Tensor, nn

from pipeline.compact import file
from pipeline.engine import program
from tests.pipeline.runtimes.tiny_onnx import CLASSES


class Mean(nn.Module):
    """Logit ``k`` is the mean of channel ``k``, by a convolution and a linear layer; as ``tiny_onnx``."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CLASSES, CLASSES, 1, bias=False)
        self.head = nn.Linear(CLASSES, CLASSES, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.eye(CLASSES)[..., None, None])
            self.head.weight.copy_(torch.eye(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.conv(images.float()).mean((2, 3)))


def write(path: Path, network: nn.Module | None = None, side: int = 8) -> Path:
    """Write a lowered network, else ``Mean``."""
    network = (network or Mean()).eval()
    text = program.write(program.export(network, torch.zeros((1, CLASSES, side, side), dtype=torch.uint8)))
    file.write(path, {name: tensor.numpy() for name, tensor in network.state_dict().items()}, {"program": text})
    return path

from importlib import import_module

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.engine import lowering, onednn, placement, program
from tests.processor import SCHEME

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
pytestmark = pytest.mark.skipif(not onednn.supported(), reason="oneDNN has no INT8 operators here")


def images(count, side=32):
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def network(model, side=32, *, prepare=True):
    """Lower a network, write its program and read it back."""
    if prepare:
        model = placement.prepare(model, SCHEME)
        with torch.no_grad():
            model.train()(images(16, side) / 128 - 1)
    lowered = lowering.lower(model.eval(), mean=MEAN, std=STD)
    return program.read(program.write(program.export(lowered, images(1, side))), dict(lowered.state_dict()))


def backbone(name):
    torch.manual_seed(0)
    return import_module(f"pipeline.backbones.{name}").build(num_classes=10, in_channels=3)


def difference(found, expected):
    """Relative to the answers: a value on the verge between two codes may be rounded either way."""
    return float((found - expected).norm() / expected.norm())


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "layers"), [("tiny", 4), ("resnet20", 20), pytest.param("vgg16_bn", 14, marks=pytest.mark.slow)]
)
def test_every_integer_layer_is_one_operator_and_the_answers_agree(name, layers):
    read = network(backbone(name))
    fused, precision = onednn.fuse(read)
    assert precision == {"int8": layers}
    calls = [str(node.target) for node in fused.graph.nodes if node.op == "call_function"]
    assert sum(call.startswith("onednn.q") and "pointwise" in call for call in calls) == layers
    assert not any(call.startswith(("aten.convolution", "aten.addmm", "pqd.")) for call in calls)
    assert difference(fused(images(8)), read(images(8))) < 0.05


@torch.no_grad()
def test_a_float_network_is_left_as_it_is():
    read = network(backbone("tiny"), prepare=False)
    fused, precision = onednn.fuse(read)
    assert precision == {"float32": 4}
    torch.testing.assert_close(fused(images(3)), read(images(3)))


@torch.no_grad()
def test_the_network_that_is_given_is_not_changed():
    read = network(backbone("tiny"))
    before, expected = str(read.graph), read(images(2))
    onednn.fuse(read)
    assert str(read.graph) == before
    assert torch.equal(read(images(2)), expected)


class Odd(nn.Module):
    """Strides, groups, dilation, a layer whose result two others read, a hidden linear layer, none of them alike."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 5, stride=2, padding=1, bias=False)
        self.wide = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4)
        self.point = nn.Conv2d(8, 8, 1)
        self.hidden, self.head = nn.Linear(8, 12), nn.Linear(12, 10, bias=False)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.wide(x)) + self.point(x)
        return self.head(F.relu(self.hidden(x.mean((2, 3)))))


@torch.no_grad()
def test_layers_of_any_geometry_agree():
    torch.manual_seed(0)
    read = network(Odd(), 16)
    fused, precision = onednn.fuse(read)
    assert precision == {"int8": 5}
    assert difference(fused(images(8, 16)), read(images(8, 16))) < 0.02

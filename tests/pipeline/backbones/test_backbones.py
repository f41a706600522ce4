from importlib import import_module
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.engine import tracing

NAMES = ("resnet18", "resnet20", "tiny", "vgg16_bn", "wrn_28_10")
DATA = Path(__file__).parents[3].parent / "shared/data"


def build(name, *, num_classes=10, in_channels=3):
    return import_module(f"pipeline.backbones.{name}").build(num_classes=num_classes, in_channels=in_channels)


@pytest.mark.parametrize(
    ("name", "num_classes", "expected"),
    [
        ("resnet20", 10, 269_722),
        ("resnet18", 10, 11_173_962),
        ("vgg16_bn", 10, 14_724_042),
        ("vgg16_bn", 100, 14_770_212),
        ("wrn_28_10", 100, 36_536_884),
    ],
)
def test_the_number_of_parameters_is_the_published_one(name, num_classes, expected):
    with torch.device("meta"):
        model = build(name, num_classes=num_classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected


def test_tiny_has_a_few_thousand_parameters():
    assert sum(parameter.numel() for parameter in build("tiny", in_channels=1).parameters()) < 6_000


@pytest.mark.parametrize("name", NAMES)
def test_the_smallest_image_and_a_larger_one_give_logits(name):
    side = import_module(f"pipeline.backbones.{name}").MIN_IMAGE_SIDE
    model = build(name, num_classes=7, in_channels=1).eval()
    with torch.no_grad():
        for pixels in (side, side + 4):
            assert model(torch.zeros(2, 1, pixels, pixels)).shape == (2, 7)


@pytest.mark.parametrize("name", NAMES)
def test_every_backbone_traces_and_calls_each_layer_once(name):
    traced = tracing.trace(build(name))
    layers = [node.target for node in tracing.calls(traced.graph, (nn.Conv2d, nn.Linear, nn.BatchNorm2d))]
    assert len(layers) == len(set(layers)) > 0


def test_the_zero_padded_shortcut_takes_every_second_pixel_and_centres_the_channels():
    shortcut = import_module("pipeline.backbones.resnet20").Subsample(16)
    x = torch.randn(2, 16, 9, 9)
    expected = torch.zeros(2, 32, 5, 5)
    expected[:, 8:24] = x[:, :, ::2, ::2]
    assert torch.equal(shortcut(x), expected)


def test_published_weights_load_into_resnet20_and_classify_real_images():
    checkpoint, images = DATA / "cifar10_resnet20.th", DATA / "cifar10-small.npz"
    if not (checkpoint.is_file() and images.is_file()):
        pytest.skip(f"no {checkpoint.name} and {images.name} in {DATA}")
    import numpy as np

    state = torch.load(checkpoint, map_location="cpu", weights_only=True)["state_dict"]
    model = build("resnet20").eval()
    model.load_state_dict({name.removeprefix("module."): tensor for name, tensor in state.items()})
    with np.load(images, allow_pickle=False) as data:
        x = torch.from_numpy(data["x_test"][:500]).permute(0, 3, 1, 2)
        y = torch.from_numpy(data["y_test"][:500].astype(np.int64))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    with torch.no_grad():
        top1 = (model((x / 255 - mean) / std).argmax(1) == y).float().mean().item()
    assert top1 > 0.88

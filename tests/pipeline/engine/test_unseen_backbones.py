"""Networks that nobody prepared for this project: they lower to integers, and ONNX Runtime agrees with them."""

import onnxruntime
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from pipeline.engine import lowering, onnx_graph, placement, program
from pipeline.runtimes.onnxruntime import arithmetic, operators
from tests.processor import SCHEME

CLASSES, SIDE, EACH = 10, 64, 4
MEAN, STD = (0.5,) * 3, (0.25,) * 3

hardswish, swish, unfolded = {"HardSigmoid", "Mul"}, {"Sigmoid", "Mul"}, {"BatchNormalization"}
networks = [
    pytest.param("resnet18", set(), id="resnet18"),
    pytest.param("mobilenet_v2", set(), id="mobilenet_v2", marks=pytest.mark.slow),
    pytest.param("mobilenet_v3_small", hardswish, id="mobilenet_v3_small", marks=pytest.mark.slow),
    pytest.param("efficientnet_b0", swish, id="efficientnet_b0", marks=pytest.mark.slow),
    pytest.param("regnet_y_400mf", set(), id="regnet_y_400mf", marks=pytest.mark.slow),
    pytest.param("densenet121", unfolded, id="densenet121", marks=pytest.mark.slow),
    pytest.param("googlenet", set(), id="googlenet", marks=pytest.mark.slow),
    pytest.param("shufflenet_v2_x0_5", set(), id="shufflenet_v2", marks=pytest.mark.slow),
]


def images(seed):
    """Ten patterns with noise, in the order of their classes, over and over; uint8 `(EACH * 10, 3, SIDE, SIDE)`."""
    patterns = torch.rand(CLASSES, 3, 4, 4, generator=torch.Generator().manual_seed(9)).repeat(EACH, 1, 1, 1)
    noise = torch.rand(EACH * CLASSES, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return (255 * F.interpolate(0.8 * F.interpolate(patterns, size=16) + 0.2 * noise, size=SIDE)).to(torch.uint8)


def normalised(x):
    return (x / 255 - 0.5) / 0.25


def built(name):
    torch.manual_seed(0)
    extra = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    model = getattr(torchvision.models, name)(weights=None, num_classes=CLASSES, **extra)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            # Mostly open ReLUs: a random network with closed ones magnifies each rounding from layer to layer.
            nn.init.constant_(module.bias, 1.5)
            module.momentum = None
    return model


@torch.no_grad()
def calibrated(model):
    """Prepare, set all ranges, and solve for the last layer (ridge regression), so that the logits mean something."""
    prepared = placement.prepare(model.train(), SCHEME)
    x = normalised(images(0))
    for _ in range(2):
        prepared(x)
    head = [module for module in prepared.eval().modules() if isinstance(module, nn.Linear)][-1]
    seen = []
    handle = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    prepared(x)
    handle.remove()
    centre = seen[0].mean(0)
    features = seen[0] - centre
    gram = features @ features.T
    target = torch.eye(CLASSES).repeat(EACH, 1) - 1 / CLASSES
    solved = torch.linalg.solve(gram + 0.1 * gram.diagonal().mean() * torch.eye(len(gram)), target)
    head.weight.copy_((features.T @ solved).T)
    head.bias.copy_(-head.weight @ centre)
    return prepared


@torch.no_grad()
@pytest.mark.parametrize(("name", "stays_float"), networks)
def test_every_convolution_runs_in_integers_and_the_answers_are_the_same(tmp_path, name, stays_float):
    model = built(name)
    prepared = calibrated(model)
    path = tmp_path / "model.onnx"
    x = images(1)
    lowered = lowering.lower(prepared, mean=MEAN, std=STD)
    onnx_graph.write(program.export(lowered, x[:2]), path, metadata={})

    integers, floats = arithmetic(operators(path))
    assert integers["QLinearConv"] == sum(isinstance(module, nn.Conv2d) for module in model.modules())
    assert integers["QGemm"] == sum(isinstance(module, nn.Linear) for module in model.modules())
    assert set(floats) == stays_float

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found = torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])
    expected = prepared(normalised(x))
    spread = expected.std(0).mean()
    assert (found.argmax(1) == expected.argmax(1)).float().mean() >= 0.975
    assert (found - expected).abs().max() < 0.6 * spread
    assert (found - expected).square().mean().sqrt() < 0.15 * spread

"""Where quantisers stand in networks that are not built like ours, and what is said to stay in float."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from pipeline.engine import lowering, onnx_graph, placement, program, tracing
from pipeline.runtimes.onnxruntime import arithmetic, operators

MEAN, STD = (0.5,) * 3, (0.25,) * 3


def images(count=16):
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def normalised(x):
    return (x / 255 - 0.5) / 0.25


class Network(nn.Module):
    """A convolution, something of the test's own, a convolution, an average and a linear layer."""

    def __init__(self, middle, width=8):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(width, 8, 1)
        self.middle, self.head = middle, nn.Linear(8, 10)
        self.module = middle if isinstance(middle, nn.Module) else None

    def forward(self, x):
        return self.head(self.second(self.middle(self.first(x))).mean((2, 3)))


@torch.no_grad()
def calibrated(model, **scheme):
    torch.manual_seed(0)
    prepared = placement.prepare(model.train(), placement.Scheme(**scheme))
    for _ in range(2):
        prepared(normalised(images()))
    return prepared.eval()


def quantizers(prepared):
    return [name for name, _ in prepared.get_submodule(placement.QUANTIZERS).named_children()]


def deployed(prepared, tmp_path):
    lowered = lowering.lower(prepared, mean=MEAN, std=STD)
    onnx_graph.write(program.export(lowered, images(2)), tmp_path / "model.onnx", metadata={})
    return lowered, arithmetic(operators(tmp_path / "model.onnx"))


clips = [
    nn.ReLU6(),
    nn.Hardtanh(0, 1),
    F.relu6,
    lambda x: F.hardtanh(x, 0, 1),
    lambda x: x.clamp(0, 6),
    lambda x: torch.clamp(x, max=0.5),
]
bounds = [(0, 6), (0, 1), (0, 6), (0, 1), (0, 6), (-torch.inf, 0.5)]


@pytest.mark.parametrize(("clip", "expected"), list(zip(clips, bounds, strict=True)))
def test_a_clip_in_any_spelling_ends_a_chain_and_is_left_to_the_quantiser(clip, expected):
    prepared = calibrated(Network(clip))
    found = [tracing.clip_bounds(node) for node in prepared.graph.nodes]
    assert [pair for pair in found if pair] == [expected]
    assert len(quantizers(prepared)) == 4  # the image, the clip, the second convolution, the average
    with torch.no_grad():
        lowered = lowering.lower(prepared, mean=MEAN, std=STD)
        assert not any(tracing.clip_bounds(node) for node in lowered.graph.nodes)
        torch.testing.assert_close(lowered(images()), prepared(normalised(images())), rtol=0.02, atol=0.01)


@torch.no_grad()
def test_a_clip_narrower_than_the_grid_stays_and_the_convolution_is_an_integer_one(tmp_path):
    prepared = calibrated(Network(lambda x: x.clamp(-0.3, 0.3)))
    quantizer = prepared.get_submodule(placement.QUANTIZERS).get_submodule("clamp")
    quantizer.scale.mul_(2)  # as a learned step may
    lowered, (integers, floats) = deployed(prepared, tmp_path)
    assert sum(tracing.clip_bounds(node) is not None for node in lowered.graph.nodes) == 1
    assert (integers["QLinearConv"], dict(floats)) == (2, {"Clip": 1})
    torch.testing.assert_close(lowered(images()), prepared(normalised(images())), rtol=0.02, atol=0.01)


class SqueezeExcitation(nn.Module):
    def __init__(self):
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(x, 1)))))


class Branches(nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 4, 3, padding=1, groups=2)

    def forward(self, x):
        left, right = x.chunk(2, dim=1)
        return torch.cat([F.avg_pool2d(self.left(left), 2), F.max_pool2d(self.right(right), 2)], dim=1)


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        (SqueezeExcitation(), {"QLinearConv": 4, "QLinearMul": 1, "QLinearSigmoid": 1, "QLinearGlobalAveragePool": 2}),
        (Branches(), {"QLinearConv": 4, "QLinearConcat": 1, "QLinearAveragePool": 1, "QLinearGlobalAveragePool": 1}),
    ],
    ids=["squeeze and excitation", "split, depthwise and grouped convolutions, concatenation"],
)
@torch.no_grad()
def test_products_concatenations_and_poolings_run_in_integers(tmp_path, middle, expected):
    prepared = calibrated(Network(middle))
    assert placement.float_operations(prepared) == []
    lowered, (integers, floats) = deployed(prepared, tmp_path)
    assert dict(integers) == expected | {"QGemm": 1}
    assert not floats
    torch.testing.assert_close(lowered(images()), prepared(normalised(images())), rtol=0.02, atol=0.01)


def test_functional_dropout_follows_the_mode_and_is_gone_when_deployed():
    class Dropping(nn.Module):
        def forward(self, x):
            return F.dropout(x, 0.9, training=self.training)

    prepared = calibrated(Network(Dropping()))
    x = normalised(images())
    with torch.no_grad():
        assert torch.equal(prepared(x), prepared(x))
        assert not torch.equal(prepared.train()(x), prepared(x))
    lowered = lowering.lower(prepared.eval(), mean=MEAN, std=STD)
    assert not any(isinstance(module, nn.Dropout) for module in lowered.modules())


def test_what_drops_paths_follows_the_mode_and_costs_no_quantiser_of_its_own():
    prepared = calibrated(Network(torchvision.ops.StochasticDepth(0.5, "row")))
    x = normalised(images())
    assert len(quantizers(prepared)) == 4
    with torch.no_grad():
        assert torch.equal(prepared(x), prepared(x))
        assert not torch.equal(prepared.train()(x), prepared(x))


def test_the_branch_that_evaluation_takes_is_the_one_that_is_prepared():
    class Auxiliary(nn.Module):
        def forward(self, x):
            return x * torch.nan if self.training else x

    with torch.no_grad():
        assert calibrated(Network(Auxiliary())).train()(normalised(images())).isfinite().all()


def test_sizes_are_no_activations():
    class Shuffle(nn.Module):
        def forward(self, x):
            count, channels = x.size(0), x.shape[1]
            return x.view(count, 2, channels // 2, -1).transpose(1, 2).reshape(count, channels, x.size(2) * 1, -1)

    assert len(quantizers(calibrated(Network(Shuffle())))) == 4


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return x * self.gamma


@pytest.mark.parametrize(
    ("middle", "width", "what", "reason"),
    [
        (nn.Hardswish(), 8, "Hardswish", "no INT8 form"),
        (nn.ConvTranspose2d(8, 8, 2), 8, "ConvTranspose2d", "no INT8 form"),
        (nn.Conv2d(8, 8, 3, padding=1, padding_mode="reflect"), 8, "Conv2d with reflect padding", "zeros"),
        (nn.Sequential(nn.Hardswish(), nn.BatchNorm2d(8)), 8, "BatchNorm2d", "no convolution"),
        (Scaled(), 8, "mul", "a parameter"),
        (nn.Sequential(nn.SiLU(), nn.ReLU(), nn.SiLU()), 8, "ReLU", "no layer"),
    ],
)
def test_what_stays_in_float_is_named_with_the_reason(middle, width, what, reason):
    found = placement.float_operations(calibrated(Network(middle, width)))
    (operation,) = [operation for operation in found if operation.what == what]
    assert reason in operation.reason
    assert operation.name


def test_layers_that_the_recipe_leaves_in_float_are_named_so():
    found = placement.float_operations(calibrated(Network(nn.ReLU()), first_last="float"))
    assert [(operation.name, operation.what) for operation in found] == [("first", "Conv2d"), ("head", "Linear")]
    assert all("recipe" in operation.reason for operation in found)

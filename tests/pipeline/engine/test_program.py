"""A checkpoint opens without the code that built the network, and a made-up one can do no harm."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import pipeline
from pipeline import catalog
from pipeline.backbones.wrn_28_10 import PreActivationBlock
from pipeline.compact import file
from pipeline.engine import integer, lowering, placement, program
from pipeline.errors import CheckpointError, ExportError
from tests.pipeline.engine import test_unseen_backbones as unseen
from tests.pipeline.exports import recorded

MEAN, STD = (0.5, 0.4, 0.3), (0.25, 0.2, 0.3)
OURS = [("tiny", 8), ("resnet20", 32), ("resnet18", 32), ("vgg16_bn", 32)]


def images(count, side, seed=0):
    return torch.randint(
        0, 256, (count, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def calibrated(model, side):
    model = placement.prepare(model.train())
    with torch.no_grad():
        model(images(4, side, seed=1) / 255 - 0.5)
    return model


def reopened(lowered, example):
    return program.read(program.write(program.export(lowered, example)), lowered.state_dict())


@torch.no_grad()
def assert_reopens(model, side):
    lowered = lowering.lower(model, mean=MEAN, std=STD)
    again = reopened(lowered, images(2, side))
    for count in (1, 3):
        assert torch.equal(again(images(count, side)), lowered(images(count, side)))
    assert not again.training
    found, expected = again.state_dict(), lowered.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(("name", "side"), OURS)
def test_our_backbones_open_again_and_answer_bit_for_bit(name, side):
    torch.manual_seed(0)
    assert_reopens(calibrated(catalog.load("backbones", name).build(num_classes=10, in_channels=3), side), side)


def test_a_wide_resnet_with_batch_norms_that_stay_opens_again():
    torch.manual_seed(0)
    blocks = [PreActivationBlock(3, 8, 1), PreActivationBlock(8, 16, 2), nn.BatchNorm2d(16), nn.ReLU()]
    assert_reopens(calibrated(nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)), 16), 16)


def test_a_float_network_opens_again():
    assert_reopens(catalog.load("backbones", "tiny").build(num_classes=10, in_channels=3).eval(), 8)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "googlenet", "shufflenet_v2_x0_5"])
def test_networks_that_are_not_ours_open_again(name):
    assert_reopens(calibrated(unseen.built(name), unseen.SIDE), unseen.SIDE)


def test_a_network_with_a_constant_and_arithmetic_on_sizes_opens_again():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("kept", torch.tensor([1.0, float("inf"), -2.0]), persistent=False)

        def forward(self, x):
            n, c, h, w = x.shape
            low, high = x.float().view(n * c, h * w).chunk(2, dim=1)
            return (low.sum(1) - high.amax(1)).view(n, c).clamp(-float("inf"), 9.0) + self.kept * n

    assert torch.equal(reopened(Odd(), images(2, 4))(images(5, 4)), Odd()(images(5, 4)))


def test_what_an_image_is_is_checked():
    network = pipeline.load(recorded.network() / recorded.KINDS["checkpoint"])
    with pytest.raises(
        ValueError, match=r"takes raw images, uint8 \(N, 1, 8, 8\) .* these are float32 \(2, 1, 8, 8\)\."
    ):
        network(torch.zeros(2, 1, 8, 8))
    with pytest.raises(ValueError, match=r"these are uint8 \(2, 1, 9, 8\)"):
        network(torch.zeros(2, 1, 9, 8, dtype=torch.uint8))


def test_a_loaded_checkpoint_gives_the_lowered_networks_logits():
    with np.load(recorded.network() / recorded.KINDS["samples"]) as samples:
        network = pipeline.load(recorded.network() / recorded.KINDS["checkpoint"])
        assert np.array_equal(network(torch.from_numpy(samples["images"])).numpy(), samples["logits"])


def test_arrays_are_read_without_torch_and_nothing_is_imported_before():
    script = (
        "import pipeline, sys\n"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules)\n"
        "arrays, metadata = pipeline.load_arrays(sys.argv[1])\n"
        "assert 'torch' not in sys.modules\n"
        "print(arrays['conv1.weight'].dtype, metadata['shape'])\n"
    )
    path = recorded.network() / recorded.KINDS["checkpoint"]
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == ["int8", "[1, 8, 8]\n"]


def test_a_checkpoint_opens_without_any_backbone_or_recipe():
    script = (
        "import pipeline, sys, torch\n"
        "pipeline.load(sys.argv[1])(torch.zeros(2, 1, 8, 8, dtype=torch.uint8))\n"
        "assert not [name for name in sys.modules if name.startswith(('pipeline.backbones', 'pipeline.recipe'))]\n"
    )
    path = recorded.network() / recorded.KINDS["checkpoint"]
    subprocess.run([sys.executable, "-c", script, path], check=True, cwd=Path(recorded.__file__).parents[3])


def written(nodes, output=None, shape=(1, 2, 2), number=program.FORMAT):
    return json.dumps([number, shape, nodes, {"node": len(nodes)} if output is None else output])


IMAGES = {"node": 0}
FLOATS = ["aten._to_copy.default", [IMAGES], {"dtype": {"dtype": "float32"}}]


def test_a_program_written_by_hand_is_read():
    double = ["aten.mul.Tensor", [{"node": 1}, {"tensor": "a.b"}], {}]
    network = program.read(written([FLOATS, double]), {"a.b": torch.tensor(2.0)})
    assert torch.equal(network(torch.ones(1, 1, 2, 2, dtype=torch.uint8)), torch.full((1, 1, 2, 2), 2.0))


@pytest.mark.parametrize(
    ("nodes", "said"),
    [
        ([["os.system", ["true"], {}]], "calls 'os.system', which no program may"),
        ([["aten.from_file.default", ["/etc/passwd"], {}]], "calls 'aten.from_file.default'"),
        ([["aten.__class__.__init__", [], {}]], "which no program may"),
        ([["aten.no_such.default", [IMAGES], {}]], "which no program may"),
        ([["aten.add", [IMAGES, IMAGES], {}]], "which no program may"),
        ([["aten.a::b.c", [], {}]], "which no program may"),
        ([["operator.attrgetter", ["x"], {}]], "which no program may"),
        ([["profiler._record_function_enter.default", ["x"], {}]], "which no program may"),
        ([["aten.relu.default", [{"node": 2}], {}], FLOATS], "refers to the result 2, which is not there yet"),
        ([["aten.relu.default", [{"node": 1}], {}]], "refers to the result 1"),
        ([["aten.relu.default", [{"node": -1}], {}]], "refers to the result -1"),
        ([["aten.relu.default", [{"tensor": "gone"}], {}]], "needs the tensor 'gone', which the file does not hold"),
        ([["aten.relu.default", [{"tensor": 'x", print()#'}], {}]], "holds more than letters"),
        ([["aten.relu.default", [{"code": "x"}], {}]], "unknown kind 'code'"),
        ([["aten.relu.default", [{"node": 0, "tensor": "x"}], {}]], "damaged"),
        ([["aten.relu.default", [], {}]], "cannot be executed"),
        ([["aten.relu.default", [IMAGES, 1, 2], {}]], "cannot be executed"),
        ([["aten.relu.default", [IMAGES], {"x=print()": 1}]], "a keyword that it does not have"),
        ([["aten._to_copy.default", [IMAGES], {"dtype": {"dtype": "complex"}}]], "damaged"),
        ([["aten.relu.default", [{"constant": ["float32", [9], "00000"]}], {}]], "damaged"),
        ([["aten.relu.default", [IMAGES], {}]], "does not give float32 logits"),
        ([["aten.full.default", [[10**12], 1.0], {}]], "cannot be executed"),
        (["relu"], "damaged"),
    ],
)
def test_a_hostile_program_is_refused_in_one_sentence(nodes, said):
    with pytest.raises(CheckpointError, match=said) as caught:
        program.read(written(nodes), {'x", print()#': torch.zeros(1)})
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "", "no JSON", "[" * 100_000, "[]",
        written([], number=program.FORMAT + 1), written([FLOATS], shape=(1, 2)), written([FLOATS], shape=(10**6,) * 3),
    ],
)  # fmt: skip
def test_damaged_text_is_refused(text):
    with pytest.raises(CheckpointError, match="its program "):
        program.read(text, {})


def test_a_file_that_is_no_network_is_named(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        pipeline.load(path)
    file.write(path, {"a": np.zeros(2, np.float32)}, {})
    with pytest.raises(CheckpointError, match=r"x\.safetensors' holds tensors alone, without the network's program"):
        pipeline.load(path)
    file.write(path, {"a": np.zeros(2, np.float32)}, {"program": "0"})
    with pytest.raises(CheckpointError, match=r"x\.safetensors' cannot be opened as a network: its program is damaged"):
        pipeline.load(path)


def test_what_a_program_cannot_hold_is_said_when_it_is_written():
    class Random(nn.Module):
        def forward(self, x):
            return torch.ops.aten.bernoulli_(x.float(), 0.5)

    class Two(nn.Module):
        def forward(self, x):
            return x.float(), x.float()

    class Branching(nn.Module):
        def forward(self, x):
            return x.float() if x.sum() > 0 else -x.float()

    with pytest.raises(ExportError, match="must map one tensor to one tensor"):
        program.write(program.export(Two(), images(2, 4)))
    with pytest.raises(ExportError, match=r"cannot be traced by torch\.export"):
        program.export(Branching(), images(2, 4))
    with pytest.raises(ExportError, match="which the program of a checkpoint cannot hold"):
        program.write(program.export(Random(), images(2, 4)))


@torch.no_grad()
def test_a_plain_program_has_no_operator_of_ours_and_answers_alike():
    lowered = lowering.lower(
        calibrated(catalog.load("backbones", "tiny").build(num_classes=5, in_channels=3), 8), mean=MEAN, std=STD
    )
    plain = program.plain(program.export(lowered, images(2, 8)))
    assert not [node for node in plain.graph.nodes if integer.LIBRARY in str(node.target).split(".")]
    assert torch.equal(plain.module()(images(3, 8)), lowered(images(3, 8)))
    with pytest.raises(RuntimeError, match="dtype"):
        plain.module()(images(3, 8) / 255)

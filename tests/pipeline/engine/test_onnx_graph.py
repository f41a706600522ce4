import warnings
from importlib import import_module

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.engine import lowering, onnx_graph, placement, program
from pipeline.errors import ExportError
from pipeline.runtimes.onnxruntime import operators
from tests.processor import SCHEME

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def images(count, side=32):
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)


def normalised(x):
    return (x / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def prepared(name, side=32):
    torch.manual_seed(0)
    backbone = import_module(f"pipeline.backbones.{name}").build(num_classes=10, in_channels=3)
    model = placement.prepare(backbone, SCHEME)
    with torch.no_grad():
        model(normalised(images(4, side)))
    return model.eval()


def run(path, x):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": x.numpy()})[0])


def written(model, path, side=32, **metadata):
    lowered = lowering.lower(model, mean=MEAN, std=STD)
    onnx_graph.write(program.export(lowered, images(1, side)), path, metadata=metadata)
    return path


@pytest.fixture(scope="module")
def trained():
    """A tiny network that classifies images by the brighter channel, with awkward batch normalisation."""
    model = prepared("tiny", side=8).train()
    model.bn1.weight.data[0], model.bn1.weight.data[1] = -0.5, 0.0
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(20):
        x = images(64, side=8)
        optimiser.zero_grad()
        F.cross_entropy(model(normalised(x)), x.float().mean((2, 3)).argmax(1)).backward()
        optimiser.step()
    return model.eval()


@pytest.fixture(scope="module")
def tiny_path(trained, tmp_path_factory):
    return written(trained, tmp_path_factory.mktemp("onnx") / "tiny.onnx", side=8, recipe="pqd", seed="0")


@pytest.fixture(scope="module")
def deep():
    return prepared("resnet20")


@pytest.fixture(scope="module")
def deep_path(deep, tmp_path_factory):
    return written(deep, tmp_path_factory.mktemp("onnx") / "resnet20.onnx")


@torch.no_grad()
def test_onnx_runtime_agrees_with_the_prepared_network(trained, tiny_path):
    x = images(2000, side=8)
    expected, found = trained(normalised(x)), run(tiny_path, x)
    assert (found - expected).abs().max() < 0.03 * expected.abs().max()
    assert (found.argmax(1) == expected.argmax(1)).float().mean() >= 0.995


@torch.no_grad()
def test_a_deep_network_agrees_too(deep, deep_path):
    x = images(32)
    expected, found = deep(normalised(x)), run(deep_path, x)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()


def test_batches_of_any_size_run_and_the_names_are_fixed(tiny_path):
    for count in (1, 2, 5):
        assert run(tiny_path, images(count, side=8)).shape == (count, 10)
    graph = onnx.load(tiny_path).graph
    assert [value.name for value in graph.input] == ["images"]
    assert [value.name for value in graph.output] == ["logits"]
    assert graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_one_image_gives_what_it_gives_in_a_batch(tiny_path):
    x = images(4, side=8)
    np.testing.assert_array_equal(run(tiny_path, x)[2:3], run(tiny_path, x[2:3]))


def test_metadata_can_be_read_back(tiny_path):
    assert {entry.key: entry.value for entry in onnx.load(tiny_path).metadata_props} == {"recipe": "pqd", "seed": "0"}


def test_weights_are_stored_once_as_int8(trained, tiny_path):
    stored = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(tiny_path).graph.initializer]
    codes = lowering.integer_weights(lowering.lower(trained, mean=MEAN, std=STD))
    for weight in codes.values():
        same = [array for array in stored if array.dtype == np.int8 and np.array_equal(array, weight.numpy())]
        assert len(same) == 1
    assert max(array.size for array in stored if array.dtype == np.float32) <= 16


FLOAT = {
    *("Conv", "FusedConv", "Gemm", "MatMul", "Add", "Relu", "BatchNormalization"),
    *("GlobalAveragePool", "ReduceMean", "Gather", "Shape"),
}


def integers(counts):
    return tuple(counts[name] for name in ("QLinearConv", "QLinearAdd", "QLinearGlobalAveragePool", "QGemm"))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "convolutions", "additions"), [("resnet18", 20, 8), ("vgg16_bn", 13, 0)])
def test_every_layer_runs_in_integers(tmp_path, name, convolutions, additions):
    counts = operators(written(prepared(name), tmp_path / "model.onnx"))
    assert integers(counts) == (convolutions, additions, 1, 1)
    assert not FLOAT & set(counts)


def test_resnet20_runs_in_integers_with_its_zero_padded_shortcuts(deep_path):
    counts = operators(deep_path)
    assert integers(counts) == (19, 9, 1, 1)
    assert not FLOAT & set(counts)


def test_tiny_runs_in_integers(tiny_path):
    counts = operators(tiny_path)
    assert integers(counts) == (3, 1, 1, 1)
    assert not FLOAT & set(counts)


@pytest.mark.slow
def test_a_wide_resnet_keeps_only_its_pre_activation_batch_norms(tmp_path):
    path = written(prepared("wrn_28_10", side=8), tmp_path / "model.onnx", side=8)
    counts = operators(path)
    assert integers(counts) == (28, 12, 1, 1)
    assert counts["BatchNormalization"] == 12
    assert not (FLOAT - {"BatchNormalization", "Relu"}) & set(counts)


def test_the_integer_file_is_a_quarter_of_the_float_one(deep_path, tmp_path):
    model = import_module("pipeline.backbones.resnet20").build(num_classes=10, in_channels=3)
    full = written(model, tmp_path / "float.onnx").stat().st_size
    small = deep_path.stat().st_size
    assert full == pytest.approx(4 * 269_722, rel=0.03)
    assert small < 0.29 * full  # a resnet20 is small: its graph and scales weigh 10 % of its codes
    counts = operators(tmp_path / "float.onnx")
    assert counts["Conv"] + counts["FusedConv"] == 19
    assert counts["BatchNormalization"] == 0


def test_writing_is_silent_and_replaces_an_older_file_whole(trained, tmp_path, capfd):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        written(trained, path, side=8)
    assert capfd.readouterr() == ("", "")
    onnx.checker.check_model(onnx.load(path))
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(trained, tmp_path):
    (tmp_path / "model.onnx").mkdir()
    with pytest.raises(ExportError, match=r"model\.onnx"):
        written(trained, tmp_path / "model.onnx", side=8)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.onnx"]


def test_a_network_that_onnx_cannot_express_is_refused(tmp_path):
    class Sorted(nn.Module):
        def forward(self, x):
            return torch.linalg.eigvals(x.float()).real.flatten(1)

    with pytest.raises(ExportError, match="ONNX"):
        onnx_graph.write(program.export(Sorted(), images(1, side=8)), tmp_path / "model.onnx", metadata={})
    assert not list(tmp_path.iterdir())

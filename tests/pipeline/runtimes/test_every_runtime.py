import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch

from pipeline import catalog
from pipeline.backbones import tiny
from pipeline.engine import lowering, onnx_graph, placement, program
from pipeline.errors import MeasurementError
from tests.pipeline.runtimes import tiny_checkpoint, tiny_onnx
from tests.processor import SCHEME

# That one compiles at its first call, and has tests of its own.
names = [name for name in catalog.names("runtimes") if name != "inductor"]


@pytest.fixture(params=names)
def runtime(request):
    if absent := catalog.missing("runtimes", request.param):
        pytest.skip(f"{absent} is not installed")
    return catalog.load("runtimes", request.param)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    return {
        "onnx": tiny_onnx.write(folder / "tiny.onnx"),
        "checkpoint": tiny_checkpoint.write(folder / "tiny.safetensors"),
    }


@pytest.fixture
def path(runtime, paths):
    return paths[runtime.READS]


@pytest.fixture(scope="module")
def integer_paths(tmp_path_factory):
    """Give the files of a real network, lowered to INT8: three convolutions and a linear layer."""
    folder = tmp_path_factory.mktemp("integer")
    torch.manual_seed(0)
    model = placement.prepare(tiny.build(num_classes=10, in_channels=3), SCHEME)
    with torch.no_grad():
        model(torch.randn(8, 3, 8, 8))
    lowered = lowering.lower(model.eval(), mean=(0.5,) * 3, std=(0.25,) * 3)
    onnx_graph.write(
        program.export(lowered, torch.zeros((1, 3, 8, 8), dtype=torch.uint8)), folder / "int8.onnx", metadata={}
    )
    return {
        "onnx": folder / "int8.onnx",
        "checkpoint": tiny_checkpoint.write(folder / "int8.safetensors", lowered),
    }


@pytest.mark.parametrize("batch", [1, 7])
def test_raw_images_of_any_number_become_logits(runtime, path, batch):
    images = np.random.default_rng(batch).integers(0, 256, (batch, 3, 8, 8), dtype=np.uint8)
    logits = runtime.load(path, threads=1).predict(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, images.mean((2, 3)), rtol=1e-5)


def test_more_threads_give_the_same_logits(runtime, path):
    images = np.full((4, 3, 8, 8), 9, np.uint8)
    one, two = (runtime.load(path, threads=threads).predict(images) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_each_runtime_tells_in_what_precision_it_computes(runtime, path, integer_paths):
    images = np.zeros((1, 3, 8, 8), np.uint8)
    found = []
    for each in (path, integer_paths[runtime.READS]):
        loaded = runtime.load(each, threads=1)
        loaded.predict(images)
        found.append(loaded.precision())
    # Torch has no integer convolution: it multiplies the scaled codes as floats.
    assert found == [{"float32": 2}, {"float32" if runtime.READS == "checkpoint" else "int8": 4}]


def test_a_file_that_cannot_be_opened_is_named_in_one_sentence(runtime, tmp_path, path):
    cut = tmp_path / "cut"
    cut.write_bytes(path.read_bytes()[:-40])
    for broken in (cut, tmp_path / "absent", tiny_onnx.write(tmp_path / "odd.onnx", operator="NoSuchOperator")):
        with pytest.raises(MeasurementError) as caught:
            runtime.load(broken, threads=1)
        assert str(broken) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_images_that_the_file_does_not_take_are_refused_in_one_sentence(runtime, path):
    predict = runtime.load(path, threads=1).predict
    for images in (np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 5, 8, 8), np.uint8)):
        with pytest.raises(MeasurementError, match="cannot execute") as caught:
            predict(images)
        assert "\n" not in str(caught.value)


def test_the_catalogue_knows_what_it_reads_without_importing_it(runtime):
    name = runtime.__name__.rpartition(".")[2]
    assert catalog.constant("runtimes", name, "READS") == runtime.READS in ("onnx", "checkpoint")
    assert catalog.constant("runtimes", name, "REQUIRES") == runtime.REQUIRES == (name,)


def test_the_version_is_that_of_the_package(runtime):
    assert runtime.version() == version(runtime.REQUIRES[0])


def test_torch_is_left_as_it_was_by_its_runtime(paths):
    code = (
        "import sys, numpy, torch; from pathlib import Path; from pipeline.runtimes import torch as runtime;"
        "facts = lambda: (torch.get_num_threads(), float(torch.tensor(1e-40) * 0.5) > 0);"
        "before = facts();"
        "loaded = runtime.load(Path(sys.argv[1]), threads=before[0] + 1);"
        "loaded.predict(numpy.zeros((1, 3, 8, 8), numpy.uint8));"
        "print(before == facts(), before[1])"
    )
    # In a process of its own: ONNX Runtime leaves the thread that calls it with denormal numbers taken as zero.
    ran = subprocess.run([sys.executable, "-c", code, paths["checkpoint"]], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]


def test_neither_torch_nor_the_runtime_is_imported_before_a_file_is_opened():
    code = (
        "import sys; from pipeline.runtimes import onnxruntime, openvino, torch; onnxruntime.version();"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'openvino') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from pipeline import catalog
from pipeline.errors import MeasurementError
from tests.pipeline.runtimes import tiny_onnx


@pytest.fixture(params=catalog.names("runtimes"))
def runtime(request):
    if absent := catalog.missing("runtimes", request.param):
        pytest.skip(f"{absent} is not installed")
    return catalog.load("runtimes", request.param)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_onnx.write(tmp_path_factory.mktemp("onnx") / "tiny.onnx")


@pytest.mark.parametrize("batch", [1, 7])
def test_raw_images_of_any_number_become_logits(runtime, path, batch):
    images = np.random.default_rng(batch).integers(0, 256, (batch, 3, 8, 8), dtype=np.uint8)
    logits = runtime.load(path, threads=1)(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, images.mean((2, 3)), rtol=1e-5)


def test_more_threads_give_the_same_logits(runtime, path):
    images = np.full((4, 3, 8, 8), 9, np.uint8)
    one, two = (runtime.load(path, threads=threads)(images) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_a_file_that_cannot_be_opened_is_named_in_one_sentence(runtime, tmp_path, path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:-40])
    for broken in (cut, tmp_path / "absent.onnx", tiny_onnx.write(tmp_path / "odd.onnx", operator="NoSuchOperator")):
        with pytest.raises(MeasurementError) as caught:
            runtime.load(broken, threads=1)
        assert str(broken) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_images_that_the_file_does_not_take_are_refused_in_one_sentence(runtime, path):
    predict = runtime.load(path, threads=1)
    for images in (np.zeros((1, 3, 8, 8), np.float32), np.zeros((1, 5, 8, 8), np.uint8)):
        with pytest.raises(MeasurementError, match="cannot execute") as caught:
            predict(images)
        assert "\n" not in str(caught.value)


def test_the_catalogue_knows_what_it_reads_without_importing_it(runtime):
    name = runtime.__name__.rpartition(".")[2]
    assert catalog.constant("runtimes", name, "READS") == "onnx" == runtime.READS
    assert catalog.constant("runtimes", name, "REQUIRES") == runtime.REQUIRES == (name,)


def test_the_version_is_that_of_the_package(runtime):
    assert runtime.version() == version(runtime.REQUIRES[0])


def test_neither_torch_nor_the_runtime_is_imported_before_a_file_is_opened():
    code = (
        "import sys; from pipeline.runtimes import onnxruntime, openvino; onnxruntime.version();"
        "print([name for name in ('torch', 'onnx', 'onnxruntime', 'openvino') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

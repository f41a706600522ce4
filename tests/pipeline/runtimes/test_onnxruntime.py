import subprocess
import sys

import numpy as np
import pytest

from pipeline import catalog
from pipeline.errors import MeasurementError
from pipeline.runtimes import onnxruntime
from tests.pipeline.runtimes import tiny_onnx


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tiny_onnx.write(tmp_path_factory.mktemp("onnx") / "tiny.onnx")


@pytest.mark.parametrize("batch", [1, 7])
def test_raw_images_of_any_number_become_logits(path, batch):
    images = np.random.default_rng(batch).integers(0, 256, (batch, 3, 8, 8), dtype=np.uint8)
    logits = onnxruntime.load(path, threads=1)(images)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, images.mean((2, 3)), rtol=1e-5)


def test_more_threads_give_the_same_logits(path):
    images = np.full((4, 3, 8, 8), 9, np.uint8)
    one, two = (onnxruntime.load(path, threads=threads)(images) for threads in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-6)


def test_a_file_that_cannot_be_opened_is_named_in_one_sentence(tmp_path, path):
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(path.read_bytes()[:-40])
    for broken in (cut, tmp_path / "absent.onnx", tiny_onnx.write(tmp_path / "odd.onnx", operator="NoSuchOperator")):
        with pytest.raises(MeasurementError) as caught:
            onnxruntime.load(broken, threads=1)
        assert str(broken) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_it_is_in_the_catalogue_with_what_it_reads():
    assert catalog.constant("runtimes", "onnxruntime", "READS") == "onnx"
    assert catalog.load("runtimes", "onnxruntime") is onnxruntime
    assert catalog.missing("runtimes", "onnxruntime") == []


def test_the_version_is_that_of_the_package():
    import onnxruntime as package

    assert onnxruntime.version() == package.__version__


def test_neither_torch_nor_the_runtime_is_imported_before_a_file_is_opened():
    code = (
        "import sys; from pipeline.runtimes import onnxruntime; onnxruntime.version();"
        "print([name for name in ('torch', 'onnx', 'onnxruntime') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

from pathlib import Path

import numpy as np
import pytest
import torch
from torch._inductor import codecache

from pipeline.backbones import tiny
from pipeline.compact import file
from pipeline.engine import lowering, placement, program
from pipeline.errors import MeasurementError
from pipeline.runtimes import inductor
from tests.processor import SCHEME


def images(count, side=8):
    return np.random.default_rng(count).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def write(path, *, prepare):
    """Write the compact checkpoint of a small network; returns it and the network as torch answers."""
    torch.manual_seed(0)
    model = tiny.build(num_classes=10, in_channels=3)
    if prepare:
        model = placement.prepare(model, SCHEME)
        with torch.no_grad():
            model(torch.from_numpy(images(16)) / 128 - 1)
    lowered = lowering.lower(model.eval(), mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))
    text = program.write(program.export(lowered, torch.from_numpy(images(1))))
    file.write(path, {name: tensor.numpy() for name, tensor in lowered.state_dict().items()}, {"program": text})
    return path, lowered


@pytest.mark.slow
def test_compiled_networks_answer_as_torch_does_in_the_precision_that_they_tell(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    threads = torch.get_num_threads()
    flushed = float(torch.tensor(1e-40).mul(0.5)) == 0.0
    for kind, prepare in (("int8", True), ("float32", False)):
        path, lowered = write(tmp_path / f"{kind}.safetensors", prepare=prepare)
        loaded = inductor.load(path, threads=1)
        assert loaded.precision() == {kind: 4}
        found, expected = loaded.predict(images(6)), lowered(torch.from_numpy(images(6))).numpy()
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=0.02 * abs(expected).max())
        # A smaller batch is answered by the same code, in whatever order its numbers lie in memory.
        compiled = codecache.counters["inductor"]["extern_calls"]
        np.testing.assert_array_equal(loaded.predict(np.asfortranarray(images(6))[:2]), found[:2])
        assert codecache.counters["inductor"]["extern_calls"] == compiled
    assert codecache.counters["inductor"]["qconv_unary_lower_count"] == 3
    larger = np.concatenate((images(6), images(3)))
    np.testing.assert_array_equal(loaded.predict(larger)[:6], found)
    assert torch.get_num_threads() == threads
    assert (float(torch.tensor(1e-40).mul(0.5)) == 0.0) == flushed
    assert not list((tmp_path / "cache").glob("**/*"))


def test_images_that_the_network_does_not_take_are_refused_in_one_sentence(tmp_path):
    predict = inductor.load(write(tmp_path / "tiny.safetensors", prepare=True)[0], threads=1).predict
    for wrong in (images(1).astype(np.float32), images(1, side=9)):
        with pytest.raises(MeasurementError, match="takes raw images, uint8") as caught:
            predict(wrong)
        assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_opened_is_named_in_one_sentence(tmp_path):
    path, _ = write(tmp_path / "tiny.safetensors", prepare=True)
    path.write_bytes(path.read_bytes()[:-40])
    for broken in (path, tmp_path / "absent.safetensors"):
        with pytest.raises(MeasurementError) as caught:
            inductor.load(broken, threads=1)
        assert str(broken) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_without_a_compiler_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("torch._inductor.config.cpp.cxx", ("no-such-compiler",))
    from torch._inductor import cpp_builder

    cpp_builder.cpp_compiler_search.cache_clear()
    with pytest.raises(MeasurementError, match=r"found no C\+\+ compiler; install"):
        inductor.load(Path("any"), threads=1)

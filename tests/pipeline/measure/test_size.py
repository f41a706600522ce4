import numpy as np
import pytest

from pipeline.compact import file
from pipeline.errors import CheckpointError
from pipeline.measure.size import checkpoint_size

TENSORS = {
    "conv.weight": np.array([[0, 1, -127], [0, 0, 5]], np.int8),
    "conv.bias": np.array([0, 7], np.int32),
    "conv.weight_scale": np.ones(2, np.float32),
    "norm.factor": np.array([1.5], np.float32),
    "norm.offset": np.array([0.0], np.float32),
    "input.scale": np.ones((), np.float32),
    "input.zero_point": np.ones((), np.uint8),
    "input_normalization.mean": np.ones(3, np.float32),
}


def test_weights_and_biases_are_counted_and_scales_are_not(tmp_path):
    path = tmp_path / "a.safetensors"
    file.write(path, TENSORS, {})
    found = checkpoint_size(path)
    assert found.size_bytes == path.stat().st_size
    assert found.num_parameters == 6 + 2 + 2
    assert found.num_nonzero == 3 + 1 + 1
    assert found.float_bytes == 4 * 10


def test_the_same_tensors_in_other_ways_differ_by_the_tensors_alone(tmp_path):
    path = tmp_path / "a.safetensors"
    many = np.random.default_rng(0).integers(-3, 4, (64, 64)).astype(np.int8)
    file.write(path, TENSORS | {"head.weight": many}, {"classes": "[]"})
    found = checkpoint_size(path)
    coded = sum(tensor.coded_bytes for tensor in found.tensors)
    plain = sum(array.nbytes for array in TENSORS.values()) + many.nbytes
    assert found.dense_bytes - found.size_bytes == plain - coded > 0
    assert found.bound_bytes - found.size_bytes == pytest.approx(
        sum(tensor.bound_bytes for tensor in found.tensors) - coded
    )


def test_a_file_that_is_absent_or_cut_short_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(CheckpointError, match=r"a\.safetensors'"):
        checkpoint_size(path)
    file.write(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match=r"a\.safetensors'"):
        checkpoint_size(path)

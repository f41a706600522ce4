import numpy as np
import pytest
from safetensors.numpy import save_file

from pipeline.errors import MeasurementError
from pipeline.measure.size import checkpoint_size


def test_weights_and_biases_are_counted_and_scales_are_not(tmp_path):
    path = tmp_path / "a.safetensors"
    tensors = {
        "conv.weight": np.array([[0, 1, -127], [0, 0, 5]], np.int8),
        "conv.bias": np.array([0, 7], np.int32),
        "conv.weight_scale": np.ones(2, np.float32),
        "norm.factor": np.array([1.5], np.float32),
        "norm.offset": np.array([0.0], np.float32),
        "input.scale": np.ones((), np.float32),
        "input.zero_point": np.ones((), np.uint8),
        "input_normalization.mean": np.ones(3, np.float32),
    }
    save_file(tensors, path)
    found = checkpoint_size(path)
    assert found.size_bytes == path.stat().st_size
    assert found.num_parameters == 6 + 2 + 2
    assert found.num_nonzero == 3 + 1 + 1


def test_a_file_that_is_absent_or_cut_short_is_named(tmp_path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(MeasurementError, match=r"a.safetensors' cannot be measured: No such file"):
        checkpoint_size(path)
    save_file({"weight": np.zeros(100, np.int8)}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MeasurementError, match="cannot be measured"):
        checkpoint_size(path)

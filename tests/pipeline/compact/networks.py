"""Tensors like those of pruned networks, drawn by a fixed seed."""

import numpy as np


def pruned(shape, *, zeros, bits=8, seed=0):
    """Int8 codes with a threshold and a scale of their own in each row, and dense and empty rows and columns."""
    rng = np.random.default_rng(seed)
    rows, columns = shape[0], shape[1] if len(shape) > 1 else 1
    row_density, column_density = rng.gamma(1.0, 1.0, (rows, 1)), rng.gamma(2.0, 0.5, (1, columns))
    importance = (row_density * column_density).reshape(rows, columns, *[1] * (len(shape) - 2))
    values = rng.laplace(0.0, 1.0, shape) * rng.uniform(0.5, 2.0, rows).reshape(-1, *[1] * (len(shape) - 1))
    keeps = np.abs(values) * importance
    limit = 2 ** (bits - 1) - 1
    largest = np.abs(values).max(axis=tuple(range(1, len(shape))), keepdims=True)
    codes = np.rint(values / largest * limit)
    codes[keeps < np.quantile(keeps, zeros)] = 0
    return codes.astype(np.int8)


def network(*, zeros=0.8, width=16):
    """A small deployed network: int8 weights, int32 biases, float32 scales, a float32 layer with zeros."""
    rng = np.random.default_rng(7)
    dense = rng.normal(0, 0.1, (10, 2 * width)).astype(np.float32)
    return {
        "input.scale": np.float32(0.02).reshape(()),
        "input.zero_point": np.array(3, np.uint8),
        "conv1.weight": pruned((width, 3, 3, 3), zeros=zeros, seed=1),
        "conv1.bias": rng.integers(-(2**20), 2**20, width).astype(np.int32),
        "conv1.weight_scale": rng.uniform(0, 1, width).astype(np.float32),
        "conv2.weight": pruned((2 * width, width, 3, 3), zeros=zeros, seed=2),
        "conv2.bias": rng.integers(-(2**20), 2**20, 2 * width).astype(np.int32),
        "conv2.weight_scale": rng.uniform(0, 1, 2 * width).astype(np.float32),
        "depthwise.weight": pruned((2 * width, 1, 3, 3), zeros=zeros / 2, seed=3),
        "fc.weight": np.where(np.abs(dense) < 0.1, np.float32(0), dense),
        "fc.bias": rng.normal(size=10).astype(np.float32),
    }

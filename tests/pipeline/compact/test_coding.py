import hashlib
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from pipeline.compact import coding, file
from pipeline.compact.models import Adaptive, Decoder, Encoder, geometric, level
from tests.pipeline.compact.networks import network, pruned

SHAPES = [
    (1,),
    (7,),
    (300,),
    (40, 30),
    (16, 8, 3, 3),
    (8, 1, 3, 3),
    (6, 5, 7),
    (4, 3, 9, 9),
    (2, 2, 2, 2, 2),
    (1, 1, 1, 1),
]


def coded_and_decoded(tensors, codecs=None):
    """Code tensors with one set of models and decode them with another; returns the bytes of each."""
    writing, reading, lengths = coding.Models(), coding.Models(), []
    for index, tensor in enumerate(tensors):
        codec = codecs[index] if codecs else coding.codec_of(tensor)
        stream = coding.encode(tensor, codec, writing)
        found = coding.decode(stream, tensor.shape, codec, reading)
        assert found.dtype == tensor.dtype
        assert found.shape == tensor.shape
        assert found.tobytes() == tensor.tobytes()
        lengths.append(len(stream))
    return lengths


@pytest.mark.parametrize("codec", ["codes", "sparse-codes"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_int8_of_any_shape_comes_back_exactly(shape, codec):
    rng = np.random.default_rng(0)
    anything = rng.integers(-128, 128, shape).astype(np.int8)
    few = np.where(rng.random(shape) < 0.1, anything, 0).astype(np.int8)
    extremes = np.full(shape, -128, np.int8)
    coded_and_decoded([anything, few, extremes, np.zeros(shape, np.int8), few], [codec] * 5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_float32_comes_back_with_every_bit(shape):
    rng = np.random.default_rng(0)
    special = rng.choice(np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-45, 1.5, 0.0, 0.0], np.float32), shape)
    coded_and_decoded([special, np.zeros(shape, np.float32), special], ["sparse"] * 3)


@pytest.mark.parametrize("zeros", [0.0, 0.5, 0.8, 0.9, 0.95])
@pytest.mark.parametrize("bits", [8, 5])
def test_weights_take_no_more_than_their_entropy_and_less_where_density_differs(zeros, bits):
    tensors = [pruned((64, 48, 3, 3), zeros=zeros, bits=bits, seed=seed) for seed in range(3)]
    spent = sum(coded_and_decoded(tensors))
    bound = sum(file.zero_order_bytes(tensor) for tensor in tensors)
    assert spent <= (1.01 if zeros < 0.8 else 0.95) * bound


def test_the_bound_is_the_written_out_entropy():
    codes = pruned((12, 5, 3, 3), zeros=0.7)
    counts, total = Counter(codes.ravel().tolist()), codes.size
    density = 1 - counts[0] / total
    mask = -density * math.log2(density) - (1 - density) * math.log2(1 - density)
    nonzero = [count / (total * density) for value, count in counts.items() if value != 0]
    values = -sum(share * math.log2(share) for share in nonzero)
    assert file.zero_order_bytes(codes) == pytest.approx(total * (mask + density * values) / 8, rel=1e-12)
    floats = codes.astype(np.float32)
    assert file.zero_order_bytes(floats) == pytest.approx(total * mask / 8 + 4 * np.count_nonzero(codes), rel=1e-12)


def test_a_tensor_is_coded_in_fewer_bytes_after_others_like_it():
    tensors = [pruned((16, 16, 3, 3), zeros=0.8, seed=seed) for seed in range(6)]
    lengths = coded_and_decoded(tensors)
    alone = [coded_and_decoded([tensor])[0] for tensor in tensors]
    assert sum(lengths) < 0.99 * sum(alone)


def test_signs_that_neighbours_share_cost_less_than_a_bit():
    codes = np.clip(np.abs(pruned((32, 32, 3, 3), zeros=0.0).astype(int)), 1, 127)
    rng = np.random.default_rng(0)
    of_kernel = rng.choice([-1, 1], (32, 32, 1, 1))
    of_weight = rng.choice([-1, 1], codes.shape)
    alike, mixed = (coded_and_decoded([(codes * signs).astype(np.int8)])[0] for signs in (of_kernel, of_weight))
    assert mixed - alike > 0.75 * codes.size / 8


def test_a_streams_bytes_stay_what_they_are():
    """Files are read years later, elsewhere: a change here means a new number of the format."""
    models, found = coding.Models(), hashlib.sha256()
    for tensor in network().values():
        codec = coding.codec_of(tensor)
        if codec != "plain":
            found.update(coding.encode(tensor, codec, models))
    assert found.hexdigest() == "e88f504e015443214ad204e9a8e050f6cc1ac1fca2f1abf9880667ff430ff4d7"


def test_the_weights_of_symbols_are_counts_and_what_is_expected():
    prior = np.array([[3, 1], [1, 1]])
    model, encoder = Adaptive(prior, strength=8, memory=4), Encoder()
    symbols = np.array([0, 1, 1, 1, 0], np.int32)
    model.code(encoder, symbols, np.array([4, 1]))
    assert np.array_equal(model._weights(), np.array([[1 + 6, 3 + 2], [1 + 4, 0 + 4]]))
    model.forget()
    assert np.array_equal(model._counts, np.array([[1, 3], [1, 0]]))
    encoder = Encoder()
    model.code(encoder, np.repeat(np.array([0, 1], np.int32), 50), np.array([100, 0]))
    model.forget()
    assert np.array_equal(model._counts[0], np.floor(np.array([51, 53]) * (4 / 104)))


def test_expectations_are_pooled_over_contexts_and_symbols_nearby():
    model = Adaptive(np.ones((5, 6), np.int64), strength=10, memory=100, pooled=3)
    model.code(Encoder(), np.full(16, 2, np.int32), np.array([0, 0, 16, 0, 0]))
    kernel = np.array([1, 4, 6, 4, 1, 0]) / 16
    for context, share in enumerate((0.5, 1.0, 1.0, 1.0, 0.5)):
        near = 16 * share * kernel
        expected = (near + 3 / 6) / (16 * share + 3)
        counts = 16 * (np.arange(6) == 2) * (context == 2)
        assert model._weights()[context] == pytest.approx(counts + 10 * expected, rel=1e-12)


def test_levels_are_exact_at_powers_of_two_and_straight_between_them():
    for exponent in range(-12, 13):
        for eighth in range(8):
            value = 2.0**exponent * (1 + eighth / 8)
            straight = exponent + Fraction(eighth, 8)
            assert level(np.array([value]), 4)[0] == math.floor(4 * straight)


def test_geometric_weights_fall_by_one_ratio():
    found = geometric(np.array([1.0, 9.0]), 5)
    assert found[0].tolist() == [65537, 32769, 16385, 8193, 4097]
    assert found[1].tolist() == [math.floor(65536 * 0.9**i) + 1 for i in range(5)]


def test_a_stream_that_goes_on_is_refused():
    codes = pruned((16, 8, 3, 3), zeros=0.5)
    stream = coding.encode(codes, "sparse-codes", coding.Models())
    with pytest.raises(ValueError, match="goes on behind its last value"):
        coding.decode(stream + b"\1\2\3\4" * 50, codes.shape, "sparse-codes", coding.Models())


def test_one_walk_writes_and_reads():
    symbols = np.array([0, 1, 2, 1, 0, 2], np.int32)
    sizes = np.array([4, 2])
    encoder = Encoder()
    Adaptive(np.ones((2, 3), np.int64), strength=1, memory=9).code(encoder, symbols, sizes)
    decoder = Decoder(encoder.finish())
    found = Adaptive(np.ones((2, 3), np.int64), strength=1, memory=9).code(decoder, np.zeros(6, np.int32), sizes)
    assert np.array_equal(found, symbols)

"""A weight tensor as a stream of few bytes: what is known of it so far tells how probable each weight is.

A tensor is taken as ``(rows, columns, positions)``: output channels, input channels, places of the kernel. Rows come
in the order of their mean magnitude, which is coded first: each output channel has a grid of its own, so pruning by one
threshold cuts its codes at a bound of its own. Then blocks of columns, each twice as large as the last, coded place by
place with models that have learnt from all blocks before:

- whether a weight is zero, given how dense its row, its column and its kernel have been so far;
- the magnitudes of those that are not, given the level of the row;
- their signs, given those to the left and above in the kernel.

No table is stored. The models live as long as a file, so a small tensor profits from those before it.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.compact.models import (
    OCTAVE,
    Adaptive,
    Coder,
    Decoder,
    Encoder,
    Ints,
    Symbols,
    geometric,
    level,
    raw_bits,
    raw_halves,
)

Array = NDArray[Any]
Codec = Literal["plain", "codes", "sparse-codes", "sparse"]
"""Bytes as they are; int8 with zeros among the magnitudes; int8 with zeros apart; float32 with zeros apart."""

SPARSE_SHARE = 1 / 8
"""Share of zeros from which they are coded apart."""
LEVELS = 57
"""Levels of a row's mean magnitude: eighths of an octave from 1 to 128."""
MAGNITUDES = 129
ODDS = 40
"""Contexts of the mask: odds of a weight that is not zero, in half octaves."""
EVEN = 28
"""The one of them with odds from 1 upwards."""
STEPS = 16
"""Quarters of an octave by which row and column can together change a density, upwards or downwards."""
ROW_WEIGHTS, KERNEL_WEIGHTS = 16, 8
"""Weights that a density counts for until a row or column, or a kernel, has shown its own."""
MAX_POSITIONS = 64
"""Places of a kernel beyond which they are taken as columns."""
SAMPLE, ALIKE_SHARE = 1 << 16, 0.04
"""Weights that are asked whether neighbours share their signs, and from which excess on that is used."""
FIRST_BLOCK, MAX_BLOCK = 1024, 1 << 18
"""Weights of the first and of the largest block, about."""


class Models:
    """What has been learnt from the tensors of a file so far."""

    def __init__(self) -> None:
        halves = np.arange(ODDS) - EVEN
        odds = np.ldexp(OCTAVE[2 + 4 * (halves % 2)], halves // 2)
        eighths = np.arange(LEVELS)
        scales = np.ldexp(OCTAVE[eighths % 8], eighths // 8)
        zero_or_not = np.stack((np.full(ODDS, 1 << 16), np.floor(odds * (1 << 16))), axis=1).astype(np.int64)
        self.levels = Adaptive(np.ones((1, LEVELS), np.int64), strength=30, memory=30, pooled=10)
        self.mask = Adaptive(zero_or_not, strength=20, memory=30)
        self.magnitudes = Adaptive(geometric(scales, MAGNITUDES), strength=400, memory=300, pooled=50)
        self.signs = Adaptive(np.ones((5, 2), np.int64), strength=8, memory=100)

    def copy(self) -> "Models":
        """Give models that have learnt the same and go on by themselves."""
        return copy.deepcopy(self)

    def forget(self) -> None:
        """Trust the next tensor more than those before it."""
        for model in (self.levels, self.mask, self.magnitudes, self.signs):
            model.forget()


def codec_of(tensor: Array) -> Codec:
    """Choose how to code a tensor."""
    zeros = 1 - np.count_nonzero(_bits(tensor)) / max(1, tensor.size)
    if tensor.dtype == np.int8 and tensor.size:
        return "sparse-codes" if zeros >= SPARSE_SHARE else "codes"
    return "sparse" if tensor.dtype == np.float32 and zeros >= SPARSE_SHARE else "plain"


def encode(tensor: Array, codec: Codec, models: Models) -> bytes:
    """Code a tensor and learn from it.

    Args:
        tensor: int8 or float32, not empty.
        codec: not ``plain``.
        models: those that will have learnt the same when the tensor is decoded.
    """
    encoder = Encoder()
    _walk(encoder, _bits(tensor).reshape(_folded(tensor.shape)), codec, models)
    return encoder.finish()


def decode(stream: bytes, shape: tuple[int, ...], codec: Codec, models: Models) -> Array:
    """Read a tensor and learn from it.

    Args:
        stream: what ``encode`` returned.
        shape: of the tensor, not empty.
        codec: as it was encoded.
        models: as they were then.

    Returns:
        The tensor; int8, or float32 for the codec ``sparse``.

    Raises:
        ValueError: the stream was not written so.
    """
    decoder, is_float = Decoder(stream), codec == "sparse"
    empty = np.zeros(_folded(shape), np.uint32 if is_float else np.int8)
    try:
        tensor = _walk(decoder, empty, codec, models)
    except AssertionError:
        raise ValueError("its stream does not fit its models") from None
    if not decoder.is_exhausted():
        raise ValueError("its stream goes on behind its last value")
    return tensor.reshape(shape).view(np.float32 if is_float else np.int8)


def _bits(tensor: Array) -> Array:
    """Give float32 as integers of the same bits: minus zero is not zero there."""
    return tensor.view(np.uint32) if tensor.dtype == np.float32 else tensor


def _folded(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Give rows, columns and positions of a tensor of any shape."""
    rows, columns, *_ = (*shape, 1, 1) if len(shape) > 1 else (1, *shape, 1)
    positions = math.prod(shape[2:])
    if positions > MAX_POSITIONS:
        columns, positions = columns * positions, 1
    return (1, rows, positions) if columns == 1 else (rows, columns, positions)


def _walk(coder: Coder, tensor: Array, codec: Codec, models: Models) -> Array:
    """Pass a tensor, ``(R, C, K)``, through a coder; returns what was coded."""
    rows, columns, positions = tensor.shape
    levels, is_alike = np.zeros(rows, np.int32), False
    if codec != "sparse":
        levels = _code_levels(coder, _levels(tensor), models)
        is_alike = bool(coder.code(np.array([_has_alike_signs(tensor)], np.int32), raw_bits)[0])
    order = np.argsort(levels, kind="stable")
    ordered, sizes = tensor[order], np.bincount(levels, minlength=LEVELS)
    densities = _Densities(rows)
    for start, stop in _blocks(columns, rows * positions):
        block = np.ascontiguousarray(ordered[:, start:stop])
        is_coded = np.ones(block.shape, bool) if codec == "codes" else densities.code(coder, block != 0, models.mask)
        if codec == "sparse":
            block[is_coded] = coder.code(_halves(block[is_coded]), raw_halves).astype(np.uint16).view(np.uint32)
        else:
            first = int(codec != "codes")
            magnitudes = _code_magnitudes(coder, block, is_coded, sizes, models.magnitudes, first)
            block = magnitudes * _code_signs(coder, block, magnitudes != 0, models.signs, is_alike)
        ordered[:, start:stop] = block
    models.forget()
    result = np.empty_like(tensor)
    result[order] = ordered
    return result


def _blocks(columns: int, column_size: int) -> Iterator[tuple[int, int]]:
    """Give begin and end of blocks of columns, each about twice as large as the last."""
    start, size = 0, FIRST_BLOCK
    while start < columns:
        stop = min(columns, start + max(1, size // column_size))
        yield start, stop
        start, size = stop, min(2 * size, MAX_BLOCK)


def _halves(values: Array) -> Symbols:
    return values.view(np.uint16).astype(np.int32)


def _levels(codes: Array) -> Symbols:
    """Give the level of each row's mean magnitude, zeros left out, ``(R,)``; only the writer computes it."""
    magnitudes = np.abs(codes.astype(np.int16)).reshape(len(codes), -1)
    means = magnitudes.sum(axis=1) / np.maximum(np.count_nonzero(magnitudes, axis=1), 1)
    levels: Symbols = np.rint(8 * np.log2(np.maximum(means, 1.0))).astype(np.int32)
    return levels


def _code_levels(coder: Coder, levels: Symbols, models: Models) -> Symbols:
    for start, stop in _blocks(len(levels), FIRST_BLOCK // 32):
        levels[start:stop] = models.levels.code(coder, levels[start:stop], np.array([stop - start]))
    return levels


def _has_alike_signs(codes: Array) -> bool:
    """Say whether neighbours in a kernel tend to one sign, or to opposite ones, by the first columns of a tensor."""
    rows, _, positions = codes.shape
    signs = np.sign(codes[:, : 1 + SAMPLE // (rows * positions)])
    pairs = signs[:, :, 1:] * signs[:, :, :-1]
    return abs(int(pairs.sum(dtype=np.int64))) > ALIKE_SHARE * int(np.count_nonzero(pairs))


def _code_magnitudes(coder: Coder, codes: Array, is_coded: Array, rows: Ints, model: Adaptive, first: int) -> Array:
    """Pass the magnitudes of a block, ``(R, c, K)``, through a coder; ``rows`` says how many have each level."""
    of_rows = np.count_nonzero(is_coded.reshape(len(codes), -1), axis=1)
    ends = np.concatenate(([0], np.cumsum(of_rows)))[np.concatenate(([0], np.cumsum(rows)))]
    magnitudes = np.zeros(codes.shape, np.int16)
    magnitudes[is_coded] = model.code(coder, np.abs(codes[is_coded].astype(np.int32)), np.diff(ends), first=first)
    return magnitudes


def _code_signs(coder: Coder, codes: Array, nonzero: Array, model: Adaptive, is_alike: bool) -> Array:
    """Pass the signs of a block, ``(R, c, K)``, through a coder: 1 or -1, and 0 where there is none."""
    signs = np.zeros(codes.shape, np.int8)
    if not is_alike:
        flags = (codes[nonzero] > 0).astype(np.int32)
        signs[nonzero] = 2 * coder.code(flags, raw_bits) - 1
        return signs
    positions = codes.shape[2]
    side = math.isqrt(positions) if math.isqrt(positions) ** 2 == positions else positions
    for k in range(positions):
        around = np.full(codes.shape[:2], 2, np.int8)
        if k % side:
            around += signs[:, :, k - 1]
        if k >= side:
            around += signs[:, :, k - side]
        where = nonzero[:, :, k]
        signs[:, :, k][where] = 2 * _grouped(coder, codes[:, :, k][where] > 0, around[where], model).astype(np.int8) - 1
    return signs


def _grouped(coder: Coder, flags: Array, contexts: Array, model: Adaptive) -> Array:
    """Pass flags, ``(N,)``, each in a context of its own, through a coder."""
    order = np.argsort(contexts, kind="stable")
    coded = np.empty(len(flags), bool)
    coded[order] = model.code(coder, flags[order].astype(np.int32), np.bincount(contexts))
    return coded


class _Densities:
    """Weights that are not zero in each row of a tensor so far, and what they tell about the next ones."""

    def __init__(self, rows: int) -> None:
        self._rows = np.zeros(rows, np.int64)
        self._of_row = 0
        """Weights seen in each row."""

    def code(self, coder: Coder, mask: Array, model: Adaptive) -> Array:
        """Pass a mask, ``(R, c, K)``, through a coder, place by place of the kernel; returns what was coded."""
        rows, columns, positions = mask.shape
        coded = np.zeros(mask.shape, bool)
        in_column = np.zeros(columns, np.int64)
        in_kernel = np.zeros((rows, columns), np.uint16)
        last = np.zeros((rows, columns), bool)
        for k in range(positions):
            density = (int(self._rows.sum()) + 1) / (self._of_row * rows + 2)
            steps = _steps(self._rows, self._of_row, density)[:, None] + _steps(in_column, k * rows, density)[None, :]
            index = (np.clip(steps, -STEPS, STEPS) + STEPS).astype(np.uint16)
            # The place before counts twice: neighbours are alike.
            contexts = _contexts(density, k).reshape(-1)[index * np.uint16(k + 2) + in_kernel + last]
            last = _grouped(coder, mask[:, :, k].reshape(-1), contexts.reshape(-1), model).reshape(rows, columns)
            coded[:, :, k] = last
            in_kernel += last
            in_column += np.count_nonzero(last, axis=0)
            self._rows += np.count_nonzero(last, axis=1)
            self._of_row += columns
        return coded


def _steps(counts: Ints, total: int, density: float) -> NDArray[np.int16]:
    """Give how much denser than all each row or column is, in quarters of an octave."""
    return level((counts + ROW_WEIGHTS * density) / ((total + ROW_WEIGHTS) * density), 4).astype(np.int16)


def _contexts(density: float, k: int) -> NDArray[np.uint8]:
    """Give the context of a weight by its row and column and by its kernel so far, ``(2 STEPS + 1, k + 2)``."""
    quarters = np.arange(-STEPS, STEPS + 1)
    expected = np.minimum(density * np.ldexp(OCTAVE[2 * (quarters % 4)], quarters // 4), 0.98)
    blended = (np.arange(k + 2) + KERNEL_WEIGHTS * expected[:, None]) / (k + 1 + KERNEL_WEIGHTS)
    odds = blended / np.maximum(1.0 - blended, 2.0**-10)
    return np.clip(level(odds, 2) + EVEN, 0, ODDS - 1).astype(np.uint8)

"""Probabilities that are learnt from what was coded before, and the range coder that they drive.

Reader and writer must come to the same probabilities on any machine. So counts are whole numbers, what is summed is a
multiple of a power of two, and everything else is one addition, multiplication or division at a time: IEEE 754 rounds
these in one way, while a logarithm of the C library, or a sum in another order, may differ in its last bit.
"""

from typing import Any, Protocol

import constriction
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Symbols = NDArray[np.int32]

OCTAVE = np.array((1.0, 1.0905, 1.1892, 1.2968, 1.4142, 1.5422, 1.6818, 1.834))
"""Powers of two with the exponents 0, 1/8, ... 7/8, written out: the same on every machine."""


class Coder(Protocol):
    """One walk through a tensor serves both directions: what was coded is what ``code`` returns."""

    def code(self, symbols: Symbols, model: Any) -> Symbols:
        """Write symbols, ``(N,)``, and return them; or read as many, whatever was given."""
        ...


class Encoder:
    """A range coder (Martin 1979) that writes."""

    def __init__(self) -> None:
        self._coder = constriction.stream.queue.RangeEncoder()

    def code(self, symbols: Symbols, model: Any) -> Symbols:
        """Write symbols, ``(N,)``."""
        self._coder.encode(symbols, model)
        return symbols

    def finish(self) -> bytes:
        """Return what was written: words of four bytes, the lowest byte first."""
        return bytes(self._coder.get_compressed().astype("<u4").tobytes())


class Decoder:
    """A range coder that reads."""

    def __init__(self, stream: bytes) -> None:
        """Begin to read.

        Args:
            stream: of an encoder; its length is a multiple of four.
        """
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(stream, "<u4").astype(np.uint32))

    def code(self, symbols: Symbols, model: Any) -> Symbols:
        """Read as many symbols as are given.

        Raises:
            AssertionError: the stream was not written with these probabilities.
        """
        return np.asarray(self._coder.decode(model, len(symbols)))

    def is_exhausted(self) -> bool:
        """Whether the stream can have ended here."""
        return bool(self._coder.maybe_exhausted())


def categorical(weights: Floats) -> Any:
    """Make a model of symbols 0, 1, ... out of their weights, ``(S,)``, positive."""
    return constriction.stream.model.Categorical(weights, perfect=False)


raw_bits = constriction.stream.model.Bernoulli(0.5, perfect=False)
"""0 and 1 alike."""
raw_halves = constriction.stream.model.Uniform(1 << 16)
"""All numbers of 16 bits alike."""


class Adaptive:
    """How often each symbol came in each context so far, with what is expected before anything came."""

    def __init__(self, prior: Ints, *, strength: float, memory: float, pooled: float = 0.0) -> None:
        """Start with nothing seen.

        Args:
            prior: weight of each symbol in each context, ``(C, S)``, positive whole numbers.
            strength: symbols that the expectation counts for.
            memory: symbols of one context that ``forget`` leaves, at most.
            pooled: above 0, the expectation learns too, from the contexts and symbols nearby, and ``prior`` counts for
                so many symbols in it. Contexts and symbols must then be ordered.
        """
        self._counts = np.zeros(prior.shape)
        self._prior = prior / prior.sum(axis=1, keepdims=True)
        self._strength, self._memory, self._pooled = strength, memory, pooled

    def code(self, coder: Coder, symbols: Symbols, sizes: Ints, *, first: int = 0) -> Symbols:
        """Code symbols with what is known before the first of them, then learn from them.

        Args:
            coder: writes or reads.
            symbols: ``(N,)``, in the order of their contexts.
            sizes: how many have each context, ``(C,)``.
            first: lower symbols than this do not occur.

        Returns:
            What was coded, ``(N,)``.
        """
        coded, weights, start = np.empty(len(symbols), np.int32), self._weights(), 0
        symbols = symbols - np.int32(first)
        for context in np.flatnonzero(sizes):
            part = slice(start, start := start + int(sizes[context]))
            coded[part] = coder.code(symbols[part], categorical(weights[context, first:]))
            self._counts[context, first:] += np.bincount(coded[part], minlength=weights.shape[1] - first)
        return coded + np.int32(first)

    def forget(self) -> None:
        """Keep the proportions but few of the counts: the next tensor may differ."""
        totals = np.maximum(self._counts.sum(axis=1, keepdims=True), 1.0)
        self._counts = np.floor(self._counts * np.minimum(self._memory / totals, 1.0))

    def _weights(self) -> Floats:
        expected = self._prior if not self._pooled else self._pooled_expectation()
        weights: Floats = self._counts + self._strength * expected
        return weights

    def _pooled_expectation(self) -> Floats:
        near = self._counts.copy()
        for distance, share in ((1, 1.0), (2, 0.5)):
            near[distance:] += share * self._counts[:-distance]
            near[:-distance] += share * self._counts[distance:]
        near = _blurred(_blurred(near))
        expected: Floats = (near + self._pooled * self._prior) / (near.sum(axis=1, keepdims=True) + self._pooled)
        return expected


def _blurred(counts: Floats) -> Floats:
    """Give a quarter of each count to either neighbour, ``(C, S)``."""
    padded = np.pad(counts, ((0, 0), (1, 1)), mode="edge")
    blurred: Floats = 0.25 * (padded[:, :-2] + 2.0 * counts + padded[:, 2:])
    return blurred


def level(values: NDArray[Any], steps: int) -> Ints:
    """Give the logarithm to base 2 in whole steps, rounded down; straight lines between the powers of two.

    Args:
        values: positive, any shape.
        steps: in an octave.
    """
    mantissa, exponent = np.frexp(values)
    levels: Ints = np.floor(steps * (exponent + 2.0 * mantissa - 2.0)).astype(np.int64)
    return levels


def geometric(means: Floats, num_symbols: int) -> Ints:
    """Give the weights of geometric distributions, ``(len(means), num_symbols)``, as positive whole numbers.

    Args:
        means: about the mean of each, positive.
        num_symbols: from 0.
    """
    ratios = np.broadcast_to((means / (means + 1.0))[:, None], (len(means), num_symbols - 1))
    powers = np.multiply.accumulate(ratios, axis=1)
    return np.floor(65536.0 * np.concatenate((np.ones((len(means), 1)), powers), axis=1)).astype(np.int64) + 1

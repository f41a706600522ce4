"""The three numbers of a network, each with its spread and its conditions, and how two networks compare."""

import bisect
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, TypeVar

from msgspec import Meta, Struct

T = TypeVar("T")

Z_95 = 1.959964
"""Half-width of a 95 % interval in standard deviations."""
CONTENDED_RATIO = 1.25
"""A median further above the fastest call than this was not taken on a quiet machine."""
CONTENDED_CORES = 0.25
"""More of the machine than this must not be busy with something else."""
EXACT = 10_000
"""Samples whose answer changed, up to which the exact test is computed."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
"""How many: a file that claims more is refused."""


class Paired(Struct, frozen=True, kw_only=True):
    """Two networks on the same test samples, sample by sample: what McNemar's test looks at."""

    total: Count
    """Test samples."""
    gained: Count
    """Samples that only this network answers rightly."""
    lost: Count
    """Samples that only the baseline answers rightly."""

    def __post_init__(self) -> None:
        """Refuse counts of more samples than there are (ValueError; a decoder adds the place)."""
        if self.gained + self.lost > self.total:
            raise ValueError(f"{self.gained} gained and {self.lost} lost are more than all {self.total} samples")

    @property
    def points(self) -> float:
        """Percentage points of top-1 above the baseline."""
        return 100 * (self.gained - self.lost) / self.total if self.total else math.nan

    @property
    def margin(self) -> float:
        """Half of the 95 % interval around ``points`` (Agresti and Min 2005: half a sample added to each cell)."""
        n, gained, lost = self.total + 2, self.gained + 0.5, self.lost + 0.5
        return 100 * Z_95 * math.sqrt(gained + lost - (gained - lost) ** 2 / n) / n

    @property
    def p_value(self) -> float:
        """Chance of so uneven a split, or a more uneven one, if both were equally good (exact McNemar test).

        Above ``EXACT`` changed samples by the normal distribution with Edwards' correction, which is as good there.
        """
        changed = self.gained + self.lost
        if changed > EXACT:
            return math.erfc(max(0, abs(self.gained - self.lost) - 1) / math.sqrt(2 * changed))
        ways, below = 1, 0
        for successes in range(min(self.gained, self.lost) + 1):
            below += ways
            ways = ways * (changed - successes) // (successes + 1)
        return min(1.0, float(Fraction(2 * below, 2**changed)))


class Accuracy(Struct, frozen=True, kw_only=True):
    """How many test samples a deployed file answers rightly."""

    correct: Count
    """Test samples answered rightly."""
    total: Count
    """Test samples."""
    runtime: str
    """What executed the file."""
    version: str = ""
    """Version of the runtime."""
    instruction_set: str = ""
    """As in ``Machine``: where the processor lacks some, 8-bit products saturate and answers change."""
    agreement: float | None = None
    """Share of test samples (0 to 1) with the same answer as the trained network; None when not compared."""
    versus_baseline: Paired | None = None
    """The same samples answered by the baseline in the same runtime; None for the baseline itself."""

    def __post_init__(self) -> None:
        """Refuse more right answers than samples (ValueError; a decoder adds the place)."""
        if self.correct > self.total:
            raise ValueError(f"{self.correct} right answers are more than all {self.total} samples")

    @property
    def top1(self) -> float:
        """Percent of the samples answered rightly."""
        return 100 * self.correct / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of top-1 in percent (Wilson score interval)."""
        if not self.total:
            return 0.0, 100.0
        z, n, p = Z_95, self.total, self.correct / self.total
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return 100 * (centre - half), 100 * (centre + half)


class TensorSize(Struct, frozen=True, kw_only=True):
    """Bytes of one tensor in a checkpoint."""

    name: str
    """In the state dict: ``layer1.0.conv1.weight``."""
    shape: tuple[Count, ...]
    """Empty for a single number."""
    dtype: Annotated[str, Meta(max_length=32)]
    """``int8``, ``int32``, ``float32``, ..."""
    num_nonzero: Count
    """Entries that are not zero."""
    coded_bytes: Count
    """As it lies in the file."""
    bound_bytes: float
    """Zero-order entropy bound of its values; of a tensor that is not coded, its plain bytes."""

    @property
    def num_values(self) -> int:
        """Entries, zeros included."""
        return math.prod(self.shape)

    @property
    def plain_bytes(self) -> int:
        """As the array lies in memory."""
        return self.num_values * int("".join(filter(str.isdigit, self.dtype)) or 8) // 8


class CheckpointSize(Struct, frozen=True, kw_only=True):
    """Bytes of a checkpoint: as it lies on disk, and the same network written in other ways."""

    size_bytes: Count
    """Of the compact file as it lies on disk: entropy-coded weights, everything else, header."""
    num_parameters: Count
    """Weights and biases, zeros included."""
    num_nonzero: Count
    """Those that are not zero."""
    dense_bytes: Count
    """Of the same tensors in a plain safetensors file: a byte a weight where they are int8."""
    float_bytes: Count
    """Of the parameters as float32: four bytes each."""
    bound_bytes: float
    """What no coder that looks at one weight at a time could beat, headers and tables of scales included."""
    tensors: tuple[TensorSize, ...] = ()
    """In the order of the file."""


class Machine(Struct, frozen=True, kw_only=True):
    """Where a number was measured."""

    cpu: str
    """Model name of the processor."""
    instruction_set: str
    """Widest integer instructions that matter: ``amx_int8``, ``avx512_vnni``, ``avx_vnni``, ``avx2``, ..."""
    cores: Count
    """Cores that the process may use."""
    host: str
    """Name of the machine."""
    system: str
    """Operating system and its version."""
    versions: dict[str, str]
    """Version of Python and of each package that had a part."""


class LayerWork(Struct, frozen=True, kw_only=True):
    """What a convolution or a matrix product has to do for one sample."""

    num_weights: Count
    uses: Count
    """Multiplications of each weight: places of the output. Times ``num_weights`` they are the multiply-adds."""


class Latency(Struct, frozen=True, kw_only=True):
    """Time of one call of a deployed file, in a fresh process, interleaved with the baseline."""

    runtime: str
    """What executed the file."""
    median_ms: float
    """Half of the timed calls took at most so long."""
    p90_ms: float
    """90 of 100 calls took at most so long."""
    p99_ms: float
    """99 of 100 calls took at most so long."""
    min_ms: float
    """The fastest call."""
    samples: Count
    """Timed calls."""
    threads: Count
    """Threads of the runtime."""
    batch_size: Count
    """Images in a call."""
    machine: Machine
    """Where it was measured."""
    precision: dict[str, Count] = {}
    """Convolutions and matrix products by the precision that they were executed in: ``int8``, ``float32``, ..."""
    roof_ms: float | None = None
    """Time that no call can beat: of each layer the multiplications at the processor's peak or the reading of its
    weights from memory, whichever takes longer; both are measured beside. None where that is not known."""
    roof_of: str = ""
    """Instructions whose peak that is, the widest vector ones: ``avx512_vnni``, ``avx512_fma``, ..."""
    load: float | None = None
    """Load average of the machine just before; None where the system does not tell."""
    load_after: float | None = None
    """The same just after."""
    busy_elsewhere: float | None = None
    """Cores that other processes, or other machines on the same hardware (steal), kept busy meanwhile."""
    involuntary_switches: Count = 0
    """Times that the system took the core away during the timed calls."""

    @property
    def contended(self) -> bool:
        """Something else used the processor: the median is far above the minimum, or the system says so."""
        return self.median_ms > CONTENDED_RATIO * self.min_ms or (self.busy_elsewhere or 0.0) > CONTENDED_CORES

    @property
    def condition(self) -> str:
        """What it is filed under: the runtime, with the size of the batch and the number of threads unless it is 1."""
        batch = f", batch {self.batch_size}" if self.batch_size != 1 else ""
        return self.runtime + batch + (f", {self.threads} threads" if self.threads != 1 else "")

    @property
    def of_roof(self) -> float | None:
        """How many times as long as the roof a call takes; None where that is not known."""
        return self.median_ms / self.roof_ms if self.roof_ms else None


class Report(Struct, frozen=True, kw_only=True):
    """The numbers of one network, as far as they have been measured."""

    accuracies: dict[str, Accuracy] = {}
    """By name of the runtime, in the order of the recipe."""
    size: CheckpointSize | None = None
    latency: dict[str, Latency] = {}
    """By condition (``Latency.condition``)."""

    @property
    def accuracy(self) -> Accuracy | None:
        """That in the first runtime."""
        return next(iter(self.accuracies.values()), None)

    @property
    def fastest(self) -> Latency | None:
        """The latency in the runtime with the lowest median, of the smallest batch and the fewest threads."""
        return min(
            self.latency.values(), key=lambda found: (found.batch_size, found.threads, found.median_ms), default=None
        )

    def versus(self, baseline: "Report") -> "Comparison":
        """Set this network against its baseline, as far as both have been measured."""
        speedups = {
            name: baseline.latency[name].median_ms / mine.median_ms
            for name, mine in self.latency.items()
            if name in baseline.latency and mine.median_ms > 0
        }
        both_sizes = self.size is not None and baseline.size is not None and self.size.size_bytes > 0
        both_accuracies = self.accuracy is not None and baseline.accuracy is not None
        return Comparison(
            top1_points=self.accuracy.top1 - baseline.accuracy.top1 if both_accuracies else None,  # type: ignore[union-attr]
            paired=self.accuracy.versus_baseline if self.accuracy is not None else None,
            size_ratio=baseline.size.size_bytes / self.size.size_bytes if both_sizes else None,  # type: ignore[union-attr]
            speedup=speedups,
        )


class Comparison(Struct, frozen=True, kw_only=True):
    """A network against its baseline."""

    top1_points: float | None
    """Percentage points of top-1 above the baseline."""
    paired: Paired | None
    """The same, sample by sample; None where that is not known."""
    size_ratio: float | None
    """How many times smaller the checkpoint is."""
    speedup: dict[str, float]
    """How many times faster by the median, in each runtime."""


def pareto_front(points: Iterable[tuple[T, tuple[float, ...]]]) -> list[T]:
    """Pick the points that no other point dominates.

    Up to three costs take n log n steps; more take as many steps as there are pairs of a point and one of the front.

    Args:
        points: anything, with its costs: lower is better in every place. A point with a NaN is never picked.

    Returns:
        The picked ones, in the given order; of equal points all are picked.
    """
    valid = [(item, costs) for item, costs in points if not any(math.isnan(cost) for cost in costs)]
    # What dominates a point has lower costs in lexicographic order, so one pass from below meets it first.
    distinct = sorted({costs for _, costs in valid})
    keeps = _sweep if max(map(len, distinct), default=0) <= 3 else _scan
    front = keeps(distinct)
    return [item for item, costs in valid if costs in front]


def _sweep(ordered: list[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """Keep of up to three costs in ascending order what nothing dominates."""
    front: set[tuple[float, ...]] = set()
    # The stairs of what was met so far: second costs ascend, third costs descend.
    seconds: list[float] = []
    thirds: list[float] = []
    for costs in ordered:
        _, second, third = (*costs, 0.0, 0.0, 0.0)[:3]
        place = bisect.bisect_right(seconds, second)
        if place and thirds[place - 1] <= third:
            continue
        front.add(costs)
        start = bisect.bisect_left(seconds, second)
        end = start
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        seconds[start:end], thirds[start:end] = [second], [third]
    return front


def _scan(ordered: list[tuple[float, ...]]) -> set[tuple[float, ...]]:
    """Keep of any number of costs in ascending order what nothing dominates."""
    front: list[tuple[float, ...]] = []
    for costs in ordered:
        if not any(all(a <= b for a, b in zip(other, costs, strict=True)) for other in front):
            front.append(costs)
    return set(front)

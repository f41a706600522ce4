"""The three numbers of a network, each with its spread and its conditions, and how two networks compare."""

import math
from collections.abc import Iterable
from typing import TypeVar

from msgspec import Struct

T = TypeVar("T")


class Accuracy(Struct, frozen=True, kw_only=True):
    """How many test samples a deployed file answers rightly."""

    correct: int
    total: int
    runtime: str
    """What executed the file."""
    agreement: float | None = None
    """Share of test samples (0 to 1) with the same answer as the trained network; None when not compared."""

    @property
    def top1(self) -> float:
        """Percent of the samples answered rightly."""
        return 100 * self.correct / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of top-1 in percent (Wilson score interval)."""
        if not self.total:
            return 0.0, 100.0
        z, n, p = 1.959964, self.total, self.correct / self.total
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        return 100 * (centre - half), 100 * (centre + half)


class CheckpointSize(Struct, frozen=True, kw_only=True):
    """Bytes of a checkpoint as it lies on disk."""

    size_bytes: int
    num_parameters: int
    """Weights and biases, zeros included."""
    num_nonzero: int
    """Those that are not zero."""


class Machine(Struct, frozen=True, kw_only=True):
    """Where a number was measured."""

    cpu: str
    """Model name of the processor."""
    instruction_set: str
    """Widest integer instructions that matter: ``amx_int8``, ``avx512_vnni``, ``avx_vnni``, ``avx2``, ..."""
    cores: int
    """Cores that the process may use."""
    host: str
    system: str
    """Operating system and its version."""
    versions: dict[str, str]
    """Version of Python and of each package that had a part."""


class Latency(Struct, frozen=True, kw_only=True):
    """Time of one call of a deployed file, in a fresh process, interleaved with the baseline."""

    runtime: str
    median_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    samples: int
    """Timed calls."""
    threads: int
    batch_size: int
    machine: Machine
    load: float | None = None
    """Load average of the machine just before; None where the system does not tell."""

    @property
    def is_noisy(self) -> bool:
        """The median is so far above the minimum that something else used the processor."""
        return self.median_ms > 1.25 * self.min_ms


class Report(Struct, frozen=True, kw_only=True):
    """The numbers of one network, as far as they have been measured."""

    accuracy: Accuracy | None = None
    size: CheckpointSize | None = None
    latency: dict[str, Latency] = {}
    """By name of the runtime."""

    @property
    def fastest(self) -> Latency | None:
        """The latency in the runtime with the lowest median."""
        return min(self.latency.values(), key=lambda latency: latency.median_ms, default=None)

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
            size_ratio=baseline.size.size_bytes / self.size.size_bytes if both_sizes else None,  # type: ignore[union-attr]
            speedup=speedups,
        )


class Comparison(Struct, frozen=True, kw_only=True):
    """A network against its baseline."""

    top1_points: float | None
    """Percentage points of top-1 above the baseline."""
    size_ratio: float | None
    """How many times smaller the checkpoint is."""
    speedup: dict[str, float]
    """How many times faster by the median, in each runtime."""


def pareto_front(points: Iterable[tuple[T, tuple[float, ...]]]) -> list[T]:
    """Pick the points that no other point dominates.

    Args:
        points: anything, with its costs: lower is better in every place. A point with a NaN is never picked.

    Returns:
        The picked ones, in the given order; of equal points all are picked.
    """
    valid = [(item, costs) for item, costs in points if not any(math.isnan(cost) for cost in costs)]

    def dominated(costs: tuple[float, ...]) -> bool:
        return any(other != costs and all(a <= b for a, b in zip(other, costs, strict=True)) for _, other in valid)

    return [item for item, costs in valid if not dominated(costs)]

"""The body of the fresh process that times deployed files: open, settle, warm up, short alternating blocks."""

import array
import gc
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline import catalog
from pipeline.errors import PipelineError
from pipeline.measure.contention import Elsewhere, load_average, settle
from pipeline.measure.machine import pin
from pipeline.protocols import Loaded, Predict

WARMUP_CALLS = 3
WARMUP_S = 0.3
BLOCK_S = 0.05
"""Time of one file before it is another's turn."""
LEAST_CALLS = 10
"""Timed calls of a file, however long one takes."""
TOGETHER = 16
"""Files that are open at once. More of them take turns in groups, there and back: what drifts meanwhile falls on the
first and the last alike."""


class Effort(Struct, frozen=True, kw_only=True):
    """How long a file is timed: as long and as often as this asks, unless that takes too long."""

    seconds: float
    """Of timed calls, at least."""
    calls: int
    """Timed calls, at least."""
    at_most_s: float
    """Of timed calls: slower files get fewer calls, but never fewer than ``LEAST_CALLS``."""
    settle_s: float
    """Seconds to wait for a quiet processor, at most."""

    def half(self) -> "Effort":
        """Give half of it."""
        return msgspec.structs.replace(
            self, seconds=self.seconds / 2, calls=self.calls // 2, at_most_s=self.at_most_s / 2
        )


class Request(Struct, frozen=True, kw_only=True):
    """What the process is to time."""

    subjects: dict[str, str]
    """Path of each file, by the name of what it is."""
    runtime: str
    images: str
    """Path of a ``.npy`` file, ``(batches, batch_size, C, H, W)``."""
    threads: int
    effort: Effort


class Timing(Struct, frozen=True, kw_only=True):
    """What the process found about one file; fields as in ``report.Latency``."""

    median_ms: float
    p90_ms: float
    p99_ms: float
    min_ms: float
    samples: int
    precision: dict[str, int]
    load: float | None
    load_after: float | None
    busy_elsewhere: float | None
    involuntary_switches: int


class Answer(Struct, frozen=True, kw_only=True):
    """What the process found."""

    timings: dict[str, Timing]
    """By subject."""
    has_torch: bool
    """Torch was imported, which spoils the numbers of other runtimes."""


class Clock:
    """The timed calls of one file."""

    def __init__(self) -> None:
        self.times_ns = array.array("q")
        self.seconds = 0.0
        self.switches = 0
        self.loads: list[float | None] = []
        self.elsewhere: list[float | None] = []
        self.precision: dict[str, int] = {}

    def has_had(self, effort: Effort) -> bool:
        """Tell whether the file has been timed long and often enough."""
        calls = len(self.times_ns)
        asked = self.seconds >= effort.seconds and calls >= effort.calls
        return asked or (self.seconds >= effort.at_most_s and calls >= LEAST_CALLS)

    def block(self, predict: Predict, batches: NDArray[np.uint8]) -> None:
        """Time calls for ``BLOCK_S``, at least one."""
        clock, count, index = time.perf_counter_ns, len(batches), len(self.times_ns)
        # The first call of a block finds the other file's weights in the caches; it is not timed.
        predict(batches[index % count])
        switches, before = _switches(), clock()
        end = before + int(BLOCK_S * 1e9)
        while before < end:
            batch = batches[index % count]
            before = clock()
            predict(batch)
            after = clock()
            self.times_ns.append(after - before)
            self.seconds += (after - before) / 1e9
            before, index = after, index + 1
        self.switches += _switches() - switches

    def timing(self) -> Timing:
        """Sum up."""
        times_ms = np.array(self.times_ns) / 1e6
        median, p90, p99 = (float(value) for value in np.percentile(times_ms, (50, 90, 99)))
        known = [cores for cores in self.elsewhere if cores is not None]
        return Timing(
            median_ms=median,
            p90_ms=p90,
            p99_ms=p99,
            min_ms=float(times_ms.min()),
            samples=len(times_ms),
            precision=self.precision,
            load=self.loads[0],
            load_after=self.loads[-1],
            busy_elsewhere=max(known, default=None),
            involuntary_switches=self.switches,
        )


def _switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw


def warm_up(predict: Predict, batches: NDArray[np.uint8]) -> None:
    """Call a file until its memory is there, its weights are packed and the processor runs at speed."""
    began, calls = time.monotonic(), 0
    while calls < WARMUP_CALLS or time.monotonic() - began < WARMUP_S:
        predict(batches[calls % len(batches)])
        calls += 1


def interleave(
    clocks: dict[str, Clock], predicts: dict[str, Predict], batches: NDArray[np.uint8], effort: Effort
) -> None:
    """Time files in alternating blocks, the order swapped each round, until every one has had its effort."""
    order = list(predicts)
    while not all(clocks[name].has_had(effort) for name in order):
        for name in order:
            clocks[name].block(predicts[name], batches)
        order.reverse()


def sweeps(names: list[str], effort: Effort) -> Iterator[tuple[list[str], Effort]]:
    """Give the groups whose files are open together, and the effort that each of these is to have had by the end."""
    groups = [names[start : start + TOGETHER] for start in range(0, len(names), TOGETHER)]
    if len(groups) > 1:
        yield from ((group, effort.half()) for group in groups)
    yield from ((group, effort) for group in reversed(groups))


def measure(request: Request, runtime: Any, batches: NDArray[np.uint8]) -> dict[str, Timing]:
    """Time all files of a request.

    Raises:
        MeasurementError: a file cannot be opened or called.
    """
    clocks = {name: Clock() for name in request.subjects}
    for group, effort in sweeps(list(request.subjects), request.effort):
        loaded = {name: runtime.load(Path(request.subjects[name]), threads=request.threads) for name in group}
        _time(loaded, clocks, batches, effort)
        loaded.clear()
        gc.collect()
    return {name: clock.timing() for name, clock in clocks.items()}


def _time(loaded: dict[str, Loaded], clocks: dict[str, Clock], batches: NDArray[np.uint8], effort: Effort) -> None:
    predicts = {name: opened.predict for name, opened in loaded.items()}
    settle(effort.settle_s)
    for predict in predicts.values():
        warm_up(predict, batches)
    load, elsewhere = load_average(), Elsewhere()
    interleave(clocks, predicts, batches, effort)
    cores, load_after = elsewhere.cores, load_average()
    for name, opened in loaded.items():
        clocks[name].loads += [load, load_after]
        clocks[name].elsewhere.append(cores)
        clocks[name].precision = clocks[name].precision or opened.precision()


def main(request_path: Path, answer_path: Path) -> int:
    """Do what a request asks. Returns the exit status."""
    request = msgspec.json.decode(request_path.read_bytes(), type=Request)
    try:
        pin(request.threads)
        runtime = catalog.load("runtimes", request.runtime)
        batches: NDArray[np.uint8] = np.load(request.images, allow_pickle=False)
        gc.disable()
        timings = measure(request, runtime, batches)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 1
    answer_path.write_bytes(msgspec.json.encode(Answer(timings=timings, has_torch="torch" in sys.modules)))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

"""How long one call of a deployed file takes: a fresh process, everything interleaved, nothing else of ours beside it.

The process that trained is no place to measure: torch's threads and memory are in the way. So one new process, which
never imports torch, opens all files with the same runtime, warms each up and times them in short alternating blocks. A
processor that slows down or gets company in the middle then does so for all of them.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline import catalog
from pipeline.errors import MeasurementError, PipelineError
from pipeline.lock import POLL_S, exclusive, nothing
from pipeline.measure.machine import machine, usable_cores
from pipeline.protocols import Predict
from pipeline.report import Latency

WARMUP_CALLS = 20
WARMUP_S = 0.2
BLOCK = 16
"""Timed calls of one file before it is another's turn."""
MAX_BATCHES = 16
"""Different batches that the calls go through in turn."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


class Request(Struct, frozen=True, kw_only=True):
    """What the process is to time."""

    subjects: dict[str, str]
    """Path of each file, by the name of what it is."""
    runtime: str
    images: str
    """Path of a ``.npy`` file, ``(batches, batch_size, C, H, W)``."""
    threads: int
    samples: int


class Answer(Struct, frozen=True, kw_only=True):
    """What the process found."""

    times_ns: dict[str, list[int]]
    """Nanoseconds of each timed call, by subject."""
    has_torch: bool
    """Torch was imported, which would spoil the numbers."""


def measure(
    subjects: Mapping[str, Path],
    *,
    runtime: str,
    images: NDArray[np.uint8],
    threads: int,
    batch_size: int,
    samples: int,
    lock_path: Path,
    waiting: Callable[[], None] = nothing,
    interrupt: Callable[[], None] = nothing,
) -> dict[str, Latency]:
    """Time deployed files against each other.

    Args:
        subjects: deployed files, by name (``baseline``, ``deployed``).
        runtime: a name of the catalogue; it executes them all.
        images: what they are fed, ``(N, C, H, W)``; repeated when fewer than a batch.
        threads: threads of the runtime; the process is kept on as many cores where the system allows it.
        batch_size: images in a call.
        samples: timed calls of each file, at least.
        lock_path: measurements that share this file never overlap.
        waiting: told once, when another measurement is under way.
        interrupt: called a few times a second; what it raises ends the measurement.

    Raises:
        MeasurementError: a file cannot be opened or called, or the process died.
        RunStoreError: the lock file cannot be opened.
    """
    packages = catalog.load("runtimes", runtime).REQUIRES
    with exclusive(lock_path, waiting=waiting, interrupt=interrupt) as lock:
        load = _load_average()
        with tempfile.TemporaryDirectory(prefix="pqd-measure-") as folder:
            batches = Path(folder) / "images.npy"
            np.save(batches, _batches(images, batch_size), allow_pickle=False)
            request = Request(
                subjects={name: str(path.resolve()) for name, path in subjects.items()},
                runtime=runtime,
                images=str(batches),
                threads=threads,
                samples=samples,
            )
            answer = _ask(request, Path(folder), lock, interrupt)
    where = machine((*packages, "numpy"))
    found = {}
    for name, times in answer.times_ns.items():
        times_ms = np.array(times) / 1e6
        median, p90, p99 = (float(value) for value in np.percentile(times_ms, (50, 90, 99)))
        found[name] = Latency(
            runtime=runtime,
            median_ms=median,
            p90_ms=p90,
            p99_ms=p99,
            min_ms=float(times_ms.min()),
            samples=len(times),
            threads=threads,
            batch_size=batch_size,
            machine=where,
            load=load,
        )
    return found


def _batches(images: NDArray[np.uint8], batch_size: int) -> NDArray[np.uint8]:
    count = max(1, min(MAX_BATCHES, len(images) // batch_size))
    chosen = np.resize(images[: count * batch_size], (count * batch_size, *images.shape[1:]))
    return chosen.reshape(count, batch_size, *images.shape[1:])


def _load_average() -> float | None:
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


def _ask(request: Request, folder: Path, lock: int, interrupt: Callable[[], None] = nothing) -> Answer:
    """Have a fresh process do it; it holds the lock too, should this process die before it."""
    (folder / "request.json").write_bytes(msgspec.json.encode(request))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.measure.latency", "request.json", "answer.json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(request.threads)),
        pass_fds=(lock,),
    )
    try:
        while True:
            try:
                _, errors = process.communicate(timeout=POLL_S)
                break
            except subprocess.TimeoutExpired:
                interrupt()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    if process.returncode < 0:
        raise MeasurementError(f"the process that measures latency was killed by signal {-process.returncode}.")
    if process.returncode > 0:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise MeasurementError(f"latency could not be measured: {lines[-1].strip()}")
    return msgspec.json.decode((folder / "answer.json").read_bytes(), type=Answer)


def _pin(threads: int) -> None:
    """Stay on as many cores as threads, of different physical cores while there are enough."""
    cores = usable_cores()
    if not hasattr(os, "sched_setaffinity") or threads >= len(cores):
        return
    first: list[int] = []
    second: list[int] = []
    seen: set[str] = set()
    for core in reversed(cores):
        try:
            siblings = Path(TOPOLOGY.format(core)).read_text(encoding="ascii")
        except OSError:
            siblings = str(core)
        (second if siblings in seen else first).append(core)
        seen.add(siblings)
    os.sched_setaffinity(0, [*first, *second][:threads])


def _time(predict: Predict, batches: NDArray[np.uint8], calls: int, start: int) -> list[int]:
    clock, count = time.perf_counter_ns, len(batches)
    # The first call of a block finds the other file's weights in the caches; it is not timed.
    predict(batches[start % count])
    times = []
    for index in range(start, start + calls):
        batch = batches[index % count]
        before = clock()
        predict(batch)
        times.append(clock() - before)
    return times


def _interleaved(predicts: dict[str, Predict], batches: NDArray[np.uint8], samples: int) -> dict[str, list[int]]:
    for predict in predicts.values():
        began, calls = time.monotonic(), 0
        while calls < WARMUP_CALLS or time.monotonic() - began < WARMUP_S:
            predict(batches[calls % len(batches)])
            calls += 1
    times: dict[str, list[int]] = {name: [] for name in predicts}
    order = list(predicts)
    for done in range(0, samples, BLOCK):
        for name in order:
            times[name] += _time(predicts[name], batches, min(BLOCK, samples - done), done)
        order.reverse()
    return times


def main(request_path: Path, answer_path: Path) -> int:
    """Do what a request asks: the body of the fresh process. Returns its exit status."""
    request = msgspec.json.decode(request_path.read_bytes(), type=Request)
    try:
        _pin(request.threads)
        runtime = catalog.load("runtimes", request.runtime)
        batches: NDArray[np.uint8] = np.load(request.images, allow_pickle=False)
        predicts = {name: runtime.load(Path(path), threads=request.threads) for name, path in request.subjects.items()}
        times = _interleaved(predicts, batches, request.samples)
    except PipelineError as error:
        print(error, file=sys.stderr)
        return 1
    answer_path.write_bytes(msgspec.json.encode(Answer(times_ns=times, has_torch="torch" in sys.modules)))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))

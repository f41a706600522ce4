"""How long one call of a deployed file takes: a fresh process, everything interleaved, nothing else of ours beside it.

The process that trained is no place to measure: torch's threads and memory are in the way. So one new process, which
never imports torch unless the runtime is torch, opens all files with the same runtime, warms each up and times them in
short alternating blocks. A processor that slows down or gets company in the middle then does so for all of them.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline import catalog, turns
from pipeline.errors import MeasurementError
from pipeline.lock import POLL_S, nothing
from pipeline.measure import roof
from pipeline.measure.machine import machine
from pipeline.measure.timing import Answer, Effort, Request
from pipeline.report import Latency, LayerWork

Mode = Literal["quick", "report"]

efforts: dict[Mode, Effort] = {
    "quick": Effort(seconds=1, calls=200, at_most_s=60, settle_s=3),
    "report": Effort(seconds=60, calls=1000, at_most_s=600, settle_s=10),
}
"""What each mode asks of every single file."""
MAX_BATCHES = 16
"""Different batches that the calls go through in turn."""
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class Subject(Struct, frozen=True, kw_only=True):
    """A file to be timed."""

    path: Path
    layers: tuple[LayerWork, ...] = ()
    """What its layers have to do; empty where that is not known: there is no roof then."""


def measure(
    subjects: Mapping[str, Subject],
    *,
    runtime: str,
    images: NDArray[np.uint8],
    threads: int = 1,
    batch_size: int = 1,
    mode: Mode = "quick",
    say: turns.Say = turns.silent,
    interrupt: Callable[[], None] = nothing,
) -> dict[str, Latency]:
    """Time deployed files against each other, when no other measurement and no training of ours is under way.

    Args:
        subjects: deployed files, any number, by name (``baseline``, ``deployed``).
        runtime: a name of the catalogue; it executes them all.
        images: what they are fed, ``(N, C, H, W)``; repeated when fewer than a batch.
        threads: threads of the runtime; the process is kept on as many cores where the system allows it.
        batch_size: images in a call.
        mode: how long; see ``efforts``.
        say: told in a sentence what is waited for, if anything.
        interrupt: called a few times a second; what it raises ends the measurement.

    Raises:
        MissingDependency: the runtime is not installed.
        MeasurementError: a file cannot be opened or called, or the process died.
        RunStoreError: the lock files cannot be opened.
    """
    packages = catalog.load("runtimes", runtime).REQUIRES
    with (
        turns.measurement(say=say, interrupt=interrupt) as turn,
        tempfile.TemporaryDirectory(prefix="pqd-measure-") as folder,
    ):
        peak = roof.peak()
        batches = Path(folder) / "images.npy"
        np.save(batches, _batches(images, batch_size), allow_pickle=False)
        request = Request(
            subjects={name: str(subject.path.resolve()) for name, subject in subjects.items()},
            runtime=runtime,
            images=str(batches),
            threads=threads,
            effort=efforts[mode],
        )
        answer = _ask(request, Path(folder), turn, interrupt)
    where = machine((*packages, "numpy"))
    found = {}
    for name, timing in answer.timings.items():
        roof_of, roof_ms = "", None
        if peak is not None:
            layers = subjects[name].layers
            roof_of, roof_ms = peak.roof(layers, timing.precision, batch_size=batch_size, threads=threads)
        found[name] = Latency(
            **msgspec.structs.asdict(timing),
            runtime=runtime,
            threads=threads,
            batch_size=batch_size,
            machine=where,
            roof_of=roof_of,
            roof_ms=roof_ms,
        )
    return found


def _batches(images: NDArray[np.uint8], batch_size: int) -> NDArray[np.uint8]:
    count = max(1, min(MAX_BATCHES, len(images) // batch_size))
    chosen = np.resize(images[: count * batch_size], (count * batch_size, *images.shape[1:]))
    return chosen.reshape(count, batch_size, *images.shape[1:])


def _ask(request: Request, folder: Path, turn: int, interrupt: Callable[[], None] = nothing) -> Answer:
    """Have a fresh process do it; it keeps the turn, too, should this process die before it."""
    (folder / "request.json").write_bytes(msgspec.json.encode(request))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.measure.timing", "request.json", "answer.json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=os.environ | dict.fromkeys(THREAD_VARIABLES, str(request.threads)),
        pass_fds=(turn,),
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

"""What the machine and one run use of it, as far as it can be asked: processor, memory, GPU."""

import importlib
import os
import platform
import time
from typing import Any

from msgspec import Struct

GIB = 1024**3


class Gpu(Struct, frozen=True, kw_only=True):
    """One GPU."""

    percent: int
    """Share of the time in which it worked, 0 to 100."""
    used_gib: float
    total_gib: float


class Usage(Struct, frozen=True, kw_only=True):
    """One look; rounded, so that small changes are none."""

    cpu_percent: int
    """Of all cores together, 0 to 100."""
    load: float
    """Processes that wanted a core in the last minute."""
    cores: int
    used_gib: float
    total_gib: float
    run_percent: int | None = None
    """Of one core, by the run and what it started; None where it does not go on here."""
    run_gib: float | None = None
    """Resident memory of the run and what it started."""
    gpus: tuple[Gpu, ...] = ()


def is_here(host: str) -> bool:
    """Tell whether a run is of this machine; an empty name is one that is not known yet."""
    return host in ("", platform.node())


class Sampler:
    """Looks at the machine; used by one thread at a time."""

    def __init__(self) -> None:
        self._pid: int | None = None
        self._spent_s = 0.0
        self._looked_s = 0.0
        self._nvml: Any = None
        self._gpus: list[Any] | None = None

    def look(self, pid: int | None, host: str) -> Usage:
        """Look once.

        Args:
            pid: process of the run; None where it does not go on.
            host: machine on which that process is; on another one it cannot be asked.
        """
        import psutil

        memory = psutil.virtual_memory()
        percent, resident = self._of_run(pid if is_here(host) else None)
        return Usage(
            cpu_percent=round(psutil.cpu_percent(None)),
            load=round(os.getloadavg()[0], 1),
            cores=os.cpu_count() or 1,
            used_gib=round((memory.total - memory.available) / GIB, 1),
            total_gib=round(memory.total / GIB, 1),
            run_percent=percent,
            run_gib=resident,
            gpus=self._look_at_gpus(),
        )

    def _of_run(self, pid: int | None) -> tuple[int | None, float | None]:
        import psutil

        if pid is None:
            self._pid = None
            return None, None
        try:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            spent_s = sum(sum(one.cpu_times()[:2]) for one in family)
            resident = sum(one.memory_info().rss for one in family)
        except psutil.Error:
            self._pid = None
            return None, None
        now_s = time.monotonic()
        is_first = self._pid != pid
        percent = None if is_first else round(100 * max(0.0, spent_s - self._spent_s) / (now_s - self._looked_s))
        self._pid, self._spent_s, self._looked_s = pid, spent_s, now_s
        return percent, round(resident / GIB, 1)

    def _look_at_gpus(self) -> tuple[Gpu, ...]:
        if self._gpus is None:
            self._nvml, self._gpus = _find_gpus()
        if not self._gpus:
            return ()
        try:
            return tuple(self._ask(gpu) for gpu in self._gpus)
        except self._nvml.NVMLError:
            # A driver that stopped answering is not asked again.
            self._gpus = []
            return ()

    def _ask(self, gpu: Any) -> Gpu:
        memory = self._nvml.nvmlDeviceGetMemoryInfo(gpu)
        return Gpu(
            percent=self._nvml.nvmlDeviceGetUtilizationRates(gpu).gpu,
            used_gib=round(memory.used / GIB, 1),
            total_gib=round(memory.total / GIB, 1),
        )


def _find_gpus() -> tuple[Any, list[Any]]:
    """Find the module that asks the driver (the extra ``gpu``), and the GPUs; none where either is missing."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None, []
    try:
        nvml.nvmlInit()
        return nvml, [nvml.nvmlDeviceGetHandleByIndex(place) for place in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError:
        return None, []

"""Who else uses the processor while something is timed: other processes, or other machines on the same hardware."""

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
WINDOW_S = 0.2
QUIET_CORES = 0.1
"""Fewer cores than this, busy elsewhere over one window, count as quiet: the system's clock ticks every 10 ms."""


def load_average() -> float | None:
    """Processes that wanted a core, on average over the last minute; None where the system does not tell."""
    try:
        return os.getloadavg()[0]
    except OSError:
        return None


class Elsewhere:
    """Counts from its making on what others than this process and its parent, which waits for it, do."""

    def __init__(self) -> None:
        self._began_s, self._others_s = time.monotonic(), _others_s()

    @property
    def cores(self) -> float | None:
        """Cores kept busy elsewhere, on average so far; None where the system does not tell."""
        now_s = _others_s()
        if now_s is None or self._others_s is None:
            return None
        return max(0.0, now_s - self._others_s) / max(time.monotonic() - self._began_s, 1e-9)


def settle(at_most_s: float) -> None:
    """Wait until nothing else uses the processor, but not for ever: a training may just have ended."""
    began_s = time.monotonic()
    while time.monotonic() - began_s < at_most_s:
        elsewhere = Elsewhere()
        time.sleep(WINDOW_S)
        if (elsewhere.cores or 0.0) < QUIET_CORES:
            return


def _others_s() -> float | None:
    """Seconds that all cores together have been busy with others, or taken away (steal)."""
    try:
        user, nice, system, _, _, irq, softirq, steal = _ticks(STAT.read_text(encoding="ascii").splitlines()[0], 1, 9)
        own = sum(sum(_process_ticks(pid)) for pid in (os.getpid(), os.getppid()))
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal - own) / os.sysconf("SC_CLK_TCK")


def _process_ticks(pid: int) -> list[int]:
    # Its second field is the program's name in brackets, which may hold anything.
    return _ticks(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2], 11, 13)


def _ticks(line: str, first: int, last: int) -> list[int]:
    return [int(field) for field in line.split()[first:last]]

"""What a number was measured on: processor, its integer instructions, cores, system and versions."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline import processor
from pipeline.report import Machine

TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"


def machine(packages: Sequence[str]) -> Machine:
    """Describe this machine.

    Args:
        packages: what had a part in the number; those that are not installed are left out.
    """
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        cpu=processor.cpuinfo().get("model name") or _other_cpu(),
        instruction_set=processor.instruction_set(),
        cores=len(usable_cores()),
        host=platform.node(),
        system=platform.platform(),
        versions=versions,
    )


def usable_cores() -> list[int]:
    """List the numbers of the cores that this process may use; where the system does not tell, all of them."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def pin(threads: int) -> None:
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


def _other_cpu() -> str:
    try:
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True, timeout=5
        )
        return asked.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return platform.processor() or platform.machine() or "unknown"

"""What a number was measured on: processor, its integer instructions, cores, system and versions."""

import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pipeline.report import Machine

CPUINFO = Path("/proc/cpuinfo")
TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
instruction_sets = {
    "amx_int8": "amx_int8",
    "avx512_vnni": "avx512_vnni",
    "avx_vnni": "avx_vnni",
    "avx512bw": "avx512",
    "avx2": "avx2",
    "i8mm": "neon_i8mm",
    "asimddp": "neon_dotprod",
    "asimd": "neon",
}
"""By flag of the processor, the fastest for INT8 first."""


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
        cpu=_cpuinfo().get("model name") or _other_cpu(),
        instruction_set=_instruction_set(),
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


def flags() -> frozenset[str]:
    """List the instructions that the processor has, in the system's own words; empty where it does not tell."""
    cpuinfo = _cpuinfo()
    return frozenset(cpuinfo.get("flags", cpuinfo.get("Features", "")).split())


def _cpuinfo() -> dict[str, str]:
    """Read what the system says about its first core; empty where it has no such file."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _instruction_set() -> str:
    present = flags()
    for flag, name in instruction_sets.items():
        if flag in present:
            return name
    # Every 64-bit ARM processor has NEON; systems other than Linux do not list it.
    return "neon" if platform.machine() in ("arm64", "aarch64") else "unknown"


def _other_cpu() -> str:
    try:
        asked = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=True, timeout=5
        )
        return asked.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return platform.processor() or platform.machine() or "unknown"

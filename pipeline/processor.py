"""What the processor of this machine can do, as the system tells it; needs no package."""

import platform
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")
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
SATURATING = frozenset({"avx512", "avx2"})
"""Instruction sets that add two products of 8 bits in 16: full weights overflow there, those of 7 bits never."""

SLOW = SATURATING | {"neon", "unknown"}
"""Instruction sets without products of 8 bits that are quicker than those of floats."""


def instruction_set() -> str:
    """Name the best instructions for INT8 products; ``unknown`` where the system does not tell."""
    present = flags()
    for flag, name in instruction_sets.items():
        if flag in present:
            return name
    # Every 64-bit ARM processor has NEON; systems other than Linux do not list it.
    return "neon" if platform.machine() in ("arm64", "aarch64") else "unknown"


def flags() -> frozenset[str]:
    """List the instructions that the processor has, in the system's own words; empty where it does not tell."""
    found = cpuinfo()
    return frozenset(found.get("flags", found.get("Features", "")).split())


def cpuinfo() -> dict[str, str]:
    """Read what the system says about its first core; empty where it has no such file."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}

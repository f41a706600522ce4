"""The roof: multiply-adds and bytes a second that a core reaches at best, the former by a few lines of machine code.

A kernel is a loop over instructions that write different registers and wait for nothing, which is what the inner loop
of a convolution would do if memory, rounding and bookkeeping took no time. The code lies in an executable page and runs
in a process of its own, so that an instruction which the system does not allow kills nothing else. x86-64 on Linux
only; elsewhere, or where no page may be executable, there is no roof.
"""

import contextlib
import ctypes
import functools
import math
import mmap
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from msgspec import Struct

from pipeline import processor
from pipeline.measure import machine
from pipeline.report import LayerWork

LOOP_S = 0.005
READINGS = 8
MEMORY = tuple(1 << power for power in range(18, 27, 2))
"""Sizes in bytes of the memory that is read: a quarter of a MiB to 64 MiB."""
REPEATS = 20
ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA = 158, 0x1023, 18

ZERO_REGISTERS = bytes.fromhex("c5fc77")  # vzeroall
CLEAN_UP = bytes.fromhex("c5f877")  # vzeroupper
LOAD_TILES = bytes.fromhex("c4e2784906")  # ldtilecfg [rsi]
RELEASE_TILES = bytes.fromhex("c4e27849c0")  # tilerelease
COUNT_DOWN = bytes.fromhex("48ffcf")  # dec rdi
REPEAT = bytes.fromhex("0f85")  # jnz, followed by the distance
RETURN = bytes.fromhex("c3")  # ret
ALL_TILES = bytes([1, 0, *[0] * 14, *[64, 0] * 8, *[0] * 16, *[16] * 8, *[0] * 8])
"""Palette 1: eight tiles of 16 rows of 64 bytes."""


class Kernel(Struct, frozen=True, kw_only=True):
    """A way to multiply and add."""

    flag: str
    """Of the processor, in the words of ``/proc/cpuinfo``."""
    precision: Literal["int8", "float32"]
    macs: int
    """Multiply-adds of the instructions together."""
    code: dict[str, str]
    """Bytes of each instruction by its assembly, as if it wrote register 0."""
    registers: int = 12
    """Registers that are written in turn: as many as hide the time until a result is there."""

    @property
    def has_tiles(self) -> bool:
        """It multiplies tiles, not vectors."""
        return self.flag.startswith("amx")

    def body(self) -> bytes:
        """Give the inside of the loop."""
        return b"".join(
            _writing(bytes.fromhex(code), register) for register in range(self.registers) for code in self.code.values()
        )


kernels = {
    "amx_int8": Kernel(
        flag="amx_int8",
        precision="int8",
        macs=16 * 16 * 64,
        code={"tdpbusd tmm0, tmm6, tmm7": "c4e2415ec6"},
        registers=6,
    ),
    "avx512_vnni": Kernel(
        flag="avx512_vnni", precision="int8", macs=64, code={"vpdpbusd zmm0, zmm15, zmm14": "62d2054850c6"}
    ),
    "avx_vnni": Kernel(
        flag="avx_vnni", precision="int8", macs=32, code={"{vex} vpdpbusd ymm0, ymm15, ymm14": "c4c20550c6"}
    ),
    "avx512": Kernel(
        flag="avx512bw",
        precision="int8",
        macs=64,
        code={
            "vpmaddubsw zmm0, zmm15, zmm14": "62d2054804c6",
            "vpmaddwd zmm0, zmm15, zmm14": "62d10548f5c6",
            "vpaddd zmm0, zmm15, zmm14": "62d10548fec6",
        },
    ),
    "avx2": Kernel(
        flag="avx2",
        precision="int8",
        macs=32,
        code={
            "vpmaddubsw ymm0, ymm15, ymm14": "c4c20504c6",
            "vpmaddwd ymm0, ymm15, ymm14": "c4c105f5c6",
            "vpaddd ymm0, ymm15, ymm14": "c4c105fec6",
        },
    ),
    "avx512_fma": Kernel(
        flag="avx512f", precision="float32", macs=16, code={"vfmadd231ps zmm0, zmm15, zmm14": "62d20548b8c6"}
    ),
    "avx2_fma": Kernel(flag="fma", precision="float32", macs=8, code={"vfmadd231ps ymm0, ymm15, ymm14": "c4c205b8c6"}),
}
"""By the name that stands in the record, of each precision the best first."""


class Peak(Struct, frozen=True, kw_only=True):
    """Multiply-adds a second of one core, by instruction set."""

    int8_macs_per_s: dict[str, float]
    float32_macs_per_s: dict[str, float]
    bytes_per_s: dict[int, float]
    """Bytes read a second, by the size of the memory that is read again and again."""

    def roof(
        self, layers: Sequence[LayerWork], precision: Mapping[str, int], *, batch_size: int, threads: int
    ) -> tuple[str, float | None]:
        """Give the milliseconds that no call can beat, and the name of the instructions that they are of.

        The peak is that of the best vector instructions, by which published figures are comparable. Tiles (AMX) are
        left out: a batch of one does not fill them. A runtime that uses them well comes out below the roof. Cores are
        taken to read memory without getting in each other's way.

        Args:
            layers: what has to be done for each sample.
            precision: convolutions and matrix products by the precision that they were executed in; the most frequent
                one counts.
            batch_size: samples in a call.
            threads: cores at work.

        Returns:
            No name and None where there are no layers, or that precision has no peak.
        """
        most = max(precision, key=lambda name: precision[name], default="")
        known = {"int8": (1, self.int8_macs_per_s), "float32": (4, self.float32_macs_per_s)}
        width, peaks = known.get(most, (0, {}))
        found = next((name for name in peaks if not kernels[name].has_tiles), "")
        if not layers or not found:
            return "", None
        together = width * sum(layer.num_weights for layer in layers)
        reading = next((rate for size, rate in sorted(self.bytes_per_s.items()) if size >= together), math.inf)
        if self.bytes_per_s and together > max(self.bytes_per_s):
            reading = self.bytes_per_s[max(self.bytes_per_s)]
        seconds = sum(
            max(layer.uses * layer.num_weights * batch_size / peaks[found], width * layer.num_weights / reading)
            for layer in layers
        )
        return found, 1e3 * seconds / threads


@functools.cache
def peak() -> Peak | None:
    """Measure this machine's peak, once for a process; takes one or two seconds. None on other systems."""
    if platform.machine() not in ("x86_64", "AMD64") or not sys.platform.startswith("linux"):
        return None
    try:
        asked = subprocess.run(
            [sys.executable, "-m", __name__], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    # It says each figure as soon as it is known: those before a forbidden instruction count.
    figures: dict[str, float] = {}
    for name, figure in map(str.split, asked.stdout.splitlines()):
        figures[name] = max(figures.get(name, 0.0), float(figure))
    reading = {int(name): figures.pop(name) for name in list(figures) if name.isdecimal()}
    if not figures:
        return None
    int8, float32 = (
        {name: figure for name, figure in figures.items() if kernels[name].precision == precision}
        for precision in ("int8", "float32")
    )
    return Peak(int8_macs_per_s=int8, float32_macs_per_s=float32, bytes_per_s=reading)


def _writing(code: bytes, register: int) -> bytes:
    """Give an instruction that writes register 0 another one.

    The lower three bits of its number lie in the last byte. The fourth lies inverted in the second one, both in the VEX
    and in the EVEX encoding.
    """
    return bytes([code[0], code[1] ^ (0x80 if register >= 8 else 0), *code[2:-1], code[-1] | (register & 7) << 3])


def _program(kernel: Kernel) -> bytes:
    """Write a function of (rounds, address of the configuration of tiles) in machine code."""
    loop = kernel.body() + COUNT_DOWN
    loop += REPEAT + (-len(loop) - len(REPEAT) - 4).to_bytes(4, "little", signed=True)
    before, after = (LOAD_TILES, RELEASE_TILES) if kernel.has_tiles else (ZERO_REGISTERS, CLEAN_UP)
    return before + loop + after + RETURN


def present() -> list[str]:
    """Name the kernels that count on this machine: the best vector one of each precision, and tiles."""
    found = processor.flags()
    # Without the system's leave, the first use of a tile ends the process.
    if ctypes.CDLL(None).syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) != 0:
        found -= {"amx_int8"}
    usable = [name for name, kernel in kernels.items() if kernel.flag in found]
    best = {(kernels[name].precision, kernels[name].has_tiles): name for name in reversed(usable)}
    return list(best.values())


@contextlib.contextmanager
def executable(kernel: Kernel) -> Iterator[Callable[[int], float]]:
    """Put a kernel into memory; gives a function of rounds that returns the seconds that they take.

    Raises:
        OSError: the system allows no executable page.
    """
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(_program(kernel))
        start = ctypes.c_char.from_buffer(page)
        function = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_char_p)(ctypes.addressof(start))

        def seconds(rounds: int) -> float:
            before = time.perf_counter()
            function(rounds, ALL_TILES)
            return time.perf_counter() - before

        try:
            yield seconds
        finally:
            del start


def macs_per_s(kernel: Kernel) -> float:
    """Run a kernel for ``LOOP_S`` to twice as long; returns its multiply-adds a second.

    Raises:
        OSError: the system allows no executable page.
    """
    with executable(kernel) as seconds:
        rounds, taken_s = 1024, 0.0
        while taken_s < LOOP_S:
            rounds, taken_s = rounds * 2, seconds(rounds * 2)
    return rounds * kernel.registers * kernel.macs / taken_s


def bytes_per_s(memory: bytes) -> float:
    """Read memory some times, the way that the C library looks for a byte; returns its bytes a second at best.

    Args:
        memory: without a byte 1. Not zeros: pages of zeros that were never written are one and the same page.
    """
    find = ctypes.CDLL(None).memchr
    find.argtypes, find.restype = (ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t), ctypes.c_void_p
    best_s = math.inf
    # One reading after the other: what connects cores and memory runs slower after a while without work.
    for _ in range(READINGS):
        before = time.perf_counter()
        find(memory, 1, len(memory))
        best_s = min(best_s, time.perf_counter() - before)
    return len(memory) / best_s


def main() -> None:
    """Print what each kernel reaches, one to a line, again and again: the largest figure counts."""
    machine.pin(1)
    names, memories = present(), [b"\2" * size for size in MEMORY]
    for _ in range(REPEATS):
        for name in names:
            print(name, macs_per_s(kernels[name]), flush=True)
        for memory in memories:
            print(len(memory), bytes_per_s(memory), flush=True)


if __name__ == "__main__":
    main()

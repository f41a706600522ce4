import platform
import shutil
import subprocess
import sys

import pytest

from pipeline import processor
from pipeline.measure import roof
from pipeline.report import LayerWork

on_x86 = pytest.mark.skipif(
    platform.machine() != "x86_64" or not sys.platform.startswith("linux"), reason="x86-64 Linux only"
)


@on_x86
@pytest.mark.skipif(not shutil.which("as"), reason="there is no assembler")
@pytest.mark.parametrize("register", [0, 5, 8, 11])
def test_the_bytes_are_what_an_assembler_makes_of_the_text(tmp_path, register):
    expected, text = [], [".intel_syntax noprefix"]
    for kernel in roof.kernels.values():
        for line, code in kernel.code.items():
            if register < kernel.registers:
                text.append(line.replace("mm0,", f"mm{register},"))
                expected.append(roof._writing(bytes.fromhex(code), register))
    for line, code in {
        "vzeroall": roof.ZERO_REGISTERS,
        "vzeroupper": roof.CLEAN_UP,
        "ldtilecfg [rsi]": roof.LOAD_TILES,
        "tilerelease": roof.RELEASE_TILES,
        "dec rdi": roof.COUNT_DOWN,
        "ret": roof.RETURN,
    }.items():
        text.append(line)
        expected.append(code)
    (tmp_path / "code.s").write_text("\n".join(text) + "\n")
    subprocess.run(["as", "code.s", "-o", "code.o"], cwd=tmp_path, check=True)
    subprocess.run(["objcopy", "-O", "binary", "-j", ".text", "code.o", "code.bin"], cwd=tmp_path, check=True)
    assert (tmp_path / "code.bin").read_bytes() == b"".join(expected)


@on_x86
def test_every_kernel_that_this_processor_has_multiplies_and_adds():
    script = (
        "import sys; from pipeline.measure import roof; roof.present();"
        "print(roof.macs_per_s(roof.kernels[sys.argv[1]]))"
    )
    for name, kernel in roof.kernels.items():
        if kernel.flag in processor.flags():
            ran = subprocess.run([sys.executable, "-c", script, name], capture_output=True, text=True, check=True)
            # From one instruction in a hundred cycles of 1 GHz to four in each of 6 GHz.
            assert 1e7 < float(ran.stdout) / (kernel.macs / len(kernel.code)) < 2.4e10


@on_x86
def test_the_rounds_of_the_loop_are_counted():
    with roof.executable(roof.kernels["avx2_fma"]) as seconds:
        few, many = (min(seconds(rounds) for _ in range(5)) for rounds in (10_000, 100_000))
    assert 5 < many / few < 20


@on_x86
def test_the_peak_of_this_machine_is_known():
    peak = roof.peak()
    assert peak is not None
    assert len(peak.float32_macs_per_s) == 1
    (rate,) = peak.float32_macs_per_s.values()
    (name,) = peak.float32_macs_per_s
    work = [LayerWork(num_weights=1000, uses=10**6)]
    assert peak.roof(work, {"float32": 20}, batch_size=1, threads=1) == (name, pytest.approx(1e12 / rate))
    # A core reads at least a byte in four cycles of 1 GHz and at most 512 in one of 6 GHz.
    assert all(2.5e8 < rate < 3e12 for rate in peak.bytes_per_s.values())


@pytest.fixture
def made_up():
    return roof.Peak(
        int8_macs_per_s={"amx_int8": 9e12, "avx512_vnni": 4e11},
        float32_macs_per_s={"avx512_fma": 1e11},
        bytes_per_s={1000: 1e11, 10_000: 1e10},
    )


def test_the_roof_is_that_of_vectors_and_of_the_precision_that_most_layers_have(made_up):
    work = [LayerWork(num_weights=100, uses=40_000)]
    settings = {"batch_size": 1, "threads": 1}
    assert made_up.roof(work, {"int8": 20, "float32": 1}, **settings) == ("avx512_vnni", pytest.approx(0.01))
    assert made_up.roof(work, {"int8": 1, "float32": 20}, **settings) == ("avx512_fma", pytest.approx(0.04))
    assert made_up.roof(work, {"bfloat16": 20}, **settings) == ("", None)
    assert made_up.roof([], {"int8": 20}, **settings) == ("", None)


def test_a_layer_takes_what_its_multiplications_or_its_weights_take(made_up):
    # 1,600 bytes together: the memory of the next size counts. 100 * 4e5 / 4e11 s, then 1500 / 1e10 s.
    work = [LayerWork(num_weights=100, uses=400_000), LayerWork(num_weights=1500, uses=1)]
    _, roof_ms = made_up.roof(work, {"int8": 2}, batch_size=1, threads=1)
    assert roof_ms == pytest.approx(1e3 * (1e-4 + 1.5e-7))
    # A batch multiplies and reads its weights once; 1,600 floats have 6,400 bytes; two cores share the work.
    _, roof_ms = made_up.roof(work, {"float32": 2}, batch_size=8, threads=2)
    assert roof_ms == pytest.approx(1e3 * (8 * 100 * 4e5 / 1e11 + 4 * 1500 / 1e10) / 2)


def test_weights_of_more_bytes_than_were_tried_are_read_like_the_most(made_up):
    _, roof_ms = made_up.roof([LayerWork(num_weights=10**6, uses=1)], {"int8": 1}, batch_size=1, threads=1)
    assert roof_ms == pytest.approx(1e3 * 1e6 / 1e10)


@on_x86
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fma avx2", {"avx2", "avx2_fma"}),
        ("fma avx2 avx_vnni", {"avx_vnni", "avx2_fma"}),
        ("fma avx2 avx512f avx512bw", {"avx512", "avx512_fma"}),
        ("fma avx2 avx512f avx512bw avx512_vnni avx_vnni", {"avx512_vnni", "avx512_fma"}),
        ("sse2", set()),
    ],
)
def test_the_best_instructions_of_each_precision_count(tmp_path, monkeypatch, flags, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    monkeypatch.setattr(processor, "CPUINFO", path)
    assert set(roof.present()) == expected


@on_x86
def test_what_was_measured_before_a_forbidden_instruction_counts(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/sh\necho avx2_fma 3e10\necho avx2_fma 4e10\necho avx2 6e10\necho 4096 2e10\nkill -ILL $$\n"
    )
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    expected = roof.Peak(
        int8_macs_per_s={"avx2": 6e10}, float32_macs_per_s={"avx2_fma": 4e10}, bytes_per_s={4096: 2e10}
    )
    assert roof.peak.__wrapped__() == expected


def test_there_is_no_roof_where_nothing_can_be_measured(monkeypatch):
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    assert roof.peak.__wrapped__() is None

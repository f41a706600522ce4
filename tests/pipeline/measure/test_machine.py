import os
import platform
from importlib.metadata import version

import pytest

from pipeline import processor
from pipeline.measure.machine import machine, pin


def test_this_machine_is_described():
    found = machine(("numpy", "no-such-package-anywhere"))
    assert found.cpu
    assert found.instruction_set
    assert found.cores >= 1
    assert found.host == platform.node()
    assert found.system == platform.platform()
    assert found.versions == {"python": platform.python_version(), "numpy": version("numpy")}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_only_the_cores_that_may_be_used_are_counted():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert machine(()).cores == 1
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind processes to cores")
def test_a_process_stays_on_as_many_cores_as_threads():
    before = os.sched_getaffinity(0)
    try:
        pin(len(before))
        assert os.sched_getaffinity(0) == before
        pin(1)
        assert len(os.sched_getaffinity(0)) == 1
        assert os.sched_getaffinity(0) <= before
    finally:
        os.sched_setaffinity(0, before)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flags\t\t: fpu avx2 avx512bw avx_vnni avx512_vnni amx_int8", "amx_int8"),
        ("flags\t\t: fpu avx2 avx512bw avx_vnni avx512_vnni", "avx512_vnni"),
        ("flags\t\t: fpu avx2 avx_vnni", "avx_vnni"),
        ("flags\t\t: fpu avx2 avx512bw", "avx512"),
        ("flags\t\t: fpu avx2", "avx2"),
        ("Features\t: fp asimd asimddp i8mm", "neon_i8mm"),
        ("Features\t: fp asimd asimddp", "neon_dotprod"),
        ("Features\t: fp asimd", "neon"),
    ],
)
def test_the_best_instructions_for_integers_are_named(tmp_path, monkeypatch, line, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(f"processor\t: 0\nmodel name\t: Some CPU: fast\n{line}\n\nprocessor\t: 1\nmodel name\t: Other\n")
    monkeypatch.setattr(processor, "CPUINFO", path)
    found = machine(())
    assert found.instruction_set == expected
    assert found.cpu == "Some CPU: fast"


def test_a_system_without_that_file_is_described_too(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "absent")
    assert machine(()).cpu

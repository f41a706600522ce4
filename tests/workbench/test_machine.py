"""What the machine says of itself: of GPUs through the driver's module where there is one, of others nothing."""

import importlib
import os
import platform
import subprocess
import sys

import msgspec
import pytest

from tests.workbench import fakes
from tests.workbench.conftest import until
from tests.workbench.test_live import open_live
from workbench.machine import Gpu, Sampler
from workbench.widgets.machine_strip import MachineStrip

NVML = """
import os
from types import SimpleNamespace


class NVMLError(Exception):
    pass


def fails_in(place):
    return place in os.environ.get("FAKE_NVML", "").split()


def nvmlInit():
    if fails_in("init"):
        raise NVMLError("no driver")


def nvmlDeviceGetCount():
    return int(os.environ.get("FAKE_GPUS", "2"))


def nvmlDeviceGetHandleByIndex(place):
    return place


def nvmlDeviceGetMemoryInfo(gpu):
    return SimpleNamespace(used=(1 + gpu) * 2**30, total=80 * 2**30)


def nvmlDeviceGetUtilizationRates(gpu):
    if fails_in("look"):
        raise NVMLError("the GPU is lost")
    return SimpleNamespace(gpu=40 + gpu, memory=7)
"""
"""Two GPUs of a driver that can be told to fail."""


@pytest.fixture
def nvml(tmp_path, monkeypatch):
    """Gives the folder of a module of the driver, which is the first to be found."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "pynvml.py").write_text(NVML)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("pynvml", None)


def test_every_gpu_tells_its_load_and_memory(nvml):
    assert Sampler().look(None, "").gpus == (
        Gpu(percent=40, used_gib=1.0, total_gib=80.0),
        Gpu(percent=41, used_gib=2.0, total_gib=80.0),
    )


def test_a_driver_that_stops_to_answer_is_asked_no_more_and_the_rest_is_told(nvml, monkeypatch):
    sampler = Sampler()
    assert len(sampler.look(None, "").gpus) == 2
    monkeypatch.setenv("FAKE_NVML", "look")
    usage = sampler.look(None, "")
    assert usage.gpus == ()
    assert usage.total_gib > 0
    monkeypatch.delenv("FAKE_NVML")
    assert sampler.look(None, "").gpus == ()


@pytest.mark.parametrize(("name", "value"), [("FAKE_NVML", "init"), ("FAKE_GPUS", "0")])
def test_without_a_driver_or_a_device_nothing_is_said_of_gpus(nvml, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert Sampler().look(None, "").gpus == ()


def test_without_the_module_nothing_is_said_of_gpus(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Sampler().look(None, "").gpus == ()


def test_the_driver_is_not_touched_before_the_machine_is_looked_at(nvml):
    code = (
        "import sys, workbench.app, workbench.screens.live\n"
        "from workbench.machine import Sampler\n"
        "sampler = Sampler()\n"
        "assert 'pynvml' not in sys.modules\n"
        "assert len(sampler.look(None, '').gpus) == 2\n"
        "assert 'pynvml' in sys.modules\n"
    )
    environment = os.environ | {"PYTHONPATH": str(nvml)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment, timeout=60)


@pytest.mark.parametrize(("host", "is_here"), [("gpubox", False), ("", True), (platform.node(), True)])
async def test_the_strip_speaks_of_this_machine_for_its_own_runs_alone(app, store, monkeypatch, host, is_here):
    monkeypatch.setattr("workbench.screens.live.SAMPLE_S", 0.05)
    ours = fakes.recipe_of("far", "P")
    began, *rest = fakes.whole(ours)
    fakes.add_run(store, ours, [msgspec.structs.replace(began, host=host), *rest])
    async with app.run_test(size=(80, 24)) as pilot:
        strip = (await open_live(pilot)).query_one(MachineStrip)
        if is_here:
            await until(pilot, lambda: "cpu" in strip.plain_text() and "not this" not in strip.plain_text())
        else:
            await until(pilot, lambda: strip.plain_text() == " on gpubox, not this machine")

import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from pipeline import processor
from pipeline.engine import acceleration, placement, training
from pipeline.sections import Training
from tests.pipeline.engine.test_images import make_task
from tests.pipeline.engine.test_training import Recorder, build

cpu = torch.device("cpu")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16", "bfloat16"),
        ("fpu amx_bf16 amx_tile", "bfloat16"),
        ("fpu avx512f avx512_vnni", "float32"),
        ("fpu not_amx_bf16", "float32"),
    ],
)
def test_bfloat16_is_chosen_for_a_processor_that_multiplies_in_it(flags, expected, tmp_path, monkeypatch):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n\nprocessor\t: 1\nflags\t\t: {flags}\n")
    monkeypatch.setattr(processor, "CPUINFO", cpuinfo)
    assert acceleration.precision(Training(), cpu) == expected
    assert acceleration.describe(Training(), cpu) == f"training computes in {expected} (precision = auto)."
    for asked in ("float32", "bfloat16"):
        assert acceleration.precision(Training(precision=asked), cpu) == asked


def test_an_unknown_processor_trains_in_float32(tmp_path, monkeypatch):
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "absent")
    assert acceleration.precision(Training(), cpu) == "float32"


def test_a_processor_compiles_only_when_asked():
    assert not acceleration.compiles(Training(), cpu)
    assert acceleration.compiles(Training(compile="on"), cpu)


@pytest.mark.parametrize("prepared", [False, True])
def test_in_bfloat16_the_loss_is_computed_and_the_weights_are_kept_in_float32(prepared):
    model = placement.prepare(build()) if prepared else build()
    settings = Training(batch_size=8, precision="bfloat16")
    seen, inside = [], []
    first = next(module for module in model.modules() if isinstance(module, torch.nn.Conv2d))
    first.register_forward_hook(lambda module, inputs, output: inside.append((model.training, output.dtype)))
    task = make_task()

    def loss(batch, outputs):
        seen.append((outputs.dtype, torch.is_autocast_enabled("cpu")))
        return task.loss(batch, outputs)

    training.fit(model, task, epochs=1, learning_rate=0.01, settings=settings, watcher=Recorder(), loss=loss)
    assert set(seen) == {(torch.float32, False)}
    assert set(inside) == {(True, torch.bfloat16), (False, torch.float32)}
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


needs_a_compiler = pytest.mark.skipif(
    shutil.which("g++") is None and shutil.which("clang++") is None,
    reason="torch.compile needs a C++ compiler, and there is none on this machine",
)


@pytest.mark.slow
@needs_a_compiler
def test_a_compiled_network_trains_as_the_plain_one():
    losses = {}
    for compile_ in ("off", "on"):
        model = placement.prepare(build())
        training.calibrate(model, make_task())
        settings = Training(batch_size=8, precision="float32", compile=compile_)
        recorder = Recorder()
        training.fit(
            model, make_task(), epochs=2, learning_rate=0.05, settings=settings, watcher=recorder, freeze_after=0.5
        )
        losses[compile_] = [metrics["loss"] for _, _, metrics in recorder.epochs]
        assert type(model).__name__ != "OptimizedModule"
    assert losses["on"] == pytest.approx(losses["off"], rel=1e-2)


@pytest.mark.slow
@needs_a_compiler
def test_a_network_of_the_same_shape_is_compiled_once_for_all_stages():
    torch.compiler.reset()
    counters.clear()
    settings = Training(batch_size=8, precision="float32", compile="on")
    for _ in range(3):
        training.fit(build(), make_task(), epochs=1, learning_rate=0.05, settings=settings, watcher=Recorder())
    assert counters["stats"]["unique_graphs"] == 1

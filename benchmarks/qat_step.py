"""What a training step costs once fake quantisers are in: this pipeline, torchao PT2E and NNCF over plain FP32.

uv run --group benchmarks python benchmarks/qat_step.py

Forward, cross-entropy, backward and an SGD step on random images. All subjects hold the same network and take turns
in one process; the ratio is the median over the rounds, against the faster of the two memory layouts of plain FP32.
Peak memory is that of three steps in a process of its own for each subject, above what torch alone held. `frozen` is
the last part of a stage, when ranges no longer move; `bfloat16` what precision "auto" does where the processor has it.
"""

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _harness import (
    as_in_a_run,
    console,
    describe,
    interleave,
    last_line,
    median_ratios,
    quiet,
    show,
    spread,
    training_step,
)
from torch import Tensor, nn

from pipeline.engine import fake_quant, placement

Step = Callable[[], object]
ours, plain, plain_nhwc = "pqd-workbench", "fp32", "fp32 channels_last"


def main() -> None:
    options = arguments()
    as_in_a_run()
    torch.set_num_threads(options.threads)
    if options.only:
        print(memory_of(options))
        return
    subjects = {}
    for name in makers:
        try:
            with quiet():
                subjects[name] = makers[name](options)
                subjects[name]()
        except ImportError as error:
            console.print(f"{name} is left out: {error}.")
    seconds = interleave(subjects, rounds=options.rounds)
    base = min((plain, plain_nhwc), key=lambda name: sum(seconds[name]))
    ratios = median_ratios(seconds, base)
    peaks = {name: peak_mib(name) for name in subjects}
    memory = {name: round(peak / peaks[base], 3) for name, peak in peaks.items()}
    rows = [
        [name, spread(seconds[name]), f"{ratios[name]:.3f}", f"{peaks[name]:,.0f}", f"{memory[name]:.2f}"]
        for name in subjects
    ]
    title = f"One training step, {options.backbone}, batch {options.batch}, 32x32, {options.rounds} rounds"
    conditions = describe(("torchao", "nncf"), threads=options.threads)
    columns = ["subject", "ms, median (quartiles)", f"of {base}", "peak MiB", f"of {base}"]
    show(title, columns, rows, [conditions])
    shown = {name: ratios[name] for name in subjects if not name.startswith(plain)}
    last_line({"ratio_to_fp32": shown, "memory_ratio_to_fp32": {name: memory[name] for name in shown}, "fp32": base})


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", help="measure the memory of one subject (used by this program itself)")
    return parser.parse_args()


def network(options: argparse.Namespace, *, channels_last: bool = True) -> tuple[nn.Module, Tensor, Tensor]:
    """Make the backbone, a batch of images and its classes."""
    torch.manual_seed(0)
    build = importlib.import_module(f"pipeline.backbones.{options.backbone}").build
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = torch.randn(options.batch, 3, 32, 32).contiguous(memory_format=layout)
    model = build(num_classes=10, in_channels=3).to(memory_format=layout).train()
    return model, x, torch.arange(options.batch) % 10


def fp32(options: argparse.Namespace) -> Step:
    return training_step(*network(options, channels_last=False))


def fp32_channels_last(options: argparse.Namespace) -> Step:
    return training_step(*network(options))


def pqd(options: argparse.Namespace, *, frozen: bool = False, bfloat16: bool = False) -> Step:
    model, x, targets = network(options)
    prepared = placement.prepare(model).train()
    prepared(x)
    fake_quant.set_observing(prepared, not frozen)
    return training_step(prepared, x, targets, torch.bfloat16 if bfloat16 else torch.float32)


def torchao_pt2e(options: argparse.Namespace, *, channels_last: bool = True) -> Step:
    from torchao.quantization.pt2e import move_exported_model_to_train
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    model, x, targets = network(options, channels_last=channels_last)
    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config(is_qat=True))
    prepared = prepare_qat_pt2e(torch.export.export(model, (x,)).module(), quantizer)
    return training_step(move_exported_model_to_train(prepared), x, targets)


def nncf_qat(options: argparse.Namespace) -> Step:
    import nncf

    # Its graph changes nothing about the memory layout.
    model, x, targets = network(options)
    quantised = nncf.quantize(model.eval(), nncf.Dataset([x]), subset_size=1, fast_bias_correction=True)
    return training_step(quantised.train(), x, targets)


makers: dict[str, Callable[[argparse.Namespace], Step]] = {
    plain: fp32,
    plain_nhwc: fp32_channels_last,
    ours: pqd,
    f"{ours} frozen": lambda options: pqd(options, frozen=True),
    f"{ours} bfloat16": lambda options: pqd(options, bfloat16=True),
    "torchao-pt2e": torchao_pt2e,
    "nncf": nncf_qat,
}


def memory_of(options: argparse.Namespace) -> float:
    """Give the largest resident MiB of three steps, above what torch alone held."""
    before = from_status("VmRSS")
    with quiet():
        step = makers[options.only](options)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of the preparation
    for _ in range(3):
        step()
    return (from_status("VmHWM") - before) / 1024


def from_status(name: str) -> int:
    """Read a number of KiB from what the system says about this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def peak_mib(name: str) -> float:
    command = [sys.executable, *sys.argv, "--only", name]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])


if __name__ == "__main__":
    main()

"""How fast training runs: batched views against the per-sample path, and each switch of the training step.

uv run python benchmarks/throughput.py

Views: shift, mirror and normalise 32x32 images, one thread, as one batch of tensor operations on the uint8 data, and
as torchvision's transforms sample by sample, the way a loader's worker does it. Steps: forward, loss, backward, SGD of
a backbone in FP32, with channels_last, and with bfloat16 besides; percent of peak is of the largest matrix product of
that type measured in the same process. Distillation: a student that asks its teacher for every batch, and one whose
teacher answered the same views before.
"""

import argparse
import importlib
import os
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from _harness import as_in_a_run, describe, interleave, last_line, median_ratios, show, spread, training_step
from PIL import Image
from torch import nn
from torchvision import transforms

from pipeline.engine import distillation, throughput, training
from pipeline.engine.images import ImageClassification
from pipeline.protocols import Splits
from pipeline.sections import Training
from pipeline.teachers import AnswerTables

kinds = {
    "fp32": (torch.contiguous_format, torch.float32),
    "fp32 channels_last": (torch.channels_last, torch.float32),
    "bfloat16 channels_last": (torch.channels_last, torch.bfloat16),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbones", nargs="+", default=["resnet18", "resnet20", "vgg16_bn", "wrn_28_10"])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    as_in_a_run()
    result = {
        "augmentation_ratio": augmentation(options),
        "distillation_ratio": distillation_ratio(options),
        "steps": steps(options),
    }
    print(describe(("torchvision",), threads=options.threads))
    last_line(result)


def make_task(batch_size: int, count: int = 2048) -> ImageClassification:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)
    splits = Splits(
        x_train=images,
        y_train=draw.integers(0, 10, count),
        x_test=images[:64],
        y_test=np.zeros(64, dtype=np.int64),
        classes=tuple("0123456789"),
        mean=(0.49, 0.48, 0.45),
        std=(0.25, 0.24, 0.26),
        augmentation="shift-flip",
    )
    settings = Training(batch_size=batch_size, validation=0.01)
    return ImageClassification(splits, device=torch.device("cpu"), seed=0, settings=settings)


def augmentation(options: argparse.Namespace) -> float:
    torch.set_num_threads(1)
    task = make_task(options.batch)
    mean, std = task.splits.mean, task.splits.std
    path = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
    )
    pictures = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in task.x_train]

    def by_sample() -> None:
        for start in range(0, task.steps_per_epoch * options.batch, options.batch):
            torch.stack([path(picture) for picture in pictures[start : start + options.batch]])

    subjects = {"torchvision, sample by sample": by_sample, "batched": lambda: sum(1 for _ in task.epoch(0))}
    seconds = interleave(subjects, rounds=options.rounds)
    images = task.steps_per_epoch * options.batch
    rows = [[name, f"{images / sorted(times)[len(times) // 2]:,.0f}"] for name, times in seconds.items()]
    ratio = round(1 / median_ratios(seconds, "torchvision, sample by sample")["batched"], 2)
    show("Views of 32x32 images, one thread", ["path", "images/s"], rows, [f"batched is {ratio} times as fast"])
    return ratio


def steps(options: argparse.Namespace) -> list[dict[str, object]]:
    torch.set_num_threads(options.threads)
    results: list[dict[str, object]] = []
    rows = []
    for backbone in options.backbones:
        # The widest network needs a smaller batch to stay within seconds.
        batch = options.batch if backbone != "wrn_28_10" else max(2, options.batch // 8)
        task = make_task(batch)
        flops = throughput.training_flops(build(backbone), task)
        (first, *_) = task.epoch(0)
        subjects = {
            name: training_step(
                build(backbone).to(memory_format=layout),
                first.inputs.contiguous(memory_format=layout),
                first.targets,
                dtype,
            )
            for name, (layout, dtype) in kinds.items()
        }
        seconds = interleave(subjects, rounds=options.rounds)
        ratios = median_ratios(seconds, "fp32")
        for name, (_, dtype) in kinds.items():
            rate = batch / statistics.median(seconds[name])
            numbers = {
                "speedup": round(1 / ratios[name], 2),
                "images_per_s": round(rate, 1),
                "tflops": round(rate * flops / 1e12, 4),
                "percent_of_peak": round(100 * rate * flops / throughput.peak_flops(task.device, dtype), 1),
            }
            rows.append([backbone, name, spread(seconds[name]), *map(str, numbers.values())])
            results.append({"backbone": backbone, "step": name} | numbers)
    columns = ["backbone", "step", "ms, median (quartiles)", "speed", "images/s", "TFLOP/s", "% of peak"]
    show(f"Training steps, {options.rounds} rounds", columns, rows, [])
    return results


def distillation_ratio(options: argparse.Namespace) -> dict[str, float]:
    torch.set_num_threads(options.threads)
    task = make_task(options.batch)
    settings = Training(batch_size=options.batch)
    network = build("resnet20").to(memory_format=torch.channels_last).eval()

    with tempfile.TemporaryDirectory() as folder:
        tables = AnswerTables(Path(folder), "teacher", limit_bytes=2**30)

        def epoch(answers: distillation.Teacher | None) -> None:
            student = build("resnet20").to(memory_format=torch.channels_last)
            loss = answers and distillation.soft_target_loss(answers, task.loss, temperature=4.0, alpha=0.9)
            training.fit(student, task, epochs=1, learning_rate=0.01, settings=settings, watcher=Nobody(), loss=loss)

        epoch(distillation.Teacher(lambda: network, task, settings, tables))
        subjects = {
            "plain": lambda: epoch(None),
            "distilled, teacher asked": lambda: epoch(distillation.Teacher(lambda: network, task, settings)),
            "distilled, answers kept": lambda: epoch(distillation.Teacher(lambda: network, task, settings, tables)),
        }
        seconds = interleave(subjects, rounds=options.rounds)
    ratios = median_ratios(seconds, "plain")
    rows = [[name, spread(times, 1.0), f"{ratios[name]:.3f}"] for name, times in seconds.items()]
    show("An epoch of ResNet-20 taught by its like", ["training", "s, median (quartiles)", "of plain"], rows, [])
    return ratios


class Nobody:
    """Follows a training without a word."""

    def checkpoint_stop(self) -> None:
        """Never stop."""

    def progressed(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take no note."""

    def began(self, epoch: int, step: int) -> None:
        """Take no note."""

    def epoch_finished(self, epoch: int, step: int, metrics: Mapping[str, float], make: object) -> None:
        """Take no note."""

    def noted(self, text: str) -> None:
        """Take no note."""


def build(backbone: str) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = importlib.import_module(f"pipeline.backbones.{backbone}").build(num_classes=10, in_channels=3)
    return network.train()


if __name__ == "__main__":
    main()

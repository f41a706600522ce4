"""A store of made-up runs for pictures and benchmarks: ``uv run python docs/demo.py STORE [RUNS]``.

The numbers are plausible for CIFAR-10 and nothing was trained: every run says so in its log, and its machine is
called ``demo``. The same call writes the same store. Events go through the writer that real runs use.
"""

import contextlib
import fcntl
import hashlib
import itertools
import math
import os
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline import events as e
from pipeline import recipe
from pipeline.recipe import Recipe
from pipeline.report import Accuracy, CheckpointSize, Latency, Machine, Paired
from pipeline.runs import wording
from pipeline.runs.annotations import Annotations
from pipeline.runs.log import EventWriter
from pipeline.runs.state import RunState
from pipeline.runs.store import Run, RunStore

NOW_S = 1_781_533_800.0
"""The clock of the demo: 15 June 2026, 14:30 UTC."""
ORDERS = ("PQD", "PDQ", "QPD", "QDP", "DPQ", "DQP", "PQ", "Q", "P", "D", "")
TEST_IMAGES = 10_000
MACHINE = Machine(
    cpu="demo", instruction_set="avx512_vnni", cores=8, host="demo", system="Linux", versions={"onnxruntime": "1.20.1"}
)
NETWORKS = {
    "resnet18": (95.2, 41.2, 5.31, 11_173_962),
    "vgg16_bn": (94.1, 54.3, 4.12, 14_728_266),
    "resnet20": (92.6, 1.02, 0.61, 272_474),
}
"""By backbone: top-1 in percent, MiB and milliseconds of the baseline, parameters."""


def recipe_of(order: str, backbone: str, sparsity: float, seed: int, epochs: int) -> Recipe:
    """Make a recipe.

    Args:
        order: stages by their initials.
        backbone: a name of ``NETWORKS``.
        sparsity: zeros that ``prune`` makes, 0 to 1.
        seed: start of the random streams.
        epochs: of the baseline; stages take a third of it.
    """
    tables: dict[str, dict[str, Any]] = {
        "P": {"stage": "prune", "sparsity": sparsity}, "Q": {"stage": "quantize"}, "D": {"stage": "distill"},
    }  # fmt: skip
    part = f"-{100 * sparsity:.0f}" if "P" in order else ""
    document = {
        "name": f"{order.lower() or 'base'}{part}-{backbone}-s{seed}", "backbone": backbone, "dataset": "cifar10",
        "seed": seed, "baseline": {"epochs": epochs},
        "stages": [{**tables[letter], "epochs": max(1, epochs // 3)} for letter in order],
    }  # fmt: skip
    return recipe.parse(document, folder=Path.cwd())


class Story:
    """What a run of a recipe writes down, second by second."""

    def __init__(self, of: Recipe, started_s: float, seed: int, *, records: int = 4) -> None:
        self.of = of
        self.now_s = started_s
        self.chance = random.Random(seed)
        self.records = records
        self.base_top1, self.base_mib, self.base_ms, self.num_parameters = NETWORKS[of.backbone]
        self.zeros = next((s.sparsity for s in of.stages if s.name == "prune"), 0.0)  # type: ignore[attr-defined]
        self.letters = of.letters
        change = 0.45 * ("D" in self.letters) - 0.3 * ("Q" in self.letters) - 1.1 * self.zeros**4
        self.top1 = self.base_top1 + (change + self.chance.gauss(0.0, 0.12) if self.letters else 0.0)

    def begin(self) -> e.RunStarted:
        """Say what is planned."""
        plan, key = [], f"{self.of.backbone} {self.of.seed}"
        for entry in self.of.plan:
            own = entry.recipe.stages[-1].epochs if entry.recipe.stages else entry.recipe.baseline.epochs
            key = hashlib.sha256(f"{key} {entry.name} {self.zeros}".encode()).hexdigest()[:32]
            plan.append(e.StagePlan(stage=entry.name, key=key, epochs=own or 0))
        self.plan = tuple(plan)
        return e.RunStarted(time_s=self.now_s, pid=4242, host="demo", device="cuda:0", plan=self.plan)

    def train(self, index: int) -> Iterator[e.AnyEvent]:
        """Train one entry of the plan."""
        plan, begun_s = self.plan[index], self.now_s
        steps, pace_s = 352, 11.0 if self.of.backbone == "resnet18" else 7.0
        yield e.StageStarted(time_s=self.now_s, index=index, steps=steps * plan.epochs)
        goal = self.base_top1 if index == 0 else self.top1 - 0.15 * (len(self.plan) - 1 - index)
        for epoch in range(1, plan.epochs + 1):
            share = epoch / plan.epochs
            low = 55.0 if index == 0 else 3.5
            top1 = goal - low * math.exp(-5 * share) - 0.4 * (1 - share) * self.chance.random()
            loss = (1.9 if index == 0 else 0.22) * math.exp(-3.2 * share) + 0.03
            rate = (0.1 if index == 0 else 0.01) * 0.5 * (1 + math.cos(math.pi * share)) + 1e-5
            speed = 45_000 / pace_s * (1 + 0.01 * self.chance.gauss(0, 1))
            metrics: e.Metrics = {"learning_rate": rate, "images_per_s": speed}
            for part in range(1, self.records + 1):
                metrics = {**metrics, "loss": loss * (1 + 0.12 * self.chance.gauss(0, 1))}
                step = steps * (epoch - 1) + steps * part // self.records
                self.now_s += pace_s / self.records
                yield e.Progressed(time_s=self.now_s, index=index, step=step, metrics=metrics)
            metrics = {**metrics, "loss": loss, "validation_loss": 1.15 * loss + 0.05, "top1": round(top1, 2)}
            yield e.EpochFinished(
                time_s=self.now_s, index=index, epoch=epoch, step=steps * epoch, metrics=self._zeros(metrics, index)
            )
        found = self._zeros({"top1": round(goal, 2)}, index)
        yield e.StageFinished(time_s=self.now_s, index=index, metrics=found, seconds=self.now_s - begun_s)

    def _zeros(self, metrics: e.Metrics, index: int) -> e.Metrics:
        is_pruned = any(plan.stage == "prune" for plan in self.plan[: index + 1])
        return {**metrics, "sparsity": self.zeros if is_pruned else 0.0}

    def measure(self) -> Iterator[e.AnyEvent]:
        """Measure the baseline and the result."""
        is_int8 = "Q" in self.letters
        ratio = (5.2 if is_int8 else 1.0) * (1 + 2.4 * self.zeros**2)
        pace = (0.23 if is_int8 else 1.0) * self.chance.uniform(0.97, 1.04)
        sizes = {"baseline": self.base_mib, "deployed": self.base_mib / ratio * self.chance.uniform(0.99, 1.01)}
        times = {"baseline": self.base_ms * self.chance.uniform(0.99, 1.01), "deployed": self.base_ms * pace}
        right = {"baseline": self.base_top1, "deployed": self.top1}
        for subject in ("baseline", "deployed"):
            self.now_s += 6.0
            yield self._accuracy(subject, right[subject])
            yield self._size(subject, sizes[subject], is_int8=is_int8 and subject == "deployed")
            yield from self._files(subject, sizes[subject], is_int8=is_int8 and subject == "deployed")
        yield e.Measuring(time_s=self.now_s, what="latency")
        for subject in ("baseline", "deployed"):
            self.now_s += 12.0
            yield self._latency(subject, times[subject])

    def _accuracy(self, subject: str, top1: float) -> e.AnyEvent:
        lost = 130 + self.chance.randrange(60) if self.letters else 0
        gained = lost + round((self.top1 - self.base_top1) * TEST_IMAGES / 100)
        paired = Paired(total=TEST_IMAGES, gained=max(0, gained), lost=lost) if subject == "deployed" else None
        accuracy = Accuracy(
            correct=round(top1 * TEST_IMAGES / 100), total=TEST_IMAGES, runtime="onnxruntime", agreement=0.9994,
            versus_baseline=paired,
        )  # fmt: skip
        return e.AccuracyMeasured(time_s=self.now_s, subject=subject, accuracy=accuracy)

    def _size(self, subject: str, mib: float, *, is_int8: bool) -> e.AnyEvent:
        num_bytes, total = round(mib * 2**20), self.num_parameters
        zeros = self.zeros if subject == "deployed" else 0.0
        size = CheckpointSize(
            size_bytes=num_bytes, num_parameters=total, num_nonzero=round(total * (1 - zeros)),
            dense_bytes=total if is_int8 else 4 * total, float_bytes=4 * total, bound_bytes=1.004 * num_bytes,
        )  # fmt: skip
        return e.SizeMeasured(time_s=self.now_s, subject=subject, size=size)

    def _files(self, subject: str, mib: float, *, is_int8: bool) -> Iterator[e.AnyEvent]:
        values = (1 if is_int8 else 4) * self.num_parameters
        files = {"checkpoint": round(mib * 2**20), "onnx": values + 61_000, "samples": 820_000, "weights": values}
        for kind, num_bytes in files.items():
            yield e.ArtifactWritten(
                time_s=self.now_s, subject=subject, kind=kind, path=f"stages/demo/{kind}", bytes=num_bytes,
                sha256=hashlib.sha256(f"{subject} {kind} {num_bytes}".encode()).hexdigest(),
            )  # fmt: skip

    def _latency(self, subject: str, median_ms: float) -> e.AnyEvent:
        spread = self.chance.uniform(1.02, 1.09)
        latency = Latency(
            runtime="onnxruntime", median_ms=round(median_ms, 3), p90_ms=round(median_ms * spread, 3),
            p99_ms=round(median_ms * spread**2, 3), min_ms=round(median_ms / spread, 3), samples=400, threads=1,
            batch_size=1, machine=MACHINE, roof_ms=round(median_ms / 1.7, 3),
        )  # fmt: skip
        return e.LatencyMeasured(time_s=self.now_s, subject=subject, latency=latency)

    def tell(self) -> Iterator[e.AnyEvent]:
        """Tell all of it, to the end."""
        yield self.begin()
        for index in range(len(self.plan)):
            yield from self.train(index)
        yield from self.measure()
        yield e.RunFinished(time_s=self.now_s + 1.0)


def add(store: RunStore, story: Story, number: int, events: list[e.AnyEvent], toml: str) -> Run:
    """Write a run's folder; its process is gone."""
    stamp = time.strftime("%Y-%m-%d-%H%M%S", time.gmtime(events[0].time_s))
    run = store.run(f"{stamp}-{story.of.name.replace('_', '-')}-{number:04x}")
    run.folder.mkdir(parents=True)
    run.lock_path.touch()
    lines, state = ["a demo: nothing was trained"], RunState()
    with EventWriter(run.events_path) as writer:
        for event in events:
            writer.append(event)
            state = state.after(event)
            lines += filter(None, [wording.log_line(event, state)])
    run.log_path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    (run.folder / "recipe.toml").write_text(toml, encoding="utf-8")
    if isinstance(events[-1], e.RunFinished | e.RunFailed | e.RunStopped):
        run.summary_path.write_bytes(msgspec.json.encode(run.state()))
    return run


def fill(folder: Path, runs: int = 42, epochs: int = 60, records: int = 4) -> RunStore:
    """Write runs that are over: nearly all finished, one failed, one stopped, one lost of each 40.

    Args:
        folder: of the store; must not hold runs yet.
        runs: how many.
        epochs: of the baselines.
        records: of the training, within an epoch.
    """
    store = RunStore(folder)
    kinds = itertools.product(range(1000), NETWORKS, (0.5, 0.8, 0.9), ORDERS)
    wanted = ((s, b, z, o) for s, b, z, o in kinds if "P" in o or z == 0.5)
    for number, (seed, backbone, zeros, order) in enumerate(itertools.islice(wanted, runs)):
        of, toml = _written(order, backbone, zeros, seed, epochs)
        story = Story(of, NOW_S - 5_400.0 * (runs - number), number, records=records)
        events = list(story.tell())
        half = len(events) // 2
        if number % 40 == 17:
            events[half:] = [e.RunFailed(time_s=events[half].time_s, reason="The loss became nan at step 1261.")]
        elif number % 40 == 26:
            events[half:] = [e.RunStopped(time_s=events[half].time_s)]
        elif number % 40 == 33:
            del events[half:]
        run = add(store, story, number, events, toml)
        if number == 8:
            run.annotate(Annotations(tags=("candidate",), note="The smallest one above 95 %.", pinned=True))
    return store


_texts: dict[tuple[str, str, float, int], tuple[Recipe, str]] = {}


def _written(order: str, backbone: str, zeros: float, seed: int, epochs: int) -> tuple[Recipe, str]:
    """Make a recipe and its text; those of another seed differ in two lines."""
    key = (order, backbone, zeros, epochs)
    if key not in _texts:
        first = recipe_of(order, backbone, zeros, 0, epochs)
        _texts[key] = first, first.to_toml()
    of, text = _texts[key]
    name = of.name.removesuffix("-s0") + f"-s{seed}"
    text = text.replace(f'name = "{of.name}"', f'name = "{name}"', 1).replace("seed = 0\n", f"seed = {seed}\n", 1)
    return msgspec.structs.replace(of, name=name, seed=seed), text


@contextlib.contextmanager
def going_on(store: RunStore) -> Iterator[list[Run]]:
    """Add two runs whose locks are held: one trains its second stage, one measures."""
    runs, held = [], []
    for number, (order, at) in enumerate((("PQD", 0.62), ("QD", 0.985))):
        of = recipe_of(order, "resnet18", 0.8, 7 + number, 60)
        story = Story(of, 0.0, 900 + number, records=8)
        events = list(story.tell())[:-3]
        kept = events[: round(at * len(events))] if number == 0 else events
        shift_s = NOW_S - 2.0 - kept[-1].time_s
        kept = [msgspec.structs.replace(event, time_s=event.time_s + shift_s) for event in kept]
        run = add(store, story, 900 + number, kept, of.to_toml())
        descriptor = os.open(run.lock_path, os.O_RDWR)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        runs.append(run)
        held.append(descriptor)
    try:
        yield runs
    finally:
        for descriptor in held:
            os.close(descriptor)


if __name__ == "__main__":
    fill(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 42)

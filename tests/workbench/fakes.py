"""Runs on disk as a pipeline process would leave them, written through the real event writer."""

import fcntl
import math
import os
from contextlib import contextmanager

from pipeline import events as e
from pipeline import recipe
from pipeline.keys import stage_keys
from pipeline.report import Accuracy, CheckpointSize, Latency, Machine
from pipeline.runs.log import EventWriter
from pipeline.runs.store import Run, RunStore

MACHINE = Machine(
    cpu="Some CPU", instruction_set="avx512_vnni", cores=2, host="box", system="Linux", versions={"python": "3.11"}
)
START_S = 1_790_000_000.0


def recipe_of(name="pqd", stages="PQD", backbone="tiny", seed=0, epochs=4):
    tables = {"P": {"stage": "prune", "sparsity": 0.5}, "Q": {"stage": "quantize"}, "D": {"stage": "distill"}}
    document = {
        "name": name, "backbone": backbone, "dataset": "digits", "seed": seed, "baseline": {"epochs": epochs},
        "stages": [{**tables[letter], "epochs": epochs} for letter in stages],
    }  # fmt: skip
    from pathlib import Path

    return recipe.parse(document, folder=Path.cwd())


def latency(ms, runtime="onnxruntime"):
    return Latency(
        runtime=runtime, median_ms=ms, p90_ms=ms * 1.1, p99_ms=ms * 1.3, min_ms=ms * 0.95, samples=400, threads=1,
        batch_size=1, machine=MACHINE,
    )  # fmt: skip


def started(of, time_s=START_S):
    names = ["baseline", *(stage.name for stage in of.stages)]
    epochs = [of.baseline.epochs or 0, *(stage.epochs for stage in of.stages)]
    plan = tuple(e.StagePlan(stage=n, key=k, epochs=c) for n, k, c in zip(names, stage_keys(of), epochs, strict=True))
    return e.RunStarted(time_s=time_s, pid=4242, host="box", device="cpu", plan=plan)


def training(of, index, time_s, *, top1=90.0, epochs=None, reused=False, seconds_per_epoch=10.0, steps_per_epoch=20):
    """The events of one stage; ``epochs`` below its own leaves it unfinished."""
    total = [of.baseline.epochs or 0, *(stage.epochs for stage in of.stages)][index]
    if reused:
        return [e.StageReused(time_s=time_s, index=index, metrics={"top1": top1, "sparsity": 0.5}, seconds=100.0)]
    found = [e.StageStarted(time_s=time_s, index=index, steps=total * steps_per_epoch)]
    done = total if epochs is None else epochs
    for epoch in range(1, done + 1):
        share = epoch / total
        loss = 0.2 + 2.0 * math.exp(-3 * share) * (1.0 if index == 0 else 0.2)
        rate = (0.1 if index == 0 else 0.01) * 0.5 * (1 + math.cos(math.pi * share)) + 1e-5
        for part in (0.25, 0.5, 0.75, 1.0):
            step = int((epoch - 1 + part) * steps_per_epoch)
            at = time_s + seconds_per_epoch * (epoch - 1 + part)
            metrics = {"loss": loss * (1 + 0.1 * math.sin(7 * step)), "learning_rate": rate}
            metrics["images_per_s"] = 1900.0 + 40 * math.sin(step)
            found.append(e.Progressed(time_s=at, index=index, step=step, metrics=metrics))
        found.append(
            e.EpochFinished(
                time_s=time_s + seconds_per_epoch * epoch, index=index, epoch=epoch, step=epoch * steps_per_epoch,
                metrics={
                    "loss": loss, "validation_loss": loss * 1.1, "learning_rate": rate, "images_per_s": 1900.0,
                    "top1": top1 - 40 * math.exp(-4 * share) * (1.0 if index == 0 else 0.1),
                },
            )
        )  # fmt: skip
    if done == total:
        end = time_s + seconds_per_epoch * total
        found.append(e.StageFinished(time_s=end, index=index, metrics={"top1": top1}, seconds=end - time_s))
    return found


def measured(subject, time_s, *, top1, size_bytes, ms, total=1000):
    accuracy = Accuracy(correct=round(top1 * total / 100), total=total, runtime="onnxruntime")
    size = CheckpointSize(
        size_bytes=size_bytes, num_parameters=size_bytes, num_nonzero=size_bytes // 2, dense_bytes=size_bytes,
        float_bytes=4 * size_bytes, bound_bytes=0.99 * size_bytes,
    )  # fmt: skip
    found = [
        e.AccuracyMeasured(time_s=time_s, subject=subject, accuracy=accuracy),
        e.SizeMeasured(time_s=time_s, subject=subject, size=size),
    ]
    return [*found, e.LatencyMeasured(time_s=time_s, subject=subject, latency=latency(ms))] if ms else found


def whole(of, *, top1=94.0, size_bytes=3_000_000, ms=1.2, reused=(), base=(94.6, 44_000_000, 5.3)):
    """Every event of a finished run."""
    now, found = START_S, [started(of)]
    for index in range(len(of.stages) + 1):
        part = training(of, index, now, top1=top1 + 0.1 * index, reused=index in reused)
        found += part
        now = part[-1].time_s + 1
    found += measured("baseline", now, top1=base[0], size_bytes=base[1], ms=base[2])
    found += measured("deployed", now, top1=top1, size_bytes=size_bytes, ms=ms)
    return [*found, e.RunFinished(time_s=now + 1)]


def write(run: Run, events):
    with EventWriter(run.events_path) as writer:
        for event in events:
            writer.append(event)


def add_run(store: RunStore, of, events, log="") -> Run:
    """A run whose process is gone."""
    run, lock = store.create(of)
    os.close(lock)
    write(run, events)
    run.log_path.write_text(log)
    return run


@contextmanager
def running(store: RunStore, of, events):
    """A run whose lock is held."""
    run, lock = store.create(of)
    write(run, events)
    try:
        yield run
    finally:
        os.close(lock)


def is_locked(run: Run) -> bool:
    with run.lock_path.open("r+") as opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False

"""Runs as a pipeline process would have left them: a recipe, an event log, real files."""

import atexit
import functools
import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline import events as e
from pipeline import files, recipe
from pipeline.events import AnyEvent
from pipeline.report import Accuracy, CheckpointSize, Latency, Machine
from pipeline.results import artifact_names
from pipeline.runs.log import EventWriter
from pipeline.runs.store import Run, RunStore

START_S = 1_700_000_000.0
CLASSES = ("zero", "one_[x]", "two")
MEAN, STD = 0.5, 0.25
KINDS: Mapping[str, str] = artifact_names
TOML = """
name = "{name}"
backbone = "{backbone}"
dataset = "digits"
[baseline]
epochs = 2
[[stages]]
stage = "prune"
epochs = 2
[[stages]]
stage = "quantize"
epochs = 1
"""


def machine() -> Machine:
    return Machine(
        cpu="Example CPU",
        instruction_set="avx512_vnni",
        cores=2,
        host="box",
        system="Linux",
        versions={"onnxruntime": "1.23.0"},
    )


def create(store: RunStore, name: str = "small", backbone: str = "tiny") -> tuple[Run, int]:
    """Make a queued run; whoever calls holds its lock."""
    wanted = recipe.loads(TOML.format(name=name, backbone=backbone), source="test", folder=Path("/"))
    return store.create(wanted)


def record(run: Run, happened: Sequence[AnyEvent]) -> None:
    with EventWriter(run.events_path) as log:
        for event in happened:
            log.append(event)


def trained() -> list[AnyEvent]:
    """Everything up to the end of the training: a reused baseline and two trained stages."""
    plan = (
        e.StagePlan(stage="baseline", key="a", epochs=2),
        e.StagePlan(stage="prune", key="b", epochs=2),
        e.StagePlan(stage="quantize", key="c", epochs=1),
    )
    happened: list[AnyEvent] = [
        e.RunStarted(time_s=START_S, pid=1, host="box", device="cpu", plan=plan),
        e.Waited(time_s=START_S + 1, reason="another run trains the same stage: waiting for it"),
        e.Downloaded(time_s=START_S + 1.5, done=1024, total=4096),
        e.EpochFinished(time_s=START_S + 2, index=0, epoch=1, step=10, metrics={"top1": 80.0, "loss": 1.0}),
        e.StageReused(time_s=START_S + 2, index=0, metrics={"top1": 92.5, "sparsity": 0.0}, seconds=61.0),
    ]
    for index, steps in ((1, 20), (2, 10)):
        start = START_S + 100 * index
        metrics = {"top1": 91.0, "loss": 0.25, "images_per_s": 1234.0, "sparsity": 0.5}
        happened += [
            e.StageStarted(time_s=start, index=index, steps=steps),
            e.Progressed(time_s=start + 5, index=index, step=5, metrics={"loss": 0.5, "images_per_s": 1200.0}),
            e.EpochFinished(time_s=start + 10, index=index, epoch=1, step=10, metrics=metrics),
            e.StageFinished(time_s=start + 20, index=index, metrics={"top1": 91.0, "sparsity": 0.5}, seconds=20.0),
        ]
    return happened


def measured(run: Run, *, correct: int, size_bytes: int, median_ms: float, min_ms: float) -> list[AnyEvent]:
    """Artifacts that exist, and the three numbers of both networks."""
    happened: list[AnyEvent] = [e.Noted(text="channels last was chosen")]
    numbers = {"baseline": (950, 1000, 4.0, 3.9), "deployed": (correct, size_bytes, median_ms, min_ms)}
    for subject, (right, weight, middle, least) in numbers.items():
        folder = run.folder / "artifacts" / subject
        shutil.copytree(network(), folder)
        happened.append(e.ModelLowered(subject=subject, operators={"QLinearConv": 2, "QuantizeLinear": 1}))
        happened += [artifact(run, subject, kind, folder / name) for kind, name in KINDS.items()]
        accuracy = Accuracy(correct=right, total=1000, runtime="onnxruntime", agreement=0.998)
        size = CheckpointSize(
            size_bytes=weight, num_parameters=400, num_nonzero=200, dense_bytes=weight, float_bytes=1600,
            bound_bytes=0.99 * weight,
        )  # fmt: skip
        latency = Latency(
            runtime="onnxruntime", median_ms=middle, p90_ms=middle * 1.1, p99_ms=middle * 1.2, min_ms=least,
            samples=400, threads=1, batch_size=1, machine=machine(), load=0.1,
        )  # fmt: skip
        happened += [
            e.Measuring(what="accuracy"),
            e.AccuracyMeasured(subject=subject, accuracy=accuracy),
            e.SizeMeasured(subject=subject, size=size),
            e.Measuring(what="latency"),
            e.LatencyMeasured(subject=subject, latency=latency),
        ]
    return happened


def artifact(run: Run, subject: str, kind: str, path: Path) -> e.ArtifactWritten:
    return e.ArtifactWritten(
        subject=subject,
        kind=kind,
        path=str(path.relative_to(run.store)),
        bytes=path.stat().st_size,
        sha256=files.sha256(path),
    )


def finished(
    store: RunStore,
    name: str = "small",
    *,
    backbone: str = "tiny",
    correct: int = 940,
    size_bytes: int = 250,
    median_ms: float = 2.0,
    min_ms: float = 1.9,
    last: AnyEvent | None = None,
) -> Run:
    """Leave a run that went through everything; ``last`` replaces the event that ended it."""
    run, lock = create(store, name, backbone)
    numbers = measured(run, correct=correct, size_bytes=size_bytes, median_ms=median_ms, min_ms=min_ms)
    ending = e.RunFinished(time_s=START_S + 500) if last is None else last
    record(run, [*trained(), *numbers, ending])
    (run.folder / "environment.json").write_text('{"cpu": "Example CPU", "versions": {"torch": "2.15"}}')
    os.close(lock)
    return run


@functools.cache
def network() -> Path:
    """Lower a small random network once, to what a pipeline process leaves of it; gives the folder."""
    import torch

    from pipeline.backbones import tiny
    from pipeline.compact import file
    from pipeline.engine import checkpoint, lowering, onnx_graph, placement, program
    from tests.processor import SCHEME

    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    torch.manual_seed(0)
    prepared = placement.prepare(tiny.build(num_classes=len(CLASSES), in_channels=1).train(), SCHEME)
    images = torch.randint(0, 256, (32, 1, 8, 8), dtype=torch.uint8)
    prepared((images / 255 - MEAN) / STD)
    lowered = lowering.lower(prepared, mean=[MEAN], std=[STD])
    exported = program.export(lowered, images)
    metadata = {
        "classes": json.dumps(CLASSES), "shape": "[1, 8, 8]", "mean": json.dumps([MEAN]), "std": json.dumps([STD]),
    }  # fmt: skip
    onnx_graph.write(exported, folder / KINDS["onnx"], metadata=metadata)
    tensors = {name: tensor.contiguous().numpy() for name, tensor in lowered.state_dict().items()}
    file.write(folder / KINDS["checkpoint"], tensors, metadata | {"program": program.write(exported)})
    checkpoint.save(prepared.state_dict(), folder / KINDS["weights"], {})
    with torch.no_grad():
        logits = lowered(images).numpy()
    np.savez(folder / KINDS["samples"], images=images.numpy(), labels=logits.argmax(1), logits=logits)
    return folder

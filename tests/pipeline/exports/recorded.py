"""Runs as a pipeline process would have left them: a recipe, an event log, real files."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from pipeline import events as e
from pipeline import files, recipe
from pipeline.events import AnyEvent
from pipeline.report import Accuracy, CheckpointSize, Latency, Machine
from pipeline.runs.log import EventWriter
from pipeline.runs.store import Run, RunStore

START_S = 1_700_000_000.0
CLASSES = ("zero", "one_[x]", "two")
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
        folder.mkdir(parents=True)
        write_onnx(folder / "model.onnx")
        save_file({"weight": np.zeros((3, 4), np.int8)}, folder / "model.safetensors", {"classes": json.dumps(CLASSES)})
        happened.append(e.ModelLowered(subject=subject, operators={"QLinearConv": 2}))
        happened += [artifact(run, subject, kind, folder / name) for kind, name in KINDS.items()]
        accuracy = Accuracy(correct=right, total=1000, runtime="onnxruntime", agreement=0.998)
        size = CheckpointSize(size_bytes=weight, num_parameters=400, num_nonzero=200)
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


KINDS: Mapping[str, str] = {"onnx": "model.onnx", "checkpoint": "model.safetensors"}


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


def write_onnx(path: Path) -> None:
    """Write a network of one layer on images of 1 x 2 x 2 pixels: the brightest of three pixels is the answer."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.eye(4, 3, dtype=np.float32), "weights")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["images"], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("Flatten", ["pixels"], ["flat"]),
            helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
        ],
        "network",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", 1, 2, 2])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, {"classes": json.dumps(CLASSES)})
    onnx.save(model, path)

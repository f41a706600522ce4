"""From a trained network to the files that are deployed and the numbers that are reported.

What is reported is what was deployed: accuracy, size and latency are of the lowered files, run by a real runtime.
"""

import itertools
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline import catalog, events, files
from pipeline.measure.machine import machine
from pipeline.protocols import Splits
from pipeline.recipe import Recipe
from pipeline.report import Accuracy, LayerWork
from pipeline.results import TRAINED, Deployed, StageFolder, appearing, artifact_names
from pipeline.runs import portable
from pipeline.runs.store import Run

if TYPE_CHECKING:
    from torch import nn

    from pipeline.engine.images import ImageClassification

Emit = Callable[[events.AnyEvent], None]

SAMPLES = 256
"""Test images that go with the files, at most: exports are tried on them, and latency can be measured without the
dataset."""
SAMPLES_BYTES = 4 << 20


class Deployment(Struct, frozen=True, kw_only=True):
    """A network's files in the run's folder."""

    files: dict[str, Path]
    """By the kind of the artifact."""
    layers: tuple[LayerWork, ...]
    """What its convolutions and matrix products have to do."""
    answers: dict[str, NDArray[np.int64]]
    """Classes that each runtime gives to the test images, by its name."""


def deploy(
    make_model: "Callable[[], nn.Module]",
    place: StageFolder,
    *,
    run: Run,
    recipe: Recipe,
    task: "ImageClassification",
    subject: str,
    baseline: Deployment | None,
    emit: Emit,
) -> Deployment:
    """Lower a trained network, link its files into the run, and answer the test split in every chosen runtime.

    Args:
        make_model: loads the trained network; called only when it has not been lowered before.
        place: where the trained result lies; the lowered files are kept beside it and shared.
        run: gets its own links to the files, so that its folder can be copied to another machine.
        recipe: goes into the files as their provenance.
        task: the data.
        subject: ``baseline`` or ``deployed``.
        baseline: what the accuracy is compared with, sample by sample; None for the baseline itself.
        emit: puts the facts on record.

    Raises:
        StageError: the network cannot be lowered.
        ExportError: a file cannot be written.
        MeasurementError: a runtime cannot execute its file.
    """
    deployed = place.deployed()
    if deployed is None:
        emit(events.Measuring(what=f"lowering of the {subject} network"))
        deployed = _lower(make_model(), place, recipe=recipe, task=task)
    emit(events.ModelLowered(subject=subject, operators=deployed.operators))
    folder = run.folder / "artifacts" / subject
    folder.mkdir(parents=True, exist_ok=True)
    paths = {kind: folder / name for kind, name in artifact_names.items()}
    for kind, path in paths.items():
        _link(place.deployed_folder / path.name, path)
        emit(
            events.ArtifactWritten(
                subject=subject,
                kind=kind,
                path=str(path.relative_to(run.store)),
                bytes=path.stat().st_size,
                sha256=deployed.sha256[kind],
            )
        )
    emit(events.SizeMeasured(subject=subject, size=deployed.size))
    answers = {}
    for runtime in recipe.measure.runtimes:
        emit(events.Measuring(what=f"accuracy of the {subject} network in {runtime}"))
        theirs = baseline.answers[runtime] if baseline is not None else None
        answers[runtime], found = answer(place, paths, runtime, task.splits, baseline=theirs)
        emit(events.AccuracyMeasured(subject=subject, accuracy=found))
    return Deployment(files=paths, layers=deployed.layers, answers=answers)


def answer(
    place: StageFolder,
    paths: Mapping[str, Path],
    runtime: str,
    splits: Splits,
    *,
    baseline: NDArray[np.int64] | None,
) -> tuple[NDArray[np.int64], Accuracy]:
    """Answer the test split with a deployed file, or read what the same runtime answered on the like of this machine.

    Args:
        place: keeps the answers.
        paths: the network's files, by the kind of the artifact.
        runtime: a name of the catalogue.
        splits: the data.
        baseline: the baseline's answers in the same runtime, ``(N,)``; None not to compare.

    Returns:
        The classes, ``(N,)``, and what they come to.

    Raises:
        MeasurementError: the runtime cannot execute its file.
    """
    from pipeline.measure import accuracy

    plugin = catalog.load("runtimes", runtime)
    where = machine((runtime, *plugin.REQUIRES))
    who = "-".join((runtime, plugin.version(), where.instruction_set))
    answers = place.answers(who)
    if answers is None or len(answers) != len(splits.y_test):
        loaded = plugin.load(paths[plugin.READS], threads=os.cpu_count() or 1)
        answers = accuracy.classify(loaded.predict, splits.x_test)
        place.keep_answers(who, answers)
    trained = place.answers(TRAINED)
    return answers, accuracy.accuracy(
        answers, splits.y_test, runtime=runtime, machine=where, trained=trained, baseline=baseline
    )


def _lower(model: "nn.Module", place: StageFolder, *, recipe: Recipe, task: "ImageClassification") -> Deployed:
    import torch

    from pipeline.compact import file
    from pipeline.engine import lowering, onnx_graph, program, throughput
    from pipeline.measure import size
    from pipeline.runtimes import onnxruntime

    splits = task.splits
    answers = task.test_answers(model)
    lowered = lowering.lower(model, mean=splits.mean, std=splits.std)
    exported = program.export(lowered, torch.from_numpy(splits.x_test[:2]))
    metadata = {
        "recipe": portable.toml(recipe),
        "classes": json.dumps(splits.classes),
        "mean": json.dumps(splits.mean),
        "std": json.dumps(splits.std),
        "shape": json.dumps(splits.x_test.shape[1:]),
        "producer": "pqd-workbench",
    }
    tensors = {name: tensor.contiguous().numpy() for name, tensor in lowered.state_dict().items()}
    with appearing(place.deployed_folder) as temporary:
        paths = {kind: temporary / name for kind, name in artifact_names.items()}
        onnx_graph.write(exported, paths["onnx"], metadata=metadata)
        file.write(paths["checkpoint"], tensors, metadata | {"program": program.write(exported)})
        _write_samples(lowered, splits, paths["samples"])
        _link(place.weights_path, paths["weights"])
        deployed = Deployed(
            operators=dict(onnxruntime.operators(paths["onnx"])),
            size=size.checkpoint_size(paths["checkpoint"]),
            layers=throughput.layers(model, torch.from_numpy(splits.x_test)),
            sha256={kind: files.sha256(path) for kind, path in paths.items()},
        )
        files.write_bytes(temporary / "deployed.json", msgspec.json.encode(deployed))
    place.keep_answers(TRAINED, answers)
    return deployed


def _write_samples(lowered: "nn.Module", splits: Splits, path: Path) -> None:
    """Keep some test images with their classes and the logits that the lowered network gives them in torch."""
    import torch

    images = splits.x_test[: max(1, min(SAMPLES, SAMPLES_BYTES // max(1, splits.x_test[:1].nbytes)))]
    with torch.no_grad():
        logits = lowered(torch.from_numpy(images)).numpy()
    with files.replacing(path) as temporary, temporary.open("wb") as opened:
        np.savez(opened, images=images, labels=splits.y_test[: len(images)], logits=logits)


def time_networks(
    networks: Mapping[str, Deployment],
    *,
    recipe: Recipe,
    task: "ImageClassification",
    emit: Emit,
    interrupt: Callable[[], None],
) -> None:
    """Time the baseline and the deployed file, interleaved, in every runtime and batch size that the recipe names.

    Args:
        networks: by subject.
        recipe: names runtimes, threads, batch sizes and how long; and whether the baseline is timed in torch, too.
        task: its test images are the inputs.
        emit: puts the facts on record.
        interrupt: called again and again; whatever it raises ends the measurement.

    Raises:
        MissingDependency: a runtime is not installed.
        MeasurementError: a runtime cannot open a file.
    """
    from pipeline.measure import latency

    settings = recipe.measure
    if settings.latency == "off":
        return
    subjects = dict.fromkeys(settings.runtimes, networks)
    if settings.eager_baseline:
        subjects.setdefault("torch", {"baseline": networks["baseline"]})
    for runtime, batch_size in itertools.product(subjects, settings.batch_sizes):
        emit(events.Measuring(what=f"latency in {runtime}, batch {batch_size}"))
        kind = catalog.load("runtimes", runtime).READS
        measured = latency.measure(
            {
                subject: latency.Subject(path=network.files[kind], layers=network.layers)
                for subject, network in subjects[runtime].items()
            },
            runtime=runtime,
            images=task.splits.x_test,
            threads=settings.threads,
            batch_size=batch_size,
            mode=settings.latency,
            say=lambda reason: emit(events.Waited(reason=reason)),
            interrupt=interrupt,
        )
        for subject, numbers in measured.items():
            emit(events.LatencyMeasured(subject=subject, latency=numbers))


def _link(source: Path, target: Path) -> None:
    """Give a file a second name at no cost in bytes, or copy it where the file system has no such names."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        with files.replacing(target) as temporary:
            shutil.copyfile(source, temporary)

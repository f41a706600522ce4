"""From a trained network to the files that are deployed and the numbers that are reported.

What is reported is what was deployed: accuracy, size and latency are of the lowered files, run by a real runtime.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline import catalog, events, files
from pipeline.recipe import Recipe
from pipeline.results import Deployed, StageFolder, appearing, artifact_names
from pipeline.runs.store import Run

if TYPE_CHECKING:
    from torch import nn

    from pipeline.engine.images import ImageClassification

Emit = Callable[[events.AnyEvent], None]

accuracy_runtime = "onnxruntime"
"""What answers the test split: the runtime of the file that every run deploys."""


def deploy(
    make_model: "Callable[[], nn.Module]",
    place: StageFolder,
    *,
    run: Run,
    recipe: Recipe,
    task: "ImageClassification",
    subject: str,
    emit: Emit,
) -> Path:
    """Lower a trained network, answer the test split with the lowered file, and link the files into the run.

    Args:
        make_model: loads the trained network; called only when it has not been lowered before.
        place: where the trained result lies; the lowered files are kept beside it and shared.
        run: gets its own links to the files, so that its folder can be copied to another machine.
        recipe: goes into the files as their provenance.
        task: the data.
        subject: ``baseline`` or ``deployed``.
        emit: puts the facts on record.

    Returns:
        The ONNX file in the run's folder.

    Raises:
        StageError: the network cannot be lowered.
        ExportError: a file cannot be written.
    """
    deployed = place.deployed()
    if deployed is None:
        emit(events.Measuring(what=f"accuracy of the {subject} network" if subject == "baseline" else "accuracy"))
        deployed = _lower(make_model(), place, recipe=recipe, task=task)
    emit(events.ModelLowered(subject=subject, operators=deployed.operators))
    folder = run.folder / "artifacts" / subject
    folder.mkdir(parents=True, exist_ok=True)
    for kind, name in artifact_names.items():
        path = folder / name
        _link(place.deployed_folder / name, path)
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
    emit(events.AccuracyMeasured(subject=subject, accuracy=deployed.accuracy))
    return folder / artifact_names["onnx"]


def _lower(model: "nn.Module", place: StageFolder, *, recipe: Recipe, task: "ImageClassification") -> Deployed:
    import torch

    from pipeline.engine import checkpoint, lowering, onnx_graph
    from pipeline.measure import accuracy, size

    splits = task.splits
    answers = task.test_answers(model)
    lowered = lowering.lower(model, mean=splits.mean, std=splits.std)
    metadata = {
        "recipe": recipe.to_toml(),
        "classes": json.dumps(splits.classes),
        "mean": json.dumps(splits.mean),
        "std": json.dumps(splits.std),
        "producer": "pqd-workbench",
    }
    with appearing(place.deployed_folder) as temporary:
        paths = {kind: temporary / name for kind, name in artifact_names.items()}
        onnx_graph.write(lowered, paths["onnx"], example=torch.from_numpy(splits.x_test[:2]), metadata=metadata)
        checkpoint.save(lowered.state_dict(), paths["checkpoint"], metadata)
        predict = catalog.load("runtimes", accuracy_runtime).load(paths["onnx"], threads=os.cpu_count() or 1)
        deployed = Deployed(
            operators=dict(onnx_graph.operators(paths["onnx"])),
            size=size.checkpoint_size(paths["checkpoint"]),
            accuracy=accuracy.accuracy(
                predict, splits.x_test, splits.y_test, runtime=accuracy_runtime, trained=answers
            ),
            sha256={kind: files.sha256(path) for kind, path in paths.items()},
        )
        files.write_bytes(temporary / "deployed.json", msgspec.json.encode(deployed))
    return deployed


def time_networks(
    paths: dict[str, Path],
    *,
    run: Run,
    recipe: Recipe,
    task: "ImageClassification",
    emit: Emit,
    interrupt: Callable[[], None],
) -> None:
    """Time the baseline and the deployed file, interleaved, in every runtime that the recipe names.

    Args:
        paths: the files, by subject.
        run: its store's measurements take turns.
        recipe: names the runtimes, threads and samples.
        task: its test images are the inputs.
        emit: puts the facts on record.
        interrupt: called again and again; whatever it raises ends the measurement.

    Raises:
        MeasurementError: a runtime cannot open a file.
    """
    from pipeline.measure import latency

    settings = recipe.measure
    emit(events.Measuring(what="latency"))
    for runtime in settings.runtimes:
        measured = latency.measure(
            paths,
            runtime=runtime,
            images=task.splits.x_test,
            threads=settings.threads,
            batch_size=settings.batch_size,
            samples=settings.samples,
            lock_path=run.store / "measure.lock",
            waiting=lambda: emit(events.Waited(reason="another run is being measured: waiting for it")),
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

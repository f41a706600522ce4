"""The pipeline process: stages in order, each result stored, then lowering and measurement.

It is the one writer of its run's folder and needs nothing but that folder. Whatever happens, the last event says
how the run ended, unless the process is killed: then the free lock says it.
"""

import functools
import os
import platform
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from pipeline import catalog, deployment, events, files
from pipeline.errors import CheckpointError, PipelineError, RunStopped, StageError
from pipeline.events import AnyEvent
from pipeline.keys import stage_keys
from pipeline.recipe import Recipe
from pipeline.results import StageFolder
from pipeline.runs.log import EventWriter
from pipeline.runs.state import RunState
from pipeline.runs.store import Run
from pipeline.runs.wording import log_line
from pipeline.session import Session, StopRequest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pipeline.engine.images import ImageClassification


def work(folder: Path, lock: int) -> int:
    """Do everything that a run's recipe says.

    Args:
        folder: the run's folder.
        lock: the descriptor that holds ``run.lock``, inherited from the launcher.

    Returns:
        Exit status: 0 finished, 1 failed, 5 stopped.
    """
    # Processes that we start must not keep the run alive after us.
    os.set_inheritable(lock, False)
    run = Run(folder)
    stop = StopRequest(run)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.signalled())
    state = RunState()
    with EventWriter(run.events_path) as log:

        def emit(event: AnyEvent) -> None:
            nonlocal state
            log.append(event)
            state = state.after(event)
            line = log_line(event, state)
            if line:
                print(line, flush=True)

        try:
            _Worker(run, emit, stop).work()
            emit(events.RunFinished())
            status = 0
        except RunStopped:
            emit(events.RunStopped())
            status = 5
        except PipelineError as error:
            traceback.print_exc()
            emit(events.RunFailed(reason=str(error)))
            status = 1
        except Exception as error:
            traceback.print_exc()
            emit(events.RunFailed(reason=f"unexpected {type(error).__name__}: {error}."))
            status = 1
    files.write_bytes(run.folder / "summary.json", msgspec.json.encode(state))
    return status


class _Worker:
    """One run at work."""

    def __init__(self, run: Run, emit: Callable[[AnyEvent], None], stop: StopRequest) -> None:
        self._run = run
        self._emit = emit
        self._stop = stop
        self._recipe = run.recipe()
        self._told_s = 0.0
        self._device: torch.device
        self._task: ImageClassification
        self._places: list[StageFolder]

    def work(self) -> None:
        """Train or reuse each stage, then deploy and measure."""
        recipe = self._recipe
        self._start()
        self._task = self._load_task()
        for index in range(len(self._places)):
            self._check_stop()
            self._stage(index)
        paths: dict[str, Path] = {}
        for subject, index in (("baseline", 0), ("deployed", len(recipe.stages))):
            self._check_stop()
            paths[subject] = deployment.deploy(
                functools.partial(self._restore, index),
                self._places[index],
                run=self._run,
                recipe=recipe,
                task=self._task,
                subject=subject,
                emit=self._emit,
            )
        deployment.time_networks(
            paths, run=self._run, recipe=recipe, task=self._task, emit=self._emit, interrupt=self._check_stop
        )

    def _check_stop(self) -> None:
        if self._stop():
            raise RunStopped

    def _start(self) -> None:
        import torch

        recipe = self._recipe
        keys = stage_keys(recipe)
        self._places = [StageFolder(self._run.store / "stages", key) for key in keys]
        self._device = _device(recipe)
        plan = tuple(
            events.StagePlan(stage=stage, key=key, epochs=epochs or 0)
            for (stage, epochs), key in zip(recipe.plan, keys, strict=True)
        )
        device = str(self._device)
        self._emit(events.RunStarted(pid=os.getpid(), host=platform.node(), device=device, plan=plan))
        self._write_environment(torch.get_num_threads())

    def _write_environment(self, threads: int) -> None:
        import torch

        from pipeline.measure.machine import machine

        facts = msgspec.to_builtins(machine(("torch", "onnxruntime", "onnx", "numpy", "msgspec")))
        facts |= {"training_threads": threads, "command": sys.orig_argv, "device": str(self._device)}
        if self._device.type == "cuda":
            facts["gpu"] = torch.cuda.get_device_name(self._device)
        files.write_bytes(
            self._run.folder / "environment.json", msgspec.json.format(msgspec.json.encode(facts), indent=2)
        )

    def _load_task(self) -> "ImageClassification":
        from pipeline.engine.images import ImageClassification

        recipe, training = self._recipe, self._recipe.training
        absent = recipe.dataset.absent()
        if absent is not None and not getattr(recipe.dataset, "download", False):
            raise StageError(absent)
        splits = recipe.dataset.load(self._downloaded)
        task = ImageClassification(
            splits,
            device=self._device,
            seed=recipe.seed,
            batch_size=training.batch_size,
            validation=training.validation,
            augmentation=None if training.augment == "auto" else training.augment,
        )
        smallest = catalog.constant("backbones", recipe.backbone, "MIN_IMAGE_SIDE") or 1
        if task.image_side < smallest:
            raise StageError(
                f"the backbone {recipe.backbone!r} needs images of at least {smallest} pixels a side; "
                f"those of the dataset {recipe.dataset.name!r} have {task.image_side}."
            )
        return task

    def _downloaded(self, done: int, total: int) -> None:
        self._check_stop()
        now = time.monotonic()
        if now - self._told_s >= 0.25 or done == total:
            self._told_s = now
            self._emit(events.Downloaded(done=done, total=total))

    def _stage(self, index: int) -> None:
        """Reuse the result of one entry of the plan, or train it."""
        place = self._places[index]
        waited = events.Waited(reason="another run trains the same stage: waiting for it")
        with place.locked(waiting=lambda: self._emit(waited), interrupt=self._check_stop):
            try:
                result = place.result()
            except CheckpointError as error:
                self._emit(events.Noted(text=f"{error} It is trained again."))
                place.discard()
                result = None
            if result is None:
                self._train(index)
                return
        for epoch in result.history:
            self._emit(msgspec.structs.replace(epoch, index=index, time_s=time.time()))
        self._emit(events.StageReused(index=index, metrics=result.metrics, seconds=result.seconds))

    def _train(self, index: int) -> None:
        from pipeline.engine import sparsity
        from pipeline.engine.determinism import seed_everything

        history: list[events.EpochFinished] = []

        def emit(event: AnyEvent) -> None:
            if isinstance(event, events.EpochFinished):
                history.append(event)
            self._emit(event)

        session = Session(
            run=self._run,
            index=index,
            task=self._task,
            settings=self._recipe.training,
            emit=emit,
            make_teacher=functools.partial(self._restore, 0),
            stop_requested=self._stop,
        )
        # From the stage's place alone, so that a stage after a reused one trains as if it had not been reused.
        seed_everything(self._recipe.seed, "stage", index)
        started = time.perf_counter()
        model = self._baseline(session) if index == 0 else self._apply(index, session)
        model.eval()
        metrics = self._task.evaluate(model) | {"sparsity": sparsity.sparsity_of(model)}
        seconds = time.perf_counter() - started
        name, _ = self._recipe.plan[index]
        result = self._places[index].save(
            dict(model.state_dict()), stage=name, metrics=metrics, seconds=seconds, history=tuple(history)
        )
        self._emit(events.StageFinished(index=index, metrics=result.metrics, seconds=seconds))

    def _baseline(self, session: Session) -> "nn.Module":
        baseline, model = self._recipe.baseline, self._build()
        if baseline.checkpoint is None:
            session.fit(model, epochs=baseline.epochs or 0, learning_rate=baseline.learning_rate)
            return model
        from pipeline.engine import checkpoint

        session.emit(events.StageStarted(index=0, steps=0))
        checkpoint.load_weights(model, Path(baseline.checkpoint))
        return model

    def _apply(self, index: int, session: Session) -> "nn.Module":
        stage = self._recipe.stages[index - 1]
        try:
            return stage.apply(self._restore(index - 1), session).to(self._device)
        except PipelineError as error:
            raise type(error)(f"stage {index} ({stage.name}): {error}") from error

    def _build(self) -> "nn.Module":
        import torch

        found = catalog.load("backbones", self._recipe.backbone)
        build: Callable[..., nn.Module] = getattr(found, "build", found)
        model = build(num_classes=self._task.num_classes, in_channels=self._task.in_channels)
        return model.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _restore(self, index: int) -> "nn.Module":
        """Load the trained network of one entry of the plan, in evaluation mode."""
        model = self._build()
        for stage in self._recipe.stages[:index]:
            model = stage.prepare(model)
        model.load_state_dict(self._places[index].tensors())
        return model.to(self._device).eval()


def _device(recipe: Recipe) -> "torch.device":
    import torch

    wanted = recipe.training.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise StageError("training.device is 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'.")
    return torch.device("cuda:0" if wanted != "cpu" and torch.cuda.is_available() else "cpu")

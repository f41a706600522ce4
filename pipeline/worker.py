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

from pipeline import catalog, deployment, events, files, teachers, turns
from pipeline.errors import CheckpointError, PipelineError, RunStopped, StageError
from pipeline.events import AnyEvent
from pipeline.keys import stage_keys
from pipeline.lock import nothing
from pipeline.partial import Partial
from pipeline.recipe import Recipe
from pipeline.results import StageFolder, StageResult
from pipeline.runs import queue
from pipeline.runs.log import EventWriter
from pipeline.runs.state import RunState
from pipeline.runs.store import Run
from pipeline.runs.wording import log_line
from pipeline.session import Session, StopRequest

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pipeline.engine.distillation import Teacher
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
        self._plan = self._recipe.plan
        self._results: list[StageResult] = []
        self._told_s = 0.0
        self._stops: events.StopWhen | None = None
        self._is_training = False
        self._give_way = nothing
        self._device: torch.device
        self._task: ImageClassification
        self._places: list[StageFolder]

    def work(self) -> None:
        """Wait for a turn, train or reuse each stage, then deploy and measure."""
        queue.await_turn(self._run, say=self._waited, interrupt=self._check_stop)
        self._start()
        self._task = self._load_task()
        with turns.training(say=self._waited, interrupt=self._check_stop) as self._give_way:
            for index in range(len(self._plan)):
                self._between_steps()
                self._results.append(self._stage(index))
            networks = self._deploy()
        self._give_way = nothing
        deployment.time_networks(
            networks, recipe=self._recipe, task=self._task, emit=self._emit, interrupt=self._check_stop
        )

    def _deploy(self) -> dict[str, deployment.Deployment]:
        networks: dict[str, deployment.Deployment] = {}
        for subject, index in (("baseline", 0), ("deployed", len(self._plan) - 1)):
            self._between_steps()
            networks[subject] = deployment.deploy(
                functools.partial(self._restore, index),
                self._places[index],
                run=self._run,
                recipe=self._recipe,
                task=self._task,
                subject=subject,
                baseline=networks.get("baseline"),
                emit=self._emit,
            )
        return networks

    def _check_stop(self) -> None:
        """End where a person wants it: now, or, unless a stage trains, as soon as possible."""
        when = self._heard()
        if when == "now" or (when is not None and not self._is_training):
            raise RunStopped

    def _between_epochs(self) -> None:
        """Between two epochs of a stage: end where a person wants it there."""
        if self._heard() in ("now", "epoch"):
            raise RunStopped

    def _heard(self) -> events.StopWhen | None:
        when = self._stop()
        if when != self._stops:
            self._stops = when
            self._emit(events.StopRequested(when=when))
        return when

    def _between_steps(self) -> None:
        """Between two steps: end where a person wants it, pause while a measurement is under way."""
        self._check_stop()
        self._give_way()

    def _waited(self, reason: str) -> None:
        self._emit(events.Waited(reason=reason))

    def _start(self) -> None:
        import torch

        from pipeline.engine import acceleration

        recipe = self._recipe
        keys = stage_keys(recipe)
        self._places = [StageFolder(self._run.store / "stages", key) for key in keys]
        self._device = _device(recipe)
        plan = tuple(
            events.StagePlan(stage=entry.name, key=key, epochs=entry.epochs or 0)
            for entry, key in zip(self._plan, keys, strict=True)
        )
        device = str(self._device)
        self._emit(events.RunStarted(pid=os.getpid(), host=platform.node(), device=device, plan=plan))
        self._emit(events.Noted(text=acceleration.describe(recipe.training, self._device)))
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

        recipe = self._recipe
        absent = recipe.dataset.absent()
        if absent is not None and not getattr(recipe.dataset, "download", False):
            raise StageError(absent)
        splits = recipe.dataset.load(self._downloaded)
        task = ImageClassification(
            splits,
            device=self._device,
            seed=recipe.seed,
            settings=recipe.training,
        )
        for backbone in {entry.recipe.backbone for entry in self._plan}:
            smallest = catalog.constant("backbones", backbone, "MIN_IMAGE_SIDE") or 1
            if task.image_side < smallest:
                raise StageError(
                    f"the backbone {backbone!r} needs images of at least {smallest} pixels a side; "
                    f"those of the dataset {recipe.dataset.name!r} have {task.image_side}."
                )
        return task

    def _downloaded(self, done: int, total: int) -> None:
        self._check_stop()
        now = time.monotonic()
        if now - self._told_s >= 0.25 or done == total:
            self._told_s = now
            self._emit(events.Downloaded(done=done, total=total))

    def _stage(self, index: int) -> StageResult:
        """Reuse the result of one entry of the plan, or train it."""
        place = self._places[index]
        reason = "another run trains the same stage: waiting for it"
        with place.locked(waiting=lambda: self._waited(reason), interrupt=self._between_steps):
            try:
                result = place.result()
            except CheckpointError as error:
                self._emit(events.Noted(text=f"{error} It is trained again."))
                place.discard()
                result = None
            if result is None:
                self._is_training = True
                result = self._train(index)
                self._is_training = False
                return result
            # Left by a process that was killed between storing the result and this.
            Partial(place.partial_path).remove()
        for epoch in result.history:
            self._emit(msgspec.structs.replace(epoch, index=index, time_s=time.time()))
        self._emit(
            events.StageReused(
                index=index,
                metrics=result.metrics,
                seconds=result.seconds,
                layer_sparsity=result.layer_sparsity,
            )
        )
        return result

    def _train(self, index: int) -> StageResult:
        from pipeline.engine import sparsity, throughput
        from pipeline.engine.determinism import seed_everything

        entry, partial = self._plan[index], Partial(self._places[index].partial_path)
        settings = entry.recipe.last_training
        session = Session(
            run=self._run,
            index=index,
            task=self._task.with_settings(settings),
            settings=settings,
            emit=self._emit,
            partial=partial,
            teacher=lambda: self._teacher(entry.recipe, session),
            between_steps=self._between_steps,
            between_epochs=self._between_epochs,
        )
        # From the place in the chain alone, so that a stage after a reused one trains as if it had not been reused,
        # and a teacher as the baseline of its own recipe.
        seed_everything(self._recipe.seed, "stage", len(entry.recipe.stages))
        model = self._apply(entry.recipe, session) if entry.recipe.stages else self._baseline(entry.recipe, session)
        model.eval()
        seconds = session.seconds
        rates = [rate for epoch in session.history if (rate := epoch.metrics.get("images_per_s")) is not None]
        achieved = throughput.achieved(model, session.task, settings, rates) if rates else {}
        metrics = self._task.evaluate(model) | {"sparsity": sparsity.sparsity_of(model)} | session.outcome | achieved
        result = self._places[index].save(
            dict(model.state_dict()),
            stage=getattr(entry.recipe.last, "name", "baseline"),
            metrics=metrics,
            layer_sparsity=sparsity.layer_sparsity(model),
            seconds=seconds,
            history=tuple(session.history),
        )
        partial.remove()
        self._emit(
            events.StageFinished(
                index=index, metrics=result.metrics, seconds=seconds, layer_sparsity=result.layer_sparsity
            )
        )
        return result

    def _baseline(self, recipe: Recipe, session: Session) -> "nn.Module":
        baseline, model = recipe.baseline, self._build(recipe.backbone)
        if baseline.checkpoint is None:
            session.fit(model, epochs=baseline.epochs or 0, learning_rate=baseline.learning_rate)
            return model
        from pipeline.engine import checkpoint

        session.emit(events.StageStarted(index=session.index, steps=0))
        checkpoint.load_weights(model, Path(baseline.checkpoint))
        return model

    def _apply(self, recipe: Recipe, session: Session) -> "nn.Module":
        place, stage = len(recipe.stages), recipe.stages[-1]
        try:
            return stage.apply(self._restore(self._place(recipe.first(place - 1))), session).to(self._device)
        except PipelineError as error:
            raise type(error)(f"stage {place} ({stage.name}): {error}") from error

    def _teacher(self, recipe: Recipe, session: Session) -> "Teacher":
        """Make the answers of the teacher that the last stage of a recipe asks."""
        taught_by = recipe.stages[-1].teacher_in(recipe)
        assert taught_by is not None
        index = self._place(taught_by)
        return teachers.teacher(
            functools.partial(self._restore, index),
            taught_by,
            weights=self._results[index].sha256,
            task=session.task,
            settings=session.settings,
            store=self._run.store,
        )

    def _place(self, recipe: Recipe) -> int:
        """Find the entry of the plan that gives a recipe's result."""
        return [entry.recipe for entry in self._plan].index(recipe)

    def _build(self, backbone: str) -> "nn.Module":
        import torch

        found = catalog.load("backbones", backbone)
        build: Callable[..., nn.Module] = getattr(found, "build", found)
        model = build(num_classes=self._task.num_classes, in_channels=self._task.in_channels)
        return model.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def _restore(self, index: int) -> "nn.Module":
        """Load the trained network of one entry of the plan, in evaluation mode."""
        recipe = self._plan[index].recipe
        model = self._build(recipe.backbone)
        for stage in recipe.stages:
            model = stage.prepare(model)
        model.load_state_dict(self._places[index].tensors())
        return model.to(self._device).eval()


def _device(recipe: Recipe) -> "torch.device":
    import torch

    wanted = recipe.training.device
    if wanted == "cuda" and not torch.cuda.is_available():
        raise StageError("training.device is 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'.")
    return torch.device("cuda:0" if wanted != "cpu" and torch.cuda.is_available() else "cpu")

"""What a stage may use: train, calibrate, ask the teacher, tell a person something."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from pipeline import events
from pipeline.errors import CheckpointError, RunStopped, StageError, TrainingDiverged
from pipeline.partial import Partial, Past
from pipeline.runs.store import Run
from pipeline.sections import Training

if TYPE_CHECKING:
    from torch import nn

    from pipeline.engine.distillation import Loss, Teacher
    from pipeline.engine.snapshot import Snapshot
    from pipeline.engine.task import Task


@dataclass(kw_only=True)
class Session:
    """The surroundings of one stage of one run."""

    run: Run
    """The run that the stage belongs to."""
    index: int
    """Place in the plan."""
    task: "Task"
    """The data, the loss and the metric."""
    settings: Training
    """How the stage trains."""
    emit: Callable[[events.AnyEvent], None]
    """Put a fact on record."""
    teacher: Callable[[], "Teacher"]
    """Make the answers of the trained network that the stage named by ``teacher_in``."""
    between_steps: Callable[[], None]
    """Called between two steps, costs microseconds: waits while a measurement is under way, and raises
    ``RunStopped`` when a signal or a person asked the run to stop."""
    partial: Partial
    """Keeps the training of the stage while it is unfinished."""
    between_epochs: Callable[[], None]
    """Called between two epochs: raises ``RunStopped`` when the run was asked to stop there."""
    outcome: dict[str, float] = field(default_factory=dict)
    """Metrics of the last and the best epoch of ``fit``."""
    history: list[events.EpochFinished] = field(default_factory=list)
    """The curve of the stage, by epoch."""
    seconds_before: float = 0.0
    """Wall time that an earlier run had spent on the stage."""
    began_s: float = field(default_factory=time.perf_counter)
    _fits: int = 0

    @property
    def seconds(self) -> float:
        """Wall time of the stage so far, that of an interrupted run included."""
        return self.seconds_before + time.perf_counter() - self.began_s

    def fit(
        self,
        model: "nn.Module",
        *,
        epochs: int,
        learning_rate: float,
        loss: "Loss | None" = None,
        before_step: Callable[[float], None] | None = None,
        freeze_after: float = 0.6,
        settled_after: float = 0.0,
    ) -> None:
        """Train a network in place; see ``pipeline.engine.training.fit``.

        Where an earlier run was interrupted, its training goes on: ``before_step`` and ``loss`` may depend on what they
        are called with and on the network, not on how often they were called. Of a stage that fits more than once only
        the first time is continued.

        Raises:
            StageError: the loss stays infinite or NaN; names the file of the last good network.
        """
        from pipeline.engine import checkpoint, training

        self.between_epochs()
        self._fits += 1
        reporter = _Reporter(self, epochs, partial=self.partial if self._fits == 1 else None)
        try:
            self.outcome = training.fit(
                model,
                self.task,
                epochs=epochs,
                learning_rate=learning_rate,
                settings=self.settings,
                watcher=reporter,
                loss=loss,
                before_step=before_step,
                freeze_after=freeze_after,
                settled_after=settled_after,
                resume=reporter.kept(),
            )
        except TrainingDiverged as error:
            # Going on from there would only diverge again.
            self.partial.remove()
            path = self.run.folder / "last-good.safetensors"
            checkpoint.save(model.state_dict(), path, {})
            raise StageError(f"{str(error)[:-1]}, kept in {str(path)!r}.") from error

    def calibrate(self, model: "nn.Module") -> None:
        """Set the ranges of a prepared network's activations from training images, without training."""
        from pipeline.engine import training

        training.calibrate(model, self.task)

    def accumulate_gradients(self, model: "nn.Module") -> None:
        """Leave the gradient of the plain loss over some training samples in ``grad`` of each parameter."""
        from pipeline.engine import training

        training.accumulate_gradients(model, self.task)

    def note(self, text: str) -> None:
        """Tell a person something, in one sentence."""
        self.emit(events.Noted(text=text))


class _Reporter:
    """Turns what the training loop tells into events, and keeps what it can go on from."""

    def __init__(self, session: Session, epochs: int, *, partial: Partial | None) -> None:
        """Take note of what is told where.

        Args:
            session: gets the events.
            epochs: passes in all.
            partial: keeps the training; None where it is not kept.
        """
        self._session = session
        self._epochs = epochs
        self._partial = partial
        self._past: Past | None = None
        self._has_complained = False

    def kept(self) -> "Snapshot | None":
        """Read what an interrupted run left of this training; None where there is nothing that can be used."""
        try:
            found = self._partial.read() if self._partial is not None else None
        except CheckpointError as error:
            self.noted(f"{error} The stage starts over.")
            return None
        if found is None:
            return None
        snapshot, self._past = found
        return snapshot

    def checkpoint_stop(self) -> None:
        self._session.between_steps()

    def began(self, epoch: int, step: int) -> None:
        session, index = self._session, self._session.index
        past = self._past if epoch else None
        for earlier in past.history if past is not None else ():
            self._finished(msgspec.structs.replace(earlier, index=index, time_s=time.time()))
        session.emit(events.StageStarted(index=index, steps=self._epochs * session.task.steps_per_epoch))
        if past is not None:
            session.seconds_before = past.seconds
            session.emit(events.StageResumed(index=index, epoch=epoch, step=step))

    def progressed(self, step: int, metrics: Mapping[str, float]) -> None:
        self._session.emit(events.Progressed(index=self._session.index, step=step, metrics=dict(metrics)))

    def epoch_finished(
        self, epoch: int, step: int, metrics: Mapping[str, float], make: "Callable[[], Snapshot]"
    ) -> None:
        self._finished(events.EpochFinished(index=self._session.index, epoch=epoch, step=step, metrics=dict(metrics)))
        if epoch == self._epochs:
            # The result is stored in a moment; a run that is asked to stop ends then.
            return
        try:
            self._session.between_epochs()
        except RunStopped:
            self._keep(make)
            raise
        if self._partial is not None and self._partial.is_due:
            self._keep(make)

    def noted(self, text: str) -> None:
        self._session.note(text)

    def _finished(self, event: events.EpochFinished) -> None:
        self._session.history.append(event)
        self._session.emit(event)

    def _keep(self, make: "Callable[[], Snapshot]") -> None:
        if self._partial is None:
            return
        try:
            self._partial.write(make(), history=tuple(self._session.history), seconds=self._session.seconds)
        except CheckpointError as error:
            # A full disk is tried again, and told once.
            if not self._has_complained:
                self.noted(f"{error} If the run is interrupted, what it learns from here on is lost.")
            self._has_complained = True


class StopRequest:
    """Whether and when a run is to end: a signal means now, the file ``stop`` in its folder says when."""

    look_every_s = 0.2
    """The folder may lie on a network disk; a step may take a millisecond."""

    def __init__(self, run: Run) -> None:
        self._path = run.stop_path
        self._looked_s = -math.inf
        self._is_signalled = False
        self._found: events.StopWhen | None = None

    def signalled(self) -> None:
        """Remember a signal."""
        self._is_signalled = True

    def __call__(self) -> events.StopWhen | None:
        """Tell what is on record by now; None: the run goes on."""
        if self._is_signalled:
            return "now"
        if time.monotonic() - self._looked_s >= self.look_every_s:
            self._looked_s = time.monotonic()
            self._found = self._read()
        return self._found

    def _read(self) -> events.StopWhen | None:
        try:
            word = self._path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError:
            return "now"
        return "epoch" if word == "epoch" else "stage" if word == "stage" else "now"

"""What a stage may use: train, calibrate, ask the teacher, tell a person something."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeline import events
from pipeline.errors import StageError, TrainingDiverged
from pipeline.runs.store import Run
from pipeline.sections import Training

if TYPE_CHECKING:
    from torch import nn

    from pipeline.engine.distillation import Loss, Teacher
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
    between_epochs: Callable[[], None]
    """Called between two epochs: raises ``RunStopped`` when the run was asked to stop there."""
    outcome: dict[str, float] = field(default_factory=dict)
    """Metrics of the last and the best epoch of ``fit``."""

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

        Raises:
            StageError: the loss stays infinite or NaN; names the file of the last good network.
        """
        from pipeline.engine import checkpoint, training

        self.emit(events.StageStarted(index=self.index, steps=epochs * self.task.steps_per_epoch))
        try:
            self.outcome = training.fit(
                model,
                self.task,
                epochs=epochs,
                learning_rate=learning_rate,
                settings=self.settings,
                watcher=_Reporter(self),
                loss=loss,
                before_step=before_step,
                freeze_after=freeze_after,
                settled_after=settled_after,
            )
        except TrainingDiverged as error:
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
    """Turns what the training loop tells into events."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def checkpoint_stop(self) -> None:
        self._session.between_steps()

    def progressed(self, step: int, metrics: Mapping[str, float]) -> None:
        self._session.emit(events.Progressed(index=self._session.index, step=step, metrics=dict(metrics)))

    def epoch_finished(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        self._session.emit(
            events.EpochFinished(index=self._session.index, epoch=epoch, step=step, metrics=dict(metrics))
        )
        self._session.between_epochs()

    def noted(self, text: str) -> None:
        self._session.note(text)


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

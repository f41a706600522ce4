"""What a run's events add up to: a pure fold, and the curves for a plot."""

import math
from enum import StrEnum
from typing import assert_never

import msgspec
from msgspec import Struct

from pipeline import events as e
from pipeline.errors import CorruptRun
from pipeline.options import quoted
from pipeline.report import Count, Report

HALF_LIFE_S = 300.0
"""How long ago a step was done that counts half as much as a new one in the estimate of what is left."""


class Status(StrEnum):
    """Where a run is in its life."""

    QUEUED = "queued"
    """Launched; its process has not begun to work."""
    RUNNING = "running"
    """Its process works."""
    FINISHED = "finished"
    """Everything was done."""
    FAILED = "failed"
    """It ended by an error that is on record."""
    STOPPED = "stopped"
    """It ended because a person asked for it."""
    LOST = "lost"
    """Its process died without a word: killed, or the machine went down."""

    @property
    def is_over(self) -> bool:
        """Nothing more will happen."""
        return self not in (Status.QUEUED, Status.RUNNING)


class StageState(Struct, frozen=True, kw_only=True):
    """One entry of a run's plan: the baseline, a stage or a teacher."""

    stage: str
    key: str
    epochs: Count
    status: str = "pending"
    """``pending``, ``running``, ``finished`` or ``reused``."""
    steps: Count = 0
    """Optimiser steps in all; 0 until known."""
    step: Count = 0
    """Steps done."""
    epoch: Count = 0
    """Passes done."""
    resumed_step: Count = 0
    """Steps that an earlier run had done."""
    started_s: float | None = None
    """When training began in this run; None when it has not, or was not needed."""
    timed_s: float = 0.0
    """Seconds that the training took lately, waits left out; what is long ago counts less and less."""
    timed_steps: float = 0.0
    """Steps done in that time."""
    seconds: float | None = None
    """Wall time of the training; of the earlier one when reused; None until it is over."""
    metrics: dict[str, float | None] = {}
    """The newest value of each metric."""
    layer_sparsity: dict[str, float] = {}
    """Zeros (0 to 1) of every layer that can be pruned; empty until the result is there."""

    @property
    def is_over(self) -> bool:
        """Its result is there."""
        return self.status in ("finished", "reused")

    @property
    def reused(self) -> bool:
        """Its result was taken from the store."""
        return self.status == "reused"

    @property
    def top1(self) -> float | None:
        """Percent of the validation images that the stage's result answers rightly; None until measured."""
        return self.metrics.get("top1")

    @property
    def step_s(self) -> float | None:
        """Seconds that a step takes, from the times of its events; None until two of them are known."""
        return self.timed_s / self.timed_steps if self.timed_steps else None

    @property
    def progress(self) -> float:
        """Share of the steps done, 0 to 1."""
        return 1.0 if self.is_over else self.step / self.steps if self.steps else 0.0


class Artifact(Struct, frozen=True, kw_only=True):
    """A file of the result."""

    subject: str
    """``baseline`` or ``deployed``."""
    kind: str
    """``onnx``, ``checkpoint``, ``samples`` or ``weights``."""
    path: str
    """Relative to the store."""
    bytes: Count
    sha256: str


class RunState(Struct, frozen=True, kw_only=True):
    """Everything about a run but its curves."""

    status: Status = Status.QUEUED
    """As far as the log knows; ``Run.state`` turns a dead run's into ``lost``."""
    started_s: float | None = None
    ended_s: float | None = None
    updated_s: float | None = None
    """Time of the newest event."""
    pid: Count | None = None
    host: str = ""
    device: str = ""
    stages: tuple[StageState, ...] = ()
    """The entries of the plan, in order: the baseline first; the stage whose result is deployed last."""
    index: Count | None = None
    """The entry of ``stages`` at work; None before the first and after the last."""
    activity: str = ""
    """What is going on beside training, in a few words; empty while a stage trains, and once the run is over."""
    stopping: e.StopWhen | None = None
    """When the run ends that a person asked to stop; None when nobody did, and once it is over."""
    download: float | None = None
    """Share of a dataset that has arrived, 0 to 1; None while nothing is downloaded or its size is unknown."""
    baseline: Report = Report()
    deployed: Report = Report()
    """Of each condition the newest numbers: a run that is over can be measured again."""
    operators: dict[str, dict[str, Count]] = {}
    """Operators of the executed graph by type, of ``baseline`` and of ``deployed``."""
    artifacts: tuple[Artifact, ...] = ()
    notes: tuple[str, ...] = ()
    failure: str = ""
    """Why it failed, in one sentence."""

    def after(self, event: e.AnyEvent) -> "RunState":
        """Give the state once this event has happened.

        Raises:
            CorruptRun: the event names an entry of the plan or a subject that does not exist.
        """
        _check(event, len(self.stages))
        download = event.done / event.total if isinstance(event, e.Downloaded) and event.total else None
        return msgspec.structs.replace(self._fold(event), updated_s=event.time_s, download=download)

    def _fold(self, event: e.AnyEvent) -> "RunState":
        change = msgspec.structs.replace
        match event:
            case e.RunStarted():
                stages = tuple(StageState(stage=p.stage, key=p.key, epochs=p.epochs) for p in event.plan)
                return change(
                    self, status=Status.RUNNING, started_s=event.time_s, pid=event.pid, host=event.host,
                    device=event.device, stages=stages, activity="preparing",
                )  # fmt: skip
            case e.Waited():
                return change(self, activity=event.reason)
            case e.Downloaded():
                share = f" {100 * event.done / event.total:.0f} %" if event.total else f" {event.done:,} bytes so far"
                return change(self, activity=f"downloading{share}")
            case e.StageStarted():
                state = self._with(
                    event.index,
                    status="running",
                    steps=event.steps,
                    started_s=event.time_s,
                    timed_s=0.0,
                    timed_steps=0.0,
                )
                return change(state, index=event.index, activity="")
            case e.StageResumed():
                return self._with(event.index, epoch=event.epoch, step=event.step, resumed_step=event.step)
            case e.StageReused():
                return self._with(
                    event.index,
                    status="reused",
                    seconds=event.seconds,
                    metrics=event.metrics,
                    layer_sparsity=event.layer_sparsity,
                )
            case e.Progressed():
                metrics = self._merged(event.index, event.metrics)
                state = self._with(event.index, step=event.step, metrics=metrics, **self._timed(event))
                return change(state, activity="")
            case e.EpochFinished():
                merged = self._merged(event.index, event.metrics)
                state = self._with(
                    event.index, step=event.step, epoch=event.epoch, metrics=merged, **self._timed(event)
                )
                return change(state, activity="")
            case e.StageFinished():
                merged = self._merged(event.index, event.metrics)
                state = self._with(
                    event.index,
                    status="finished",
                    seconds=event.seconds,
                    metrics=merged,
                    layer_sparsity=event.layer_sparsity,
                )
                return change(state, index=None)
            case e.Noted():
                return change(self, notes=(*self.notes, event.text))
            case e.ModelLowered():
                return change(self, activity="lowering", operators=self.operators | {event.subject: event.operators})
            case e.ArtifactWritten():
                artifact = Artifact(**{name: getattr(event, name) for name in Artifact.__struct_fields__})
                return change(self, artifacts=(*self.artifacts, artifact))
            case e.Measuring():
                return change(self, activity=f"measuring {event.what}", index=None)
            case e.AccuracyMeasured():
                report: Report = getattr(self, event.subject)
                accuracies = report.accuracies | {event.accuracy.runtime: event.accuracy}
                return self._reported(event.subject, accuracies=accuracies)
            case e.SizeMeasured():
                return self._reported(event.subject, size=event.size)
            case e.LatencyMeasured():
                report = getattr(self, event.subject)
                latency = report.latency | {event.latency.condition: event.latency}
                return self._reported(event.subject, latency=latency)
            case e.StopRequested():
                return change(self, stopping=event.when)
            case e.RunFinished():
                return self._ended(event, Status.FINISHED)
            case e.RunFailed():
                return change(self._ended(event, Status.FAILED), failure=event.reason)
            case e.RunStopped():
                return self._ended(event, Status.STOPPED)
            case _:
                assert_never(event)

    def _ended(self, event: e.AnyEvent, status: Status) -> "RunState":
        index = None if status is Status.FINISHED else self.index
        return msgspec.structs.replace(
            self, status=status, ended_s=event.time_s, activity="", index=index, stopping=None
        )

    def _with(self, index: int, **changes: object) -> "RunState":
        stages = list(self.stages)
        stages[index] = msgspec.structs.replace(stages[index], **changes)
        return msgspec.structs.replace(self, stages=tuple(stages))

    def _timed(self, event: e.Progressed | e.EpochFinished) -> dict[str, object]:
        """Count the time since the last event as time of training, unless the run waited or its first step is new.

        So neither a pause nor the steps that a resumed stage did earlier spoil the estimate of what is left.
        """
        stage = self.stages[event.index]
        is_first = self.updated_s == stage.started_s and event.step > 0 and stage.timed_s == 0.0
        if self.activity or is_first or self.updated_s is None or event.step < stage.step:
            return {}
        seconds = max(0.0, event.time_s - self.updated_s)
        kept = 0.5 ** (seconds / HALF_LIFE_S)
        return {
            "timed_s": kept * stage.timed_s + seconds,
            "timed_steps": kept * stage.timed_steps + event.step - stage.step,
        }

    def _merged(self, index: int, metrics: dict[str, float | None]) -> dict[str, float | None]:
        return self.stages[index].metrics | metrics

    def _reported(self, subject: str, **changes: object) -> "RunState":
        report = msgspec.structs.replace(getattr(self, subject), **changes)
        return msgspec.structs.replace(self, **{subject: report})

    @property
    def progress(self) -> float:
        """Share of all epochs done, 0 to 1; reused stages count as done."""
        total = sum(stage.epochs for stage in self.stages)
        if self.status is Status.FINISHED:
            return 1.0
        return sum(stage.epochs * stage.progress for stage in self.stages) / total if total else 0.0

    def stage_eta_s(self, now_s: float) -> float | None:
        """Seconds until the stage at work ends, from the time its steps took in this run; None while unknown."""
        per_step = self._seconds_per_step
        if per_step is None or self.index is None or self.updated_s is None:
            return None
        stage = self.stages[self.index]
        return max(0.0, per_step * (stage.steps - stage.step) - (now_s - self.updated_s))

    def eta_s(self, now_s: float) -> float | None:
        """Seconds until the last stage ends; None while unknown.

        Epochs of later stages are taken to cost what the present ones do, for want of better knowledge: those that are
        over trained other networks in other ways, or on other machines. So the estimate changes where a stage begins.
        """
        remaining, per_step = self.stage_eta_s(now_s), self._seconds_per_step
        if remaining is None or per_step is None or self.index is None:
            return None
        stage = self.stages[self.index]
        per_epoch = per_step * stage.steps / max(1, stage.epochs)
        pending = sum(later.epochs for later in self.stages[self.index + 1 :] if not later.is_over)
        return remaining + per_epoch * pending

    @property
    def _seconds_per_step(self) -> float | None:
        """What a step of the stage at work takes, of those done since this run took it up; None while unknown."""
        if self.index is None:
            return None
        stage = self.stages[self.index]
        if stage.step_s is not None:
            return stage.step_s
        done = stage.step - stage.resumed_step
        if done <= 0 or stage.started_s is None or self.updated_s is None:
            return None
        return (self.updated_s - stage.started_s) / done


def _check(event: e.AnyEvent, entries: int) -> None:
    """Refuse an event that names an entry of the plan or a subject that does not exist."""
    index, subject = getattr(event, "index", None), getattr(event, "subject", "deployed")
    if index is not None and not 0 <= index < entries:
        raise CorruptRun(f"an event of the log ({type(event).__name__}) names entry {index} of a plan of {entries}.")
    if subject not in ("baseline", "deployed"):
        raise CorruptRun(f"an event of the log ({type(event).__name__}) names the subject {quoted(subject)}.")


class History:
    """The curves of a run: every metric against the epochs of the whole recipe.

    The x axis counts epochs from the start of the baseline; ``borders`` tells where each stage begins.
    """

    def __init__(self) -> None:
        self.series: dict[str, tuple[list[float], list[float]]] = {}
        """By name of the metric: epochs, values. Values that are not finite are NaN."""
        self.borders: list[float] = []
        """Epoch at which each entry of the plan begins."""
        self.clock: tuple[list[float], list[float]] = ([], [])
        """Epochs, and when they were reached in seconds since 1970."""
        self._epochs: list[int] = []
        self._steps: list[int] = []

    def add(self, event: e.AnyEvent) -> bool:
        """Take up an event; tells whether a curve changed.

        Raises:
            CorruptRun: the event names an entry of the plan that does not exist.
        """
        _check(event, len(self._epochs))
        match event:
            case e.RunStarted():
                self._epochs = [plan.epochs for plan in event.plan]
                self._steps = [0] * len(self._epochs)
                self.borders = [float(sum(self._epochs[:index])) for index in range(len(self._epochs))]
                return True
            case e.StageStarted():
                self._steps[event.index] = event.steps
                return False
            case e.Progressed():
                steps = self._steps[event.index]
                share = event.step / steps if steps else 0.0
                return self._put(event.index, share * self._epochs[event.index], event)
            case e.EpochFinished():
                return self._put(event.index, event.epoch, event)
            case _:
                return False

    def _put(self, index: int, epoch: float, event: e.Progressed | e.EpochFinished) -> bool:
        x = self.borders[index] + epoch
        _append(self.clock, x, event.time_s)
        for name, value in event.metrics.items():
            _append(self.series.setdefault(name, ([], [])), x, math.nan if value is None else value)
        return bool(event.metrics)


def _append(curve: tuple[list[float], list[float]], x: float, y: float) -> None:
    """Go on with a curve; what a resumed stage does again takes the place of what it did before."""
    xs, ys = curve
    while xs and xs[-1] > x + 1e-6:
        xs.pop()
        ys.pop()
    xs.append(x)
    ys.append(y)

"""A run in one flat record: what tables, filters and plots of many runs need, without its recipe and its log."""

import math
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

from pipeline.events import StopWhen
from pipeline.runs.annotations import Annotations
from pipeline.runs.state import RunState, StageState, Status

if TYPE_CHECKING:
    from pipeline.recipe import Recipe

T = TypeVar("T")


class Step(Struct, frozen=True, kw_only=True):
    """One entry of a run's plan."""

    stage: str
    """``baseline``, ``teacher`` or the name of the stage."""
    status: str
    """``pending``, ``running``, ``finished`` or ``reused``."""
    progress: float = 0.0
    """Share of its steps done, 0 to 1."""
    epoch: int = 0
    """Passes done."""
    epochs: int = 0
    """Passes in all."""
    top1: float | None = None
    """Percent on the validation split; None until measured."""


class Row(Struct, frozen=True, kw_only=True):
    """One run, flat. A number that is not known is None."""

    id: str
    """Name of the run's folder."""
    name: str
    """The recipe's name; the id where the recipe cannot be read."""
    problem: str = ""
    """Why the run cannot be read, in one sentence; empty when all is well."""
    backbone: str = "?"
    dataset: str = "?"
    data: str = "?"
    """The dataset with its options, as JSON: only runs on the same data can be compared."""
    seed: int = 0
    stages: tuple[str, ...] = ()
    """Names of the stages of the recipe, in order."""
    status: Status = Status.QUEUED
    steps: tuple[Step, ...] = ()
    """The entries of the plan, the baseline first; empty before the process began."""
    index: int | None = None
    """The entry of ``steps`` at work."""
    progress: float = 0.0
    """Share of all epochs done, 0 to 1."""
    activity: str = ""
    """What goes on beside training, in a few words."""
    stopping: StopWhen | None = None
    """When the run ends that a person asked to stop: ``now``, after the ``epoch`` or the ``stage`` at work."""
    queued_at: int | None = None
    """Place in the queue, 1 for the run that begins next; None where the run does not wait for its turn."""
    failure: str = ""
    """Why it failed, in one sentence."""
    note_count: int = 0
    """Warnings and choices on record."""
    device: str = ""
    host: str = ""
    pid: int | None = None
    created: str = ""
    """Date and time of the launch, as in the id: ``2026-11-21 10:02``."""
    started_s: float | None = None
    ended_s: float | None = None
    updated_s: float | None = None
    """Time of the newest event."""
    ends_s: float | None = None
    """When the last stage will have ended, if epochs to come take what the present ones do."""
    stage_ends_s: float | None = None
    """The same for the stage at work."""
    images_per_s: float | None = None
    """Newest throughput of the training."""

    top1: float | None = None
    """Percent of the test split that the deployed file answers rightly."""
    top1_low: float | None = None
    top1_high: float | None = None
    """The 95 % interval of ``top1``."""
    points: float | None = None
    """Percentage points of top-1 above the run's own baseline."""
    points_margin: float | None = None
    """Half of the 95 % interval of ``points``, compared sample by sample."""
    p_value: float | None = None
    """Of the paired comparison with the baseline."""
    size_bytes: int | None = None
    """The compact checkpoint on disk."""
    size_ratio: float | None = None
    """How many times smaller than the baseline's."""
    median_ms: float | None = None
    """Of a call in the fastest runtime."""
    min_ms: float | None = None
    p90_ms: float | None = None
    p99_ms: float | None = None
    runtime: str | None = None
    """The fastest runtime."""
    condition: str | None = None
    """Runtime, batch and threads of the latency; numbers of different conditions do not compare."""
    cpu: str | None = None
    """Processor on which the latency was measured."""
    contended: bool | None = None
    """Something else used the processor meanwhile."""
    speedup: float | None = None
    """How many times faster than the baseline under the same condition."""
    of_roof: float | None = None
    """How many times as long as the roof a call takes."""
    sparsity: float | None = None
    """Percent of the prunable weights that are zero, after the last stage."""
    agreement: float | None = None
    """Share of the samples, 0 to 1, that the deployed file answers as the trained network does."""

    baseline_key: str = ""
    """Content key of the baseline: runs with the same one share it."""
    baseline_top1: float | None = None
    baseline_bytes: int | None = None
    baseline_ms: float | None = None
    """Median of the baseline under ``condition``; its own fastest where there is none."""

    tags: tuple[str, ...] = ()
    note: str = ""
    pinned: bool = False

    @property
    def letters(self) -> str:
        """The stages by their initials, in order: ``PQD``; ``?`` where the recipe cannot be read."""
        return "?" if self.backbone == "?" else "".join(stage[0].upper() for stage in self.stages)

    @property
    def is_running(self) -> bool:
        """Its process holds the lock."""
        return not self.problem and not self.status.is_over

    @property
    def is_finished(self) -> bool:
        """Everything was done, so there are numbers to compare and files to export."""
        return not self.problem and self.status is Status.FINISHED

    @property
    def group(self) -> tuple[str, str]:
        """Backbone and data: only runs on the same data can be compared."""
        return self.backbone, self.data


def unreadable(run_id: str, problem: str, before: "Row | None" = None) -> Row:
    """Make the row of a run that cannot be read.

    Args:
        run_id: name of its folder.
        problem: why, in one sentence.
        before: what was known of it.
    """
    name = before.name if before is not None else run_id
    return Row(id=run_id, name=name, problem=problem, status=Status.FAILED, created=_created(run_id))


def row_of(
    run_id: str, recipe: "Recipe | None", state: RunState, annotations: Annotations, *, queued_at: int | None = None
) -> Row:
    """Flatten what is known of a run."""
    deployed, baseline = state.deployed, state.baseline
    versus = deployed.versus(baseline)
    accuracy, fastest, paired = deployed.accuracy, deployed.fastest, versus.paired
    based = baseline.latency.get(fastest.condition) if fastest else baseline.fastest
    low, high = accuracy.interval if accuracy else (None, None)
    sparsity = state.stages[-1].metrics.get("sparsity") if state.stages else None
    stage = state.stages[state.index] if state.index is not None and state.index < len(state.stages) else None
    now_s = state.updated_s or 0.0
    row = Row(
        id=run_id,
        name=recipe.name if recipe else run_id,
        status=state.status,
        steps=tuple(_step(entry) for entry in state.stages),
        index=state.index,
        progress=state.progress,
        activity=state.activity,
        stopping=None if state.status.is_over else state.stopping,
        queued_at=queued_at if state.status is Status.QUEUED else None,
        failure=state.failure,
        note_count=len(state.notes),
        device=state.device,
        host=state.host,
        pid=state.pid,
        created=_created(run_id),
        started_s=state.started_s,
        ended_s=state.ended_s,
        updated_s=state.updated_s,
        ends_s=_later(now_s, state.eta_s(now_s)),
        stage_ends_s=_later(now_s, state.stage_eta_s(now_s)),
        images_per_s=stage.metrics.get("images_per_s") if stage else None,
        top1=accuracy.top1 if accuracy else None,
        top1_low=low,
        top1_high=high,
        points=_finite(versus.top1_points),
        points_margin=paired.margin if paired else None,
        p_value=paired.p_value if paired else None,
        size_bytes=deployed.size.size_bytes if deployed.size else None,
        size_ratio=versus.size_ratio,
        median_ms=fastest.median_ms if fastest else None,
        min_ms=fastest.min_ms if fastest else None,
        p90_ms=fastest.p90_ms if fastest else None,
        p99_ms=fastest.p99_ms if fastest else None,
        runtime=fastest.runtime if fastest else None,
        condition=fastest.condition if fastest else None,
        cpu=fastest.machine.cpu if fastest else None,
        contended=fastest.contended if fastest else None,
        speedup=versus.speedup.get(fastest.condition) if fastest else None,
        of_roof=fastest.of_roof if fastest else None,
        sparsity=None if sparsity is None else 100 * sparsity,
        agreement=accuracy.agreement if accuracy else None,
        baseline_key=state.stages[0].key if state.stages else "",
        baseline_top1=baseline.accuracy.top1 if baseline.accuracy else None,
        baseline_bytes=baseline.size.size_bytes if baseline.size else None,
        baseline_ms=based.median_ms if based else None,
        tags=annotations.tags,
        note=annotations.note,
        pinned=annotations.pinned,
    )
    return row if recipe is None else _with_recipe(row, recipe)


def _with_recipe(row: Row, recipe: "Recipe") -> Row:
    import msgspec

    dataset = recipe.document()["dataset"]
    return msgspec.structs.replace(
        row,
        backbone=recipe.backbone,
        dataset=recipe.dataset.name,
        data=dataset if isinstance(dataset, str) else msgspec.json.encode(dataset).decode(),
        seed=recipe.seed,
        stages=tuple(stage.name for stage in recipe.stages),
    )


def _step(entry: StageState) -> Step:
    return Step(
        stage=entry.stage, status=entry.status, progress=entry.progress, epoch=entry.epoch, epochs=entry.epochs,
        top1=_finite(entry.top1),
    )  # fmt: skip


def _created(run_id: str) -> str:
    date, clock = run_id[:10], run_id[11:17]
    is_ours = len(clock) == 6 and clock.isdigit() and date[4:5] == date[7:8] == "-"
    return f"{date} {clock[:2]}:{clock[2:4]}" if is_ours else ""


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _later(now_s: float, seconds: float | None) -> float | None:
    return None if seconds is None else now_s + seconds

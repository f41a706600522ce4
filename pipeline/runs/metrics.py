"""Every number that trainings recorded, as a table or a document for other software."""

import csv as csv_writer
import io
import math
from collections.abc import Iterable, Iterator, Sequence

import msgspec
from msgspec import Struct

from pipeline import events as e
from pipeline.runs.store import Run


class Record(Struct, frozen=True, kw_only=True):
    """What was recorded at one moment of a training."""

    run: str
    """Id of the run."""
    stage: str
    """``baseline``, or the name of a stage."""
    place: int
    """In the plan; 0 is the baseline."""
    is_epoch: bool
    """Of a whole epoch, with validation; False for the steps since the last record."""
    epoch: float
    """Passes of the stage that were done; a part of one within an epoch."""
    step: int
    """Optimiser steps of the stage that were done."""
    time_s: float
    """Seconds since 1970."""
    metrics: dict[str, float | None]
    """By name, as the log has them (see ``events.EpochFinished``); None for what was not finite."""


def records(runs: Iterable[Run]) -> list[Record]:
    """Collect the records of runs, in their order.

    Raises:
        CorruptRun: a line of a log is not an event.
    """
    return [record for run in runs for record in _of(run)]


def _of(run: Run) -> Iterator[Record]:
    plan: tuple[e.StagePlan, ...] = ()
    steps: dict[int, int] = {}
    for event in run.events()[0]:
        if isinstance(event, e.RunStarted):
            plan = event.plan
        elif isinstance(event, e.StageStarted):
            steps[event.index] = event.steps
        elif isinstance(event, e.Progressed | e.EpochFinished) and event.index < len(plan):
            stage, all_steps = plan[event.index], steps.get(event.index, 0)
            epoch = stage.epochs * event.step / all_steps if all_steps else 0.0
            yield Record(
                run=run.id, stage=stage.stage, place=event.index, is_epoch=isinstance(event, e.EpochFinished),
                epoch=event.epoch if isinstance(event, e.EpochFinished) else epoch, step=event.step,
                time_s=event.time_s, metrics={name: _finite(value) for name, value in event.metrics.items()},
            )  # fmt: skip


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def csv(found: Sequence[Record]) -> bytes:
    """Write a table with a header and a column for each metric; empty where one was not recorded or not finite."""
    names = dict.fromkeys(name for record in found for name in record.metrics)
    own = Record.__struct_fields__[:-1]
    text = io.StringIO()
    writer = csv_writer.writer(text, lineterminator="\n")
    writer.writerow([*own, *names])
    for record in found:
        writer.writerow([*(getattr(record, name) for name in own), *(record.metrics.get(name) for name in names)])
    return text.getvalue().encode()


def json(found: Sequence[Record]) -> bytes:
    """Write a list with one object for each record."""
    return msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n"


formats = {".csv": csv, ".json": json}
"""By the ending of the file."""

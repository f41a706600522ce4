"""What happened in a run: one frozen record per fact, one line of JSON per record.

The log of these is the truth about a run; everything that is shown is a fold of it (``pipeline.runs.state``).
Facts are in the past tense. Metrics are named numbers, so that a new stage or task needs no new event.
"""

import time
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from pipeline import decoding
from pipeline.report import Accuracy, CheckpointSize, Count, Latency

FORMAT = 1
"""Version of the log; a reader refuses what it does not know."""

Time = Annotated[float, Meta(ge=0, le=2**37)]
"""Seconds since 1970."""
Metrics = dict[str, float | None]
"""Values by name; None where one is not finite."""
StopWhen = Literal["now", "epoch", "stage"]
"""When a run ends that was asked to stop: at its next step, after the epoch or after the stage at work."""


class Event(Struct, frozen=True, kw_only=True, tag_field="event", tag=True):
    """One fact."""

    time_s: Time = field(default_factory=time.time)
    """When it happened."""


class StagePlan(Struct, frozen=True, kw_only=True):
    """What a run intends for one entry of its plan: the baseline, then each stage, and teachers between them."""

    stage: str
    """``baseline``, ``teacher`` or the name of the stage."""
    key: str
    """Content key of the result."""
    epochs: Count
    """Passes over the training data; 0 where nothing is trained."""


class RunStarted(Event, frozen=True):
    """The pipeline process took up its work."""

    pid: Count
    """Process id of the pipeline process."""
    host: str
    """Name of the machine."""
    device: str
    """Where it trains: ``cpu`` or ``cuda:0``."""
    plan: tuple[StagePlan, ...]
    """The entries, in order."""
    format: Annotated[int, Meta(ge=1, le=FORMAT)] = FORMAT
    """Version of this log."""


class Waited(Event, frozen=True):
    """The run waits for something that another process holds."""

    reason: str
    """One sentence for a person."""


class Downloaded(Event, frozen=True):
    """A part of a dataset arrived."""

    done: Count
    """Bytes so far."""
    total: Count
    """Bytes in all; 0 when unknown."""


class StageStarted(Event, frozen=True):
    """A stage began to train."""

    index: Count
    """Place in the plan; 0 is the baseline."""
    steps: Count
    """Optimiser steps in the whole stage; 0 where nothing is trained."""


class StageResumed(Event, frozen=True):
    """A stage that began goes on where an earlier run left it; its epochs until then stand on record before this."""

    index: Count
    epoch: Count
    """Passes of the stage that were done."""
    step: Count
    """Steps of the stage that were done."""


class StageReused(Event, frozen=True):
    """A stage was not trained: its result lay in the store."""

    index: Count
    metrics: Metrics
    """Those of the stored result; see ``StageFinished``."""
    seconds: float
    """What the training had cost, in seconds."""
    layer_sparsity: dict[str, float] = {}
    """See ``StageFinished``."""


class Progressed(Event, frozen=True):
    """Some steps of a stage were done; at most a few of these a second."""

    index: Count
    step: Count
    """Steps of the stage done so far."""
    metrics: Metrics
    """``loss`` (mean since the last record), ``learning_rate``, ``images_per_s``, ``sparsity``; ``bad_steps`` once a
    step of the stage was left out because its loss was not finite: how many were."""


class EpochFinished(Event, frozen=True):
    """A pass over the training data ended and the validation split was evaluated."""

    index: Count
    epoch: Count
    """Passes of the stage done so far, from 1; 0 for the state before the first."""
    step: Count
    """Steps of the stage done so far."""
    metrics: Metrics
    """``loss`` (mean of the epoch), ``validation_loss``, ``top1`` (percent), ``learning_rate``, ``images_per_s``,
    ``sparsity``; ``bad_steps`` as above."""


class StageFinished(Event, frozen=True):
    """A stage was trained and its result stored."""

    index: Count
    metrics: Metrics
    """Validation metrics of the result: ``top1`` (percent), ``validation_loss``, ``sparsity`` (0 to 1); of epochs that
    it was chosen from: ``last_top1``, ``best_top1``, ``best_epoch``; of the training: ``images_per_s`` (median of the
    epochs), ``tflops`` (of the network, 10^12 a second) and ``percent_of_peak`` of what the device does in a
    large matrix product."""
    seconds: float
    """Wall time of the stage."""
    layer_sparsity: dict[str, float] = {}
    """Zeros (0 to 1) of every layer that can be pruned, by its name."""


class Noted(Event, frozen=True):
    """Something a person should know: a warning, a choice that was made."""

    text: str
    """One sentence."""


class ModelLowered(Event, frozen=True):
    """The network was lowered to the file that is deployed."""

    subject: str
    """``baseline`` or ``deployed``."""
    operators: dict[str, Count]
    """Operators of the graph that ONNX Runtime executes, by type."""


class ArtifactWritten(Event, frozen=True):
    """A file of the result was written."""

    subject: str
    """``baseline`` or ``deployed``."""
    kind: str
    """``onnx``, ``checkpoint``, ``samples`` or ``weights``."""
    path: str
    """Relative to the store."""
    bytes: Count
    """Size of the file."""
    sha256: str
    """Checksum of the file."""


class Measuring(Event, frozen=True):
    """A measurement began."""

    what: str
    """``accuracy`` or ``latency``."""


class AccuracyMeasured(Event, frozen=True):
    """The deployed file answered the whole test split."""

    subject: str
    accuracy: Accuracy


class SizeMeasured(Event, frozen=True):
    """The checkpoint was weighed."""

    subject: str
    size: CheckpointSize


class LatencyMeasured(Event, frozen=True):
    """The deployed file was timed."""

    subject: str
    latency: Latency


class StopRequested(Event, frozen=True):
    """The process heard that a person wants the run to stop, or no longer does."""

    when: StopWhen | None
    """When it will; None: it goes on."""


class RunFinished(Event, frozen=True):
    """Everything was done."""


class RunFailed(Event, frozen=True):
    """The run ended by an error."""

    reason: str
    """One sentence for a person; the traceback is in the log."""


class RunStopped(Event, frozen=True):
    """The run ended because a person asked for it."""


AnyEvent = (
    RunStarted | Waited | Downloaded | StageStarted | StageResumed | StageReused | Progressed | EpochFinished
    | StageFinished | Noted | ModelLowered | ArtifactWritten | Measuring | AccuracyMeasured | SizeMeasured
    | LatencyMeasured | StopRequested | RunFinished | RunFailed | RunStopped
)  # fmt: skip

_decoder: "msgspec.json.Decoder[AnyEvent]" = msgspec.json.Decoder(AnyEvent)
_encoder = msgspec.json.Encoder()


def encode(event: AnyEvent) -> bytes:
    """Write an event as one line, with its newline. A metric that is not finite becomes null."""
    return _encoder.encode(event) + b"\n"


def decode(line: bytes) -> AnyEvent:
    """Read one line.

    Raises:
        msgspec.DecodeError: the line is not an event.
    """
    return decoding.json(line, _decoder)

"""Events in words, for the log that a person reads."""

import time
from collections.abc import Mapping

from pipeline import events as e
from pipeline.runs.state import RunState


def log_line(event: e.AnyEvent, state: RunState) -> str | None:
    """Say an event in one line with its time of day; None for those that come too often to be read.

    Args:
        event: what happened.
        state: the run after it.
    """
    words = _words(event, state)
    return None if words is None else f"{time.strftime('%H:%M:%S', time.localtime(event.time_s))} {words}"


def _words(event: e.AnyEvent, state: RunState) -> str | None:  # one line for each kind of event
    match event:
        case e.RunStarted():
            names = ", ".join(plan.stage for plan in event.plan)
            return f"started on {event.device} as process {event.pid}: {names}"
        case e.Waited() | e.RunFailed():
            return event.reason
        case e.Noted():
            return event.text
        case e.StageStarted():
            return f"{_stage(event.index, state)} started, {event.steps:,} steps"
        case e.StageReused():
            return f"{_stage(event.index, state)} reused, {_metrics(event.metrics)}"
        case e.EpochFinished():
            epochs = state.stages[event.index].epochs
            return f"{_stage(event.index, state)} epoch {event.epoch}/{epochs}, {_metrics(event.metrics)}"
        case e.StageFinished():
            return f"{_stage(event.index, state)} finished in {event.seconds:.0f} s, {_metrics(event.metrics)}"
        case e.ModelLowered():
            integer = sum(count for name, count in event.operators.items() if name.startswith("QLinear"))
            return f"{event.subject} network lowered, {integer} integer operators of {sum(event.operators.values())}"
        case e.ArtifactWritten():
            return f"{event.subject} {event.kind} written, {event.bytes:,} bytes"
        case e.Measuring():
            return f"measuring {event.what}"
        case e.AccuracyMeasured():
            return f"{event.subject} top-1 {event.accuracy.top1:.2f} % of {event.accuracy.total:,} test samples"
        case e.LatencyMeasured():
            latency = event.latency
            return f"{event.subject} {latency.median_ms:.3f} ms in {latency.runtime}, p90 {latency.p90_ms:.3f} ms"
        case e.RunFinished():
            return "finished"
        case e.RunStopped():
            return "stopped, as asked"
        case e.Downloaded() | e.Progressed() | e.SizeMeasured():
            return None


def _stage(index: int, state: RunState) -> str:
    return f"{index} {state.stages[index].stage}" if index else "baseline"


def _metrics(metrics: Mapping[str, float | None]) -> str:
    words = {"train_loss": "loss {:.4f}", "top1": "validation top-1 {:.2f} %", "sparsity": "zeros {:.1%}"}
    words["images_per_s"] = "{:,.0f} images/s"
    return ", ".join(
        text.format(metrics[name]) if metrics[name] is not None else f"{name} not finite"
        for name, text in words.items()
        if name in metrics
    )

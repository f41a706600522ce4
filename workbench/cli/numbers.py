"""Tables of a run's numbers: accuracy, size and latency beside the baseline's, and the checkpoint tensor by tensor."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipeline.report import Accuracy, CheckpointSize, Latency, Report, TensorSize
from pipeline.runs import wording
from pipeline.runs.state import RunState
from workbench.cli import output

if TYPE_CHECKING:
    from rich.table import Table

LAYERS = 12
"""Tensors that are listed unless all are asked for."""
CONTENDED = "! contended, so not to be trusted; to measure again: pqd-workbench measure RUN"
"""What the mark beside a latency means."""


def tables(state: RunState) -> "Iterator[Table]":
    """Give a table for each of the three numbers that has been measured."""
    base, mine = state.baseline, state.deployed
    if mine.accuracies or base.accuracies:
        yield accuracy(base, mine)
    if mine.size is not None or base.size is not None:
        yield size(base, mine)
    if mine.latency or base.latency:
        yield latency(base, mine)


def accuracy(base: Report, mine: Report) -> "Table":
    """Set top-1 beside the baseline's, in each runtime, with intervals beneath."""
    right = ("baseline FP32", "deployed", "points", "as trained")
    table = output.table("top-1 %", *right, right=right)
    for name in {**base.accuracies, **mine.accuracies}:
        theirs, ours = base.accuracies.get(name), mine.accuracies.get(name)
        paired = ours.versus_baseline if ours is not None else None
        difference = ours.top1 - theirs.top1 if ours is not None and theirs is not None else None
        agree = None if ours is None or ours.agreement is None else 100 * ours.agreement
        cells = (_top1(theirs), _top1(ours), wording.points(difference, paired), wording.number(agree, ".2f"))
        table.add_row(output.clean(name), *cells)
        table.add_row("", _interval(theirs), _interval(ours), wording.p_value(paired.p_value) if paired else "", "")
    return table


def _top1(found: Accuracy | None) -> str:
    return wording.number(found.top1 if found is not None else None, ".2f")


def _interval(found: Accuracy | None) -> str:
    return "" if found is None else "[{:.1f}, {:.1f}]".format(*found.interval)


def size(base: Report, mine: Report) -> "Table":
    """Set the bytes of the same network written in four ways beside the baseline's file."""
    right = ("baseline FP32", "deployed", "of the baseline's file")
    table = output.table("checkpoint", *right, right=right)
    ways: dict[str, Callable[[CheckpointSize], float]] = {
        "float32": lambda found: found.float_bytes,
        "dense": lambda found: found.dense_bytes,
        "the file (coded)": lambda found: found.size_bytes,
        "entropy bound": lambda found: found.bound_bytes,
    }
    whole = base.size.size_bytes if base.size is not None else 0
    for name, weigh in ways.items():
        theirs, ours = (weigh(one.size) if one.size is not None else None for one in (base, mine))
        change = wording.times(whole / ours if ours and whole else None, "smaller", "larger")
        table.add_row(name, wording.bytes_of(theirs), wording.bytes_of(ours), change)
    return table


def latency(base: Report, mine: Report) -> "Table":
    """Set the median beside the baseline's, in each runtime and size of the batch; ``!`` marks what is contended."""
    right = ("baseline", "deployed", "faster", "p90", "p99", "of roof")
    table = output.table("ms a call", *right, "", right=right, whole=("",))
    speedup = mine.versus(base).speedup
    for name in {**mine.latency, **base.latency}:
        theirs, ours = base.latency.get(name), mine.latency.get(name)
        shown = ours or theirs
        assert shown is not None
        noisy = any(found is not None and found.contended for found in (theirs, ours))
        table.add_row(
            output.clean(name + (" (eager)" if ours is None and shown.runtime == wording.EAGER else "")),
            _ms(theirs.median_ms if theirs is not None else None),
            _ms(ours.median_ms if ours is not None else None),
            wording.ratio(speedup.get(name)),
            _ms(shown.p90_ms),
            _ms(shown.p99_ms),
            wording.ratio(shown.of_roof),
            "!" if noisy else "",
        )
    return table


def _ms(value: float | None) -> str:
    return wording.milliseconds(value, unit=False)


def eager(base: Report, mine: Latency) -> Latency | None:
    """Find the baseline as most people run it, in calls of as many images; None where that was not measured."""
    alike = (found for found in base.latency.values() if found.batch_size == mine.batch_size)
    return next((found for found in alike if found.runtime == wording.EAGER), None)


def layers(size: CheckpointSize, *, all_of_them: bool) -> "Table":
    """List the tensors of a checkpoint: in the order of the file, or the largest where there are many."""
    right = ("shape", "zeros %", "bits", "bound", "bytes", "of file %")
    shown = size.tensors
    if len(shown) > LAYERS and not all_of_them:
        largest = sorted(shown, key=lambda tensor: tensor.coded_bytes, reverse=True)[:LAYERS]
        shown = tuple(tensor for tensor in shown if tensor in largest)[:LAYERS]
    table = output.table("tensor", *right, right=right)
    for tensor in shown:
        table.add_row(*_cells(tensor, size.size_bytes))
    rest = len(size.tensors) - len(shown)
    if rest:
        others = sum(tensor.coded_bytes for tensor in size.tensors) - sum(tensor.coded_bytes for tensor in shown)
        share = 100 * others / size.size_bytes if size.size_bytes else None
        table.add_row(f"{rest} more: --layers", "", "", "", "", f"{others:,}", wording.number(share, ".1f"))
    return table


def _cells(tensor: TensorSize, file_bytes: int) -> tuple[str, ...]:
    count = tensor.num_values
    zeros, coded, bound = (
        (100 * (1 - tensor.num_nonzero / count), 8 * tensor.coded_bytes / count, 8 * tensor.bound_bytes / count)
        if count
        else (None, None, None)
    )
    return (
        output.clean(tensor.name),
        "x".join(map(str, tensor.shape)) or "1",
        wording.number(zeros, ".1f"),
        wording.number(coded, ".2f"),
        wording.number(bound, ".2f"),
        f"{tensor.coded_bytes:,}",
        wording.number(100 * tensor.coded_bytes / file_bytes if file_bytes else None, ".1f"),
    )

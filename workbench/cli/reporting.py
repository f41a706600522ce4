"""What a run came to, for a person: baseline beside deployed, the stages, the conditions, the files."""

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipeline.report import Latency, Report
from pipeline.runs import wording
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run
from workbench.cli import output

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def report(run: Run, state: RunState, *, store: str | None) -> None:
    """Print the final table of a run, in whatever state it is.

    Args:
        run: the run.
        state: where it is.
        store: what ``--store`` said, to be repeated in the commands that are offered; None when it was silent.

    Raises:
        RecipeError: the recipe does not fit this version.
    """
    console = output.console()
    console.print(f"run {run.id} is {wording.status(state)}")
    console.print(output.clean(wording.pipeline_of(run)))
    if state.baseline != Report() or state.deployed != Report():
        console.print(numbers(state))
        for line in conditions(state):
            console.print(line, soft_wrap=True)
    if state.stages:
        console.print(stages(state))
    for note in state.notes:
        console.print(f"note: {output.clean(note)}", soft_wrap=True)
    _ending(console, run, state, store)


def numbers(state: RunState) -> "Table":
    """Set the deployed network beside its baseline."""
    base, mine = state.baseline, state.deployed
    versus = mine.versus(base)
    table = output.table("", "baseline (FP32)", "deployed", "difference")

    def row(label: str, cells: Sequence[str], difference: str = "") -> None:
        table.add_row(label, *cells, difference)

    both = (base, mine)
    row("top-1 [95 %]", [wording.accuracy(one.accuracy) for one in both], wording.points(versus.top1_points))
    row("same as trained", [wording.agreement(one.accuracy) for one in both])
    row(
        "checkpoint",
        [wording.mib(one.size.size_bytes if one.size else None) for one in both],
        wording.times(versus.size_ratio, "smaller", "larger"),
    )
    row("", [f"{one.size.size_bytes:,} bytes" if one.size else "" for one in both])
    for name in sorted({*base.latency, *mine.latency}):
        found = [one.latency.get(name) for one in both]
        row(
            name,
            [f"{wording.milliseconds(one.median_ms if one else None)} median" for one in found],
            wording.times(versus.speedup.get(name), "faster", "slower"),
        )
        row("", [f"{wording.milliseconds(one.p90_ms)} p90" if one else "" for one in found])
    return table


def conditions(state: RunState) -> list[str]:
    """Say where and how the numbers were measured, and which of them not to trust."""
    lines = [
        f"top-1: the deployed file, run by {found.runtime} on all {found.total:,} test samples, with its 95 % interval."
        for found in (state.deployed.accuracy,)
        if found is not None
    ]
    lines += [machine(latency) for latency in (state.deployed.latency or state.baseline.latency).values()]
    for subject, found in (("baseline", state.baseline), ("deployed", state.deployed)):
        lines += [
            f"noisy: the {subject}'s median in {latency.runtime} is {latency.median_ms / latency.min_ms:.2f} times its "
            f"fastest call ({wording.milliseconds(latency.min_ms)}); something else used the processor."
            for latency in found.latency.values()
            if latency.is_noisy and latency.min_ms > 0
        ]
    return lines


def machine(latency: Latency) -> str:
    """Name the machine, the runtime and the way of timing."""
    found = latency.machine
    version = found.versions.get(latency.runtime, "")
    load = "" if latency.load is None else f", load {latency.load:.2f}"
    return output.clean(
        f"latency: {found.cpu}, {found.instruction_set}, {latency.runtime} {version}".rstrip()
        + f", {latency.threads} thread{'s' * (latency.threads != 1)}, batch {latency.batch_size}"
        + f", {latency.samples:,} calls{load}."
    )


def stages(state: RunState) -> "Table":
    """List the plan with what each entry learnt and cost."""
    numbers = ("epochs", "validation top-1", "zeros", "images/s", "of peak")
    table = output.table("stage", "state", *numbers, "time", right=numbers)
    for index, stage in enumerate(state.stages):
        sparsity = stage.metrics.get("sparsity")
        table.add_row(
            wording.stage_name(state, index),
            stage.status,
            str(stage.epochs),
            wording.percent(stage.top1),
            wording.percent(None if sparsity is None else 100 * sparsity, 1),
            wording.rate(stage.metrics.get("images_per_s")),
            wording.percent(stage.metrics.get("percent_of_peak"), 0),
            wording.duration(stage.seconds) + (" (earlier)" if stage.reused and stage.seconds is not None else ""),
        )
    return table


def misfortune(run: Run, state: RunState) -> str | None:
    """Say in a sentence why a run came to nothing; None when it did not."""
    if state.status is Status.FAILED:
        reason = state.failure.rstrip(".")
        return f"the run {run.id} failed: {reason}. What it printed is in {str(run.log_path)!r}."
    if state.status is Status.LOST:
        return (
            f"the run {run.id} is lost: its process died without a word. What it printed is in {str(run.log_path)!r}."
        )
    return None


def _ending(console: "Console", run: Run, state: RunState, store: str | None) -> None:
    lines = [f"{artifact.subject} {artifact.kind}: {run.store / artifact.path}" for artifact in state.artifacts]
    lines.append(f"folder: {run.folder}")
    if state.status is Status.FINISHED:
        lines.append(f"next: {command(store, 'export', run.id, '--to', 'FOLDER')}")
    elif not state.status.is_over:
        lines.append(f"next: {command(store, 'watch', run.id)}")
    for line in lines:
        console.print(output.clean(line), soft_wrap=True)


def command(store: str | None, *words: str) -> str:
    """Write a command that a person can type, on the same store."""
    return shlex.join(["pqd-workbench", *words, *(["--store", store] if store is not None else [])])

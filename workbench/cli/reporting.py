"""What a run came to, for a person who did not train it: what it is, whether it worked, the numbers, the files."""

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.report import Latency, Report
from pipeline.runs import wording
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run
from workbench.cli import numbers, output

if TYPE_CHECKING:
    from rich.table import Table


def report(run: Run, state: RunState, *, store: str | None) -> None:
    """Print what a run is, its numbers and its stages, in whatever state it is.

    Args:
        run: the run.
        state: where it is.
        store: what ``--store`` said, to be repeated in the commands that are offered; None when it was silent.

    Raises:
        RecipeError: the recipe does not fit this version.
    """
    console = output.console()
    console.print(f"run {run.id} is {wording.status(state)}")
    for line in about(run):
        console.print(output.clean(line))
    if state.baseline != Report() or state.deployed != Report():
        console.print()
        for line in verdict(state):
            console.print(output.clean(line))
        for table in numbers.tables(state):
            console.print()
            console.print(table)
        console.print()
        for line in conditions(state):
            console.print(output.clean(line))
        for line in doubts(state, command(store, "measure", run.id)):
            console.print(output.clean(line), soft_wrap=True)
    if state.stages:
        console.print()
        console.print(stages(state))
    for note in state.notes:
        console.print(f"note: {output.clean(note)}", soft_wrap=True)


def about(run: Run) -> Iterator[str]:
    """Say what a run is: its name, backbone, dataset and stages.

    Raises:
        RecipeError: the recipe does not fit this version.
    """
    recipe = run.recipe()
    yield wording.pipeline_of(run)
    made = f"trained for {recipe.baseline.epochs} epochs"
    if recipe.baseline.checkpoint is not None:
        made = f"weights from {recipe.baseline.checkpoint}"
    yield f"  baseline: FP32, {made}, seed {recipe.seed}"
    for place, stage in enumerate(recipe.stages, start=1):
        yield f"  {place} {wording.stage_words(stage)}"


def verdict(state: RunState) -> Iterator[str]:
    """Say in sentences what the compression came to, one for accuracy, size and latency each."""
    base, mine = state.baseline, state.deployed
    versus, found = mine.versus(base), mine.accuracy
    if found is not None:
        words = wording.versus_baseline(found)
        yield f"accuracy: {wording.percent(found.top1)} top-1 in {found.runtime}" + (f", {words}." if words else ".")
    if mine.size is not None and base.size is not None:
        change = wording.times(versus.size_ratio, "smaller", "larger")
        yield (
            f"size: {wording.bytes_of(mine.size.size_bytes)} instead of {wording.bytes_of(base.size.size_bytes)}, "
            f"{change}."
        )
    fastest = mine.fastest
    if fastest is not None:
        yield _speed(base, fastest, versus.speedup.get(fastest.condition))
    yield from _zeros(state)


def _speed(base: Report, mine: Latency, speedup: float | None) -> str:
    words = f"latency: {wording.milliseconds(mine.median_ms)} a call in {mine.condition}"
    theirs = base.latency.get(mine.condition)
    if theirs is not None:
        change = wording.times(speedup, "faster", "slower")
        words += f" instead of {wording.milliseconds(theirs.median_ms)}, {change}"
    eager = numbers.eager(base, mine)
    if eager is not None and mine.runtime != wording.EAGER and mine.median_ms > 0:
        words += (
            f"; {wording.times(eager.median_ms / mine.median_ms, 'faster', 'slower')} than the FP32 baseline in eager "
            f"torch ({wording.milliseconds(eager.median_ms)}), which is what most people run today"
        )
    return f"{words}."


def _zeros(state: RunState) -> Iterator[str]:
    # INT8 codes of small weights are zero in any network: only those that a stage made are worth a word.
    made = state.stages[-1].metrics.get("sparsity") if state.stages else None
    if made:
        yield (
            f"zeros: {wording.percent(100 * made, 1)} of the weights; single zeros buy bytes, not milliseconds: "
            "CPU runtimes multiply them like any other weight."
        )


def conditions(state: RunState) -> Iterator[str]:
    """Say where and how the numbers were measured."""
    accuracies = state.deployed.accuracies.values()
    if accuracies:
        runtimes = " and ".join(f"{found.runtime} {found.version}".rstrip() for found in accuracies)
        yield (
            f"top-1: the deployed file, run by {runtimes} on all {max(found.total for found in accuracies):,} test "
            "samples, with its 95 % interval; points: the same samples in pairs (McNemar)."
        )
    for latency in (state.deployed.latency or state.baseline.latency).values():
        yield machine(latency)


def doubts(state: RunState, again: str) -> Iterator[str]:
    """Say which numbers not to trust, and the command that measures them again."""
    noisy = False
    for subject, found in (("baseline", state.baseline), ("deployed", state.deployed)):
        for latency in found.latency.values():
            reason = wording.contention(latency)
            if reason:
                noisy = True
                yield f"contended: {subject} in {latency.condition}: {reason}."
    if noisy:
        yield f"to measure again on a quiet machine: {again}"


def machine(latency: Latency) -> str:
    """Name the machine, the runtime, the way of timing and what was executed in which precision."""
    found = latency.machine
    version = found.versions.get(latency.runtime, "")
    load = "" if latency.load is None else f", load {latency.load:.2f}"
    executed = wording.precision(latency)
    peak = f", {wording.milliseconds(latency.roof_ms)} at the roof" if latency.roof_ms else ""
    return (
        f"latency: {found.cpu}, {found.instruction_set}, {latency.runtime} {version}".rstrip()
        + f", {latency.threads} thread{'s' * (latency.threads != 1)}, batch {latency.batch_size}"
        + f", {latency.samples:,} calls{load}{f'; executed as {executed}{peak}' if executed else ''}."
    )


def stages(state: RunState) -> "Table":
    """List the plan with what each entry learnt (top-1 of the validation images) and cost; reused: then."""
    right = ("epochs", "validation", "zeros", "images/s", "of peak")
    table = output.table("stage", "state", *right, "time", right=right, whole=("stage", "state"))
    for index, stage in enumerate(state.stages):
        sparsity = stage.metrics.get("sparsity")
        table.add_row(
            output.clean(wording.stage_name(state, index)),
            stage.status,
            str(stage.epochs),
            wording.percent(stage.top1),
            wording.percent(None if sparsity is None else 100 * sparsity, 1),
            wording.rate(stage.metrics.get("images_per_s")),
            wording.percent(stage.metrics.get("percent_of_peak"), 0),
            wording.duration(stage.seconds),
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


def ending(run: Run, state: RunState, *, store: str | None) -> None:
    """Print where the files lie and what to type next."""
    console = output.console()
    ours = sorted(state.artifacts, key=lambda artifact: artifact.subject != "deployed")
    lines = [f"{artifact.subject} {artifact.kind}: {run.store / artifact.path}" for artifact in ours]
    lines.append(f"folder: {run.folder}")
    if state.status is Status.FINISHED:
        lines.append(f"next: {command(store, 'export', run.id, '--to', 'FOLDER')}")
        lines.append(f"      {command(store, 'measure', run.id)}")
    elif state.status.is_over:
        lines.append(f"next: {command(store, 'resume', run.id)}")
    else:
        lines.append(f"next: {command(store, 'watch', run.id)}")
    for line in lines:
        console.print(output.clean(line), soft_wrap=True)


def command(store: str | None, *words: str) -> str:
    """Write a command that a person can type, on the same store."""
    return shlex.join(["pqd-workbench", *words, *(["--store", store] if store is not None else [])])

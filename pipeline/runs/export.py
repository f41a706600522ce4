"""Leave a finished run in a folder of its own: its files, its recipe, its numbers and a model card.

The work is done in a process of its own, ``python -m pipeline export``, so that whoever asks for it imports neither
torch nor a runtime. The folder appears whole or not at all. Which files there are is a matter of the formats
(``pipeline/exports``).
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline import catalog, errors
from pipeline.errors import ExportError
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run


class Check(Struct, frozen=True, kw_only=True):
    """What a file answered to the run's samples when it was opened again."""

    format: str
    """Name of the export."""
    files: tuple[str, ...]
    """Names of its files; the first one was opened."""
    samples: int
    """Test images that it was tried on."""
    largest_difference: float
    """Between its logits and those of the lowered network in torch."""
    spread: float
    """Standard deviation of a logit over the samples, averaged over the classes: what a difference is compared with."""
    agreement: float
    """Share of the samples (0 to 1) with the same answer."""
    lowered: bool
    """It ought to compute the same to rounding; False for the network before lowering."""

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        before = "" if self.lowered else " It is the network before lowering, so it need not be the same."
        return (
            f"opened again, it gives the deployed network's answer to {self.agreement:.1%} of {self.samples:,} test "
            f"images; logits differ by {self.largest_difference:.3g} at most, where they vary by {self.spread:.3g}."
            f"{before}"
        )


class Answer(Struct, frozen=True, kw_only=True):
    """What the process that exports says at its end."""

    checks: tuple[Check, ...] = ()
    """One for each format."""
    error: str = ""
    """Name of its class, one of ``pipeline.errors`` where it is ours; empty where all went well."""
    sentence: str = ""
    """The error in words."""


@dataclass(frozen=True)
class Exported:
    """An export that is there."""

    folder: Path
    """The folder that was made, or that stood there already with exactly the same content."""
    checks: tuple[Check, ...]
    """One for each format."""


def available(state: RunState) -> list[str]:
    """List the formats that a run can be exported to: its deployed artifacts and the installed packages allow them."""
    kinds = {artifact.kind for artifact in state.artifacts if artifact.subject == "deployed"}
    return [
        name
        for name in catalog.names("exports")
        if not catalog.missing("exports", name) and catalog.constant("exports", name, "READS") in kinds
    ]


def choose(run: Run, formats: Sequence[str] | None) -> list[str]:
    """Settle which formats a run is exported to.

    Args:
        run: to be exported.
        formats: names of exports; None for all that are available.

    Raises:
        UnknownPlugin: there is no such format.
        ExportError: the run is not finished or has no file to start from.
    """
    state = run.state()
    if state.status is not Status.FINISHED:
        raise ExportError(f"the run {run.id} is {state.status.value}; only a finished run can be exported.")
    for name in formats or ():
        catalog.check("exports", name)
    chosen = available(state) if formats is None else list(dict.fromkeys(formats))
    if not chosen:
        raise ExportError(f"the run {run.id} has no file that any of the formats could start from.")
    return chosen


def export(run: Run, folder: Path, formats: Sequence[str] | None = None) -> Exported:
    """Make ``folder/<id of the run>``: ``recipe.toml``, ``report.json``, ``README.md`` and the files of each format.

    Args:
        run: a finished run.
        folder: made where it does not exist.
        formats: names of exports; None for all that are available.

    Raises:
        UnknownPlugin: there is no such format.
        MissingDependency: a format needs a package that is not installed.
        ExportError: the run is not finished or has no such artifact, something else stands there already, or the
            folder cannot be written.
        OutputMismatch: a file of the run is not the one that was measured, or a written file answers otherwise than
            the deployed network.
        PipelineError: what else a format raises.
    """
    chosen = choose(run, formats)
    folder = folder.absolute()
    command = [sys.executable, "-m", "pipeline", "export", str(run.folder.absolute()), "--to", str(folder), *chosen]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    except OSError as error:
        raise ExportError(f"the process that exports cannot be started: {error.strerror}.") from error
    try:
        answer = msgspec.json.decode(done.stdout, type=Answer)
    except msgspec.DecodeError:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise ExportError(
            f"the process that exports the run {run.id} ended with {done.returncode}; it said last: {said[-1]}."
        ) from None
    if answer.error:
        raise getattr(errors, answer.error, ExportError)(answer.sentence)
    return Exported(folder / run.id, answer.checks)

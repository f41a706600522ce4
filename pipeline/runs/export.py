"""Leave a finished run in a folder of its own: its files, its recipe, its numbers and a model card.

The work is done in a process of its own, ``python -m pipeline export``, so that whoever asks for it imports neither
torch nor a runtime. It says line by line how far it is, and ends as soon as its standard input does: whoever asked for
the export closes it to cancel, and the kernel closes it when they die. The folder appears whole or not at all. Which
files there are is a matter of the formats (``pipeline/exports``).
"""

import contextlib
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from pipeline import catalog, errors
from pipeline.errors import ExportError
from pipeline.options import quoted
from pipeline.runs.process import training_environment
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run

Interrupt = Callable[[], None]
"""Called again and again while an export goes on; whatever it raises cancels it."""
PATIENCE_S = 5.0
"""Seconds that a cancelled process has to remove what it wrote, before it is killed."""


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

    @property
    def short(self) -> str:
        """Say it in one line."""
        equal = round(self.agreement * self.samples)
        before = "" if self.lowered else " (before lowering)"
        return f"opened again: {equal:,} of {self.samples:,} predictions equal{before}"


class Written(Struct, frozen=True, kw_only=True):
    """A file of an export."""

    name: str
    bytes: int
    sha256: str


class Progress(Struct, frozen=True, kw_only=True, tag="progress"):
    """How far the process that exports is."""

    format: str
    """Name of the export."""
    step: Literal["writing", "opening", "checking", "checked"]
    """What begins: its files are written, the first is opened again, tried on the samples; or all that is done."""
    bytes: int | None = None
    """What its files take; None while they are being written."""
    check: Check | None = None
    """What came of it, once it was checked."""


class Answer(Struct, frozen=True, kw_only=True, tag="answer"):
    """What the process that exports says at its end."""

    checks: tuple[Check, ...] = ()
    """One for each format."""
    files: tuple[Written, ...] = ()
    """Everything in the folder but the list of checksums, by name."""
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
    files: tuple[Written, ...]
    """Everything in the folder but the list of checksums, by name."""


@dataclass(frozen=True)
class Estimate:
    """What the files of one format will take."""

    bytes: int
    is_exact: bool
    """They are copies of files that lie there."""


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


def estimate(state: RunState, name: str) -> Estimate | None:
    """Tell what the files of a format will take; None where nothing is known."""
    quantity, more = catalog.constant("exports", name, "SIZE") or (catalog.constant("exports", name, "READS"), 0)
    size = state.deployed.size
    of_tensors = {"dense": size.dense_bytes, "float32": size.float_bytes} if size is not None else {}
    files = {artifact.kind: artifact.bytes for artifact in state.artifacts if artifact.subject == "deployed"}
    found = (files | of_tensors).get(quantity)
    is_exact = quantity in files and quantity not in of_tensors and not more and catalog.is_ours("exports", name)
    return None if found is None else Estimate(found + more, is_exact)


def export(
    run: Run,
    folder: Path,
    formats: Sequence[str] | None = None,
    *,
    name: str | None = None,
    progress: Callable[[Progress], None] | None = None,
    interrupt: Interrupt | None = None,
) -> Exported:
    """Make ``folder/name``: ``recipe.toml``, ``report.json``, ``README.md``, the files of each format and checksums.

    Args:
        run: a finished run.
        folder: made where it does not exist.
        formats: names of exports; None for all that are available.
        name: of the folder that is made (see ``pipeline.runs.naming``); None for the run's id.
        progress: told how far it is, in this thread.
        interrupt: called ten times a second; whatever it raises cancels the export, and nothing of it stays.

    Raises:
        UnknownPlugin: there is no such format.
        MissingDependency: a format needs a package that is not installed.
        ExportError: the run is not finished or has no such artifact, something else stands there already, the name
            cannot be that of a folder, or the folder cannot be written.
        OutputMismatch: a file of the run is not the one that was measured, or a written file answers otherwise than
            the deployed network.
        PipelineError: what else a format raises.
    """
    chosen = choose(run, formats)
    name = run.id if name is None else name
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise ExportError(f"{quoted(name)} cannot be the name of a folder.")
    folder = folder.absolute()
    temporary = f".{name}.{uuid.uuid4().hex[:8]}.tmp"
    command = [sys.executable, "-m", "pipeline", "export", str(run.folder.absolute())]
    command += [f"--to={folder}", f"--name={name}", f"--temporary={temporary}", *chosen]
    with tempfile.TemporaryFile() as said:
        try:
            # In a session of its own, a Ctrl-C in the terminal reaches it through us alone.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, start_new_session=True,
                env=training_environment | os.environ,
            )  # fmt: skip
        except OSError as error:
            raise ExportError(f"the process that exports cannot be started: {error.strerror}.") from error
        try:
            answer = _listen(process, progress, interrupt)
        finally:
            _end(process)
            # It was killed if this is still there.
            shutil.rmtree(folder / temporary, ignore_errors=True)
        if answer is None:
            said.seek(0)
            words = said.read().decode(errors="replace").strip().splitlines() or ["nothing"]
            raise ExportError(
                f"the process that exports the run {run.id} ended with {process.returncode}; it said last: {words[-1]}."
            )
    if answer.error:
        raise getattr(errors, answer.error, ExportError)(answer.sentence)
    return Exported(folder / name, answer.checks, answer.files)


_records = msgspec.json.Decoder(Progress | Answer)


def _listen(
    process: "subprocess.Popen[bytes]",
    progress: Callable[[Progress], None] | None,
    interrupt: Interrupt | None,
) -> Answer | None:
    """Hand on what the process says; gives its answer, None when it ended without one."""
    answer = None
    for line in _lines(process, interrupt):
        with contextlib.suppress(msgspec.DecodeError):
            record = _records.decode(line)
            if isinstance(record, Answer):
                answer = record
            elif progress is not None:
                progress(record)
    return answer


def _lines(process: "subprocess.Popen[bytes]", interrupt: Interrupt | None) -> Iterator[bytes]:
    """Read whole lines until the process ends."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if interrupt is not None:
                interrupt()
            if selector.select(0.1):
                piece = os.read(process.stdout.fileno(), 65536)
                if not piece:
                    return
                *lines, rest = (rest + piece).split(b"\n")
                yield from lines


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Let the process leave, and make sure that it did."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    try:
        process.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        process.stdout.close()

"""Leave a finished run in a folder of its own: its files, its recipe, its numbers and a model card.

The folder appears whole or not at all. Which files there are is a matter of the formats (``pipeline/exports``).
"""

import filecmp
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline import catalog, files
from pipeline.errors import ExportError
from pipeline.protocols import FileFacts
from pipeline.runs import model_card
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run

SUMS = "SHA256SUMS"
"""Checksums of all other files, as ``sha256sum --check`` reads them."""


def available(state: RunState) -> list[str]:
    """List the formats that a run can be exported to: its deployed artifacts and the installed packages allow them."""
    kinds = {artifact.kind for artifact in state.artifacts if artifact.subject == "deployed"}
    return [
        name
        for name in catalog.names("exports")
        if not catalog.missing("exports", name) and catalog.constant("exports", name, "READS") in kinds
    ]


def export(run: Run, folder: Path, formats: Sequence[str] | None = None) -> Path:
    """Make ``folder/<id of the run>`` with ``recipe.toml``, ``report.json``, ``README.md`` and a file per format.

    Args:
        run: a finished run.
        folder: made where it does not exist.
        formats: names of exports; None for all that are available.

    Returns:
        The folder that was made, or that stood there already with exactly the same content.

    Raises:
        UnknownPlugin: there is no such format.
        MissingDependency: a format needs a package that is not installed.
        ExportError: the run is not finished or has no such artifact, something else stands there already, or the
            folder cannot be written.
        OutputMismatch: a file of the run is not the one that was measured.
    """
    state = run.state()
    if state.status is not Status.FINISHED:
        raise ExportError(f"the run {run.id} is {state.status.value}; only a finished run can be exported.")
    chosen = available(state) if formats is None else list(dict.fromkeys(formats))
    if not chosen:
        raise ExportError(f"the run {run.id} has no file that any of the formats could start from.")
    writers = [catalog.load("exports", name) for name in chosen]
    target = folder / run.id
    temporary = folder / f".{run.id}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        temporary.mkdir(parents=True)
        written = [(path, writer.facts(path)) for writer in writers for path in writer.write(run, temporary)]
        _describe(run, state, temporary, written)
        _appear(temporary, target)
    except OSError as error:
        raise ExportError(f"the export {str(target)!r} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return target


def _describe(run: Run, state: RunState, folder: Path, written: Sequence[tuple[Path, FileFacts]]) -> None:
    files.write_bytes(folder / "recipe.toml", (run.folder / "recipe.toml").read_bytes())
    report = msgspec.json.format(msgspec.json.encode(run.describe()), indent=2) + b"\n"
    files.write_bytes(folder / "report.json", report)
    files.write_text(folder / "README.md", model_card.write(run, state, written))
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    files.write_text(folder / SUMS, "".join(f"{files.sha256(folder / name)}  {name}\n" for name in names))


def _appear(temporary: Path, target: Path) -> None:
    """Give the folder its name, unless something else bears it."""
    try:
        temporary.rename(target)
    except OSError:
        if not target.exists():
            raise
        if not _equal(temporary, target):
            raise ExportError(
                f"{str(target)!r} exists and holds something else; remove it or choose another folder."
            ) from None
        return
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _equal(one: Path, other: Path) -> bool:
    names = [sorted(path.relative_to(folder) for path in folder.rglob("*")) for folder in (one, other)]
    if names[0] != names[1]:
        return False
    plain = [str(name) for name in names[0] if (one / name).is_file()]
    return filecmp.cmpfiles(one, other, plain, shallow=False)[0] == plain

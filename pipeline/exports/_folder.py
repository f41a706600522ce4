"""The folder that leaves: written beside its place, every file opened again, then named."""

import filecmp
import os
import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline import catalog, files
from pipeline.errors import ExportError
from pipeline.exports import _artifacts, _check
from pipeline.runs import model_card
from pipeline.runs.export import Check, choose
from pipeline.runs.store import Run

SUMS = "SHA256SUMS"
"""Checksums of all other files, as ``sha256sum --check`` reads them."""


def make(run: Run, folder: Path, formats: Sequence[str] | None = None) -> tuple[Check, ...]:
    """Make ``folder/<id of the run>``; see ``pipeline.runs.export.export``, which calls this in a process of its own.

    Returns:
        What each format's file answered to the run's samples.
    """
    exports = {name: catalog.load("exports", name) for name in choose(run, formats)}
    target = folder / run.id
    temporary = folder / f".{run.id}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        temporary.mkdir(parents=True)
        checks = tuple(
            _check.check(name, export, export.write(run, temporary), run) for name, export in exports.items()
        )
        usages = {name: export.USAGE for name, export in exports.items()}
        _describe(run, temporary, checks, usages)
        _appear(temporary, target)
    except OSError as error:
        raise ExportError(f"the export {str(target)!r} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return checks


def _describe(run: Run, folder: Path, checks: Sequence[Check], usages: Mapping[str, str]) -> None:
    files.write_bytes(folder / "recipe.toml", (run.folder / "recipe.toml").read_bytes())
    report = msgspec.json.format(msgspec.json.encode(run.describe()), indent=2) + b"\n"
    files.write_bytes(folder / "report.json", report)
    files.write_text(folder / "README.md", model_card.write(run, folder, checks, usages, _artifacts.facts(run)))
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

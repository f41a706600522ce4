"""The folder that leaves: written beside its place, every file opened again, then named."""

import filecmp
import os
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline import catalog, files
from pipeline.errors import ExportError
from pipeline.exports import _artifacts, _check
from pipeline.protocols import Export
from pipeline.runs import model_card, portable
from pipeline.runs.export import Check, Exported, Progress, Written, choose
from pipeline.runs.store import Run

SUMS = "SHA256SUMS"
"""Checksums of all other files, as ``sha256sum --check`` reads them."""


def make(
    run: Run,
    target: Path,
    formats: Sequence[str] | None = None,
    *,
    temporary: Path | None = None,
    tell: Callable[[Progress], None] = lambda _: None,
) -> Exported:
    """Make the folder ``target``; see ``pipeline.runs.export.export``, which calls this in a process of its own.

    Args:
        run: a finished run.
        target: the folder of this run; what lies above it is made where it does not exist.
        formats: names of exports; None for all that are available.
        temporary: beside ``target``, does not exist yet; removed whatever happens. None to choose one.
        tell: called when a format is begun, opened again, tried and done.
    """
    exports = {name: catalog.load("exports", name) for name in choose(run, formats)}
    temporary = temporary or target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        temporary.mkdir(parents=True)
        checks = tuple(_write(name, export, run, temporary, tell) for name, export in exports.items())
        usages = {name: export.USAGE for name, export in exports.items()}
        written = _describe(run, temporary, checks, usages)
        _appear(temporary, target)
    except OSError as error:
        raise ExportError(f"the export {str(target)!r} cannot be written: {error.strerror}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Exported(target, checks, written)


def _write(name: str, export: Export, run: Run, folder: Path, tell: Callable[[Progress], None]) -> Check:
    """Write the files of one format and try the first."""
    tell(Progress(format=name, step="writing"))
    paths = export.write(run, folder)
    size = sum(path.stat().st_size for path in paths)
    tell(Progress(format=name, step="opening", bytes=size))
    made = _check.check(
        name, export, paths, run, opened=lambda: tell(Progress(format=name, step="checking", bytes=size))
    )
    tell(Progress(format=name, step="checked", bytes=size, check=made))
    return made


def _describe(run: Run, folder: Path, checks: Sequence[Check], usages: Mapping[str, str]) -> tuple[Written, ...]:
    """Put recipe, report, card and checksums beside the files; gives what all of them are."""
    files.write_text(folder / "recipe.toml", portable.toml(run.recipe()))
    report = msgspec.json.format(msgspec.json.encode(portable.report(run)), indent=2) + b"\n"
    files.write_bytes(folder / "report.json", report)
    files.write_text(folder / "README.md", model_card.write(run, folder, checks, usages, _artifacts.facts(run)))
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    written = tuple(
        Written(name=name, bytes=path.stat().st_size, sha256=files.sha256(path)) for name, path in sorted(paths.items())
    )
    files.write_text(folder / SUMS, "".join(f"{one.sha256}  {one.name}\n" for one in written))
    return written


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

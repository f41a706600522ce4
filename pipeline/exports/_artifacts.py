"""Copying a file of a finished run so that what arrives is what was measured."""

import shutil
from pathlib import Path

from pipeline import files
from pipeline.errors import ExportError, OutputMismatch
from pipeline.runs.store import Run


def copy(run: Run, kind: str, target: Path) -> Path:
    """Copy the deployed artifact of a kind and compare the copy with the recorded checksum; returns ``target``.

    Raises:
        ExportError: the run has no such artifact, the file is gone, or ``target`` cannot be written.
        OutputMismatch: the file is not the one that was measured.
    """
    found = [one for one in run.state().artifacts if one.subject == "deployed" and one.kind == kind]
    if not found:
        raise ExportError(f"the run {run.id} wrote no {kind} file of its deployed network.")
    artifact = found[-1]
    source = (run.store / artifact.path).resolve()
    if not source.is_relative_to(run.store.resolve()):
        raise ExportError(f"the run {run.id} names a file outside its store: {artifact.path!r}.")
    try:
        with files.replacing(target) as temporary:
            shutil.copyfile(source, temporary)
            arrived = files.sha256(temporary)
            if arrived != artifact.sha256:
                raise OutputMismatch(
                    f"{str(source)!r} is not the file that was measured: its SHA-256 begins with {arrived[:12]}, "
                    f"the run recorded {artifact.sha256[:12]}; run the recipe again."
                )
    except FileNotFoundError:
        raise ExportError(f"the {kind} file of the run {run.id} is gone: {str(source)!r}.") from None
    except OSError as error:
        raise ExportError(f"{str(target)!r} cannot be written from {str(source)!r}: {error.strerror}.") from None
    return target

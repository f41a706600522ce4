"""Files that a person names: where one can be written, and what its ending asks for."""

from collections.abc import Callable, Collection
from pathlib import Path

from pipeline import files
from pipeline.errors import ExportError


def problem_of(path: Path, endings: Collection[str]) -> str:
    """Say why a file cannot be written there, in one sentence; empty where it can.

    Args:
        path: of a new file.
        endings: that there is something to write for.
    """
    if path.suffix.lower() not in endings:
        return f"{path.name!r} ends in none of {', '.join(endings)}; the ending decides what is written."
    if path.exists():
        return f"{str(path)!r} is there already; name another file."
    if not path.parent.is_dir():
        return f"there is no folder {str(path.parent)!r}."
    return ""


def write(path: Path, endings: Collection[str], make: Callable[[str], bytes]) -> None:
    """Write a new file, whole or not at all.

    Args:
        path: of a new file.
        endings: that there is something to write for.
        make: gives the content for an ending.

    Raises:
        ExportError: as ``problem_of``, or the system refuses.
    """
    if problem := problem_of(path, endings):
        raise ExportError(problem)
    content = make(path.suffix.lower())
    try:
        files.write_bytes(path, content)
    except OSError as error:
        raise ExportError(f"{str(path)!r} cannot be written: {error.strerror}.") from None

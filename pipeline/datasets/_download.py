"""Fetch a file over the network: in pieces, told as it goes, checked, and never left half written."""

import hashlib
import http.client
import urllib.request
from collections.abc import Callable
from pathlib import Path

from pipeline import files
from pipeline.errors import DatasetError

PIECE = 256 * 1024
TIMEOUT_S = 60


def fetch(url: str, path: Path, *, checksum: str, progress: Callable[[int, int], None] | None = None) -> None:
    """Write what lies at an address to a file; nothing is left when it fails or is interrupted.

    Args:
        url: where it lies.
        path: the file to write; its folder is made.
        checksum: the published MD5, in hexadecimal.
        progress: told the bytes done and the bytes in all; the latter are 0 when the server does not say.

    Raises:
        DatasetError: it cannot be reached, breaks off, has another checksum or cannot be written.
    """
    digest = hashlib.md5(usedforsecurity=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with files.replacing(path) as temporary:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer, temporary.open("wb") as written:
                total, done = int(answer.headers.get("Content-Length") or 0), 0
                while piece := answer.read(PIECE):
                    digest.update(piece)
                    done += written.write(piece)
                    if progress is not None:
                        progress(done, total)
            if done < total:
                raise DatasetError(f"{url} broke off after {done} of {total} bytes: try again.")
            if digest.hexdigest() != checksum:
                raise DatasetError(f"{url} has the MD5 {digest.hexdigest()} where {checksum} is published: try again.")
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise DatasetError(f"{url} could not be fetched into {str(path.parent)!r}: {reason}.") from None


def md5(path: Path) -> str:
    """Checksum of a file's bytes, in hexadecimal."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()

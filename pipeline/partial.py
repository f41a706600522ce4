"""What an unfinished stage had learnt, beside the place of its result: the next run that wants the stage goes on there.

STORE/stages/KEY.partial    the training after one of its epochs, then the SHA-256; gone once the result is there

Whoever reads or writes it holds the lock of the key.
"""

import contextlib
import hashlib
import io
import pickle
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from pipeline import decoding, events, files
from pipeline.errors import CheckpointError

if TYPE_CHECKING:
    from pipeline.engine.snapshot import Snapshot

FORMAT = 1
EVERY_S = 60.0
"""Least time between two writes, unless the run is about to end."""
LARGEST_SHARE = 0.02
"""Of the time that may go into writing: where the disk is slow, it is written less often."""
_DIGEST = hashlib.sha256().digest_size


class Past(Struct, frozen=True, kw_only=True):
    """What is known about the epochs that were done, beside the state of the training."""

    epoch: int
    """Passes done."""
    history: tuple[events.EpochFinished, ...]
    """The curve so far, by epoch."""
    seconds: float
    """Wall time of the training so far."""
    numbers: dict[str, Any]
    """See ``pipeline.engine.snapshot.Snapshot``."""
    format: int = FORMAT


_past = msgspec.json.Decoder(Past)


class Partial:
    """The unfinished training of one content key."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._written_s = time.monotonic()
        self._every_s = EVERY_S

    def read(self) -> "tuple[Snapshot, Past] | None":
        """Read the state that training goes on from; None when there is none.

        Raises:
            CheckpointError: it is damaged, or of another version.
        """
        import torch

        from pipeline.engine.snapshot import Snapshot

        self._tidy()
        try:
            content = self._path.read_bytes()
            if hashlib.sha256(content[:-_DIGEST]).digest() != content[-_DIGEST:]:
                raise CheckpointError(f"{self._named} is damaged.")
            found = torch.load(io.BytesIO(content[:-_DIGEST]), map_location="cpu", weights_only=True)
            past = decoding.json(found["past"].encode(), _past)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CheckpointError(f"{self._named} cannot be read: {error.strerror}.") from None
        except (msgspec.DecodeError, pickle.UnpicklingError, KeyError, TypeError, RuntimeError, AttributeError):
            past = None
        if past is None or past.format != FORMAT:
            raise CheckpointError(f"{self._named} is of another version.")
        return Snapshot(epoch=past.epoch, tensors=found["tensors"], numbers=past.numbers), past

    @property
    def _named(self) -> str:
        return f"what an interrupted run left of the stage in {str(self._path)!r}"

    @property
    def is_due(self) -> bool:
        """So much time has passed since the last write that another one costs little."""
        return time.monotonic() - self._written_s >= self._every_s

    def write(self, snapshot: "Snapshot", *, history: tuple[events.EpochFinished, ...], seconds: float) -> None:
        """Keep a state in place of the last one: the file is whole at every moment.

        Raises:
            CheckpointError: it cannot be written.
        """
        import torch

        began_s = time.monotonic()
        past = Past(epoch=snapshot.epoch, history=history, seconds=seconds, numbers=snapshot.numbers)
        kept = {"past": msgspec.json.encode(past).decode(), "tensors": snapshot.tensors}
        try:
            with files.replacing(self._path) as temporary:
                with temporary.open("wb") as opened:
                    torch.save(kept, opened)
                digest = bytes.fromhex(files.sha256(temporary))
                with temporary.open("ab") as opened:
                    opened.write(digest)
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CheckpointError(f"the unfinished stage cannot be kept in {str(self._path)!r}: {reason}.") from error
        finally:
            self._written_s = time.monotonic()
            self._every_s = max(EVERY_S, (self._written_s - began_s) / LARGEST_SHARE)

    def remove(self) -> None:
        """Remove it: the result is there, or it leads nowhere."""
        self._tidy()
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _tidy(self) -> None:
        """Remove what a killed writer left."""
        for left in self._path.parent.glob(f".{self._path.name}.*.tmp"):
            with contextlib.suppress(OSError):
                left.unlink()

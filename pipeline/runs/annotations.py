"""What a person adds to a run: tags, a note, a pin. It lies in the run's folder and changes nothing else there."""

from collections.abc import Container, Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from pipeline import decoding, files
from pipeline.errors import CorruptRun, RunStoreError

MOST_TAGS = 32
LONGEST_TAG = 40
LONGEST_NOTE = 4000

Tag = Annotated[str, Meta(min_length=1, max_length=LONGEST_TAG)]


class Annotations(Struct, frozen=True, kw_only=True):
    """Everything that a person added to a run."""

    tags: Annotated[tuple[Tag, ...], Meta(max_length=MOST_TAGS)] = ()
    """Words to filter by, without spaces and commas, in the order in which they were given."""
    note: Annotated[str, Meta(max_length=LONGEST_NOTE)] = ""
    """A text for people; may have several lines."""
    pinned: bool = False
    """Stands above the others."""

    def tagged(self, added: Iterable[str], gone: Container[str] = ()) -> "Annotations":
        """Give the same with other tags: without those that are gone, with the added ones at the end."""
        kept = [tag for tag in self.tags if tag not in gone]
        return msgspec.structs.replace(self, tags=tuple(dict.fromkeys([*kept, *added])))


_decoder = msgspec.json.Decoder(Annotations)


def read(path: Path) -> Annotations:
    """Read the file; an absent one is empty.

    Raises:
        CorruptRun: the file cannot be read.
    """
    try:
        return decoding.json(path.read_bytes(), _decoder)
    except FileNotFoundError:
        return Annotations()
    except (OSError, msgspec.DecodeError) as error:
        raise CorruptRun(f"{path} cannot be read: {error}.") from None


def write(path: Path, annotations: Annotations) -> None:
    """Write the file whole, or leave it as it was.

    Raises:
        RunStoreError: a tag or the note is not legal, or the file cannot be written.
    """
    if problem := problem_of(annotations):
        raise RunStoreError(problem)
    try:
        files.write_bytes(path, msgspec.json.encode(annotations))
    except OSError as error:
        raise RunStoreError(f"{str(path)!r} cannot be written: {error.strerror}.") from None


def problem_of(annotations: Annotations) -> str:
    """Say what is not legal, in one sentence; empty when all is."""
    if len(annotations.tags) > MOST_TAGS:
        return f"there are {len(annotations.tags)} tags; a run can have {MOST_TAGS}."
    for tag in annotations.tags:
        if not 0 < len(tag) <= LONGEST_TAG or not tag.isprintable() or any(c.isspace() or c == "," for c in tag):
            return f"{tag[:LONGEST_TAG]!r} cannot be a tag; use up to {LONGEST_TAG} letters without spaces and commas."
    if len(annotations.note) > LONGEST_NOTE:
        return f"the note has {len(annotations.note):,} letters; it can have {LONGEST_NOTE:,}."
    return ""

"""How the folders of exported runs are called: a template such as ``{backbone}-{stages}-{top1}``."""

import string
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from pipeline.errors import ExportError
from pipeline.options import quoted, suggest

if TYPE_CHECKING:
    from pipeline.runs.rows import Row

DEFAULT = "{id}"
"""The run's id, which is unique."""
LONGEST = 200
"""Bytes of a name at most; file systems allow 255, and a temporary name is a little longer."""

_unsafe = frozenset('/\\:*?"<>|')


class Field(Struct, frozen=True, kw_only=True):
    """One field of a template."""

    help: str
    """What it is, in one phrase."""
    value: "Callable[[Row], str]"


fields: dict[str, Field] = {
    "name": Field(help="name of the recipe", value=lambda row: row.name),
    "backbone": Field(help="the network", value=lambda row: row.backbone),
    "dataset": Field(help="the data", value=lambda row: row.dataset),
    "stages": Field(help="the stages by their initials", value=lambda row: row.letters or "base"),
    "seed": Field(help="start of every random stream", value=lambda row: str(row.seed)),
    "top1": Field(help="percent of the test split", value=lambda r: "unknown" if r.top1 is None else f"{r.top1:.1f}"),
    "id": Field(help="name of the run's folder", value=lambda row: row.id),
    "date": Field(help="day of the launch", value=lambda row: row.created[:10] or "undated"),
}
"""By name, in the order in which they are offered."""


def check(template: str) -> None:
    """Refuse a template that cannot be understood.

    Raises:
        ExportError: an unknown field (says the known ones), a brace alone, a slash, or nothing at all.
    """
    if not template.strip():
        raise ExportError(f"the template of the name is empty; use {quoted(DEFAULT)}, for example.")
    if "/" in template or "\0" in template:
        raise ExportError(f"the template {quoted(template)} has a slash; it names one folder, so leave it out.")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ExportError(f"the template {quoted(template)} cannot be read: {str(error).rstrip('.')}.") from None
    for _, field, spec, conversion in parts:
        if field is not None and field not in fields:
            raise ExportError(f"the template has no field {{{field[:40]}}}; {suggest(field, fields)}")
        if spec or conversion:
            raise ExportError(f"the field {{{field}}} takes no ':' and no '!'; write {{{field}}}.")


def names(template: str, rows: "Sequence[Row]") -> list[str]:
    """Name the folder of each run; runs of one name get the last four letters of their ids, too.

    Raises:
        ExportError: as ``check``, or two runs have one name even so.
    """
    check(template)
    found = [_name(template, row) for row in rows]
    # Some file systems take large and small letters for the same.
    counts = Counter(name.casefold() for name in found)
    found = [
        f"{name}-{safe(row.id)[-4:]}" if counts[name.casefold()] > 1 else name
        for name, row in zip(found, rows, strict=True)
    ]
    for name, count in Counter(name.casefold() for name in found).items():
        if count > 1:
            raise ExportError(f"{count} of the runs would be called {quoted(name)}; put {{id}} into the template.")
    return found


def safe(text: str) -> str:
    """Turn a text into one that can be a file's name everywhere; may be empty."""
    letters = ("-" if letter in _unsafe or letter.isspace() or not letter.isprintable() else letter for letter in text)
    return "".join(letters).lstrip(".-").rstrip(". ")


def _name(template: str, row: "Row") -> str:
    filled = safe(template.format(**{name: safe(field.value(row)) for name, field in fields.items()}))
    return filled.encode()[:LONGEST].decode(errors="ignore") or row.id

"""Every quantity of a run that can be shown, sorted and filtered by, or put on an axis: declared here once."""

from collections.abc import Callable, Mapping
from typing import Literal

from msgspec import Struct

from pipeline.runs.rows import Row
from pipeline.runs.wording import MIB
from workbench.widgets import words

Value = float | str | None
Better = Literal["higher", "lower", ""]


class Column(Struct, frozen=True, kw_only=True):
    """One quantity."""

    key: str
    """How it is called in filters and settings."""
    title: str
    """Header of the table and title of the axis, with the unit."""
    help: str
    """What it is, in one phrase."""
    value: Callable[[Row], Value]
    """What is sorted, filtered and plotted; numbers in the unit of the title; None where it is not known."""
    text: Callable[[Row], str]
    """What stands in the table."""
    width: int
    """Cells that the text takes at most; 0 to take what the others leave."""
    is_number: bool = False
    """Right-aligned, compared with < and >, and fit for an axis."""
    better: Better = ""
    """Which direction is the better one; empty where none is."""
    spans_powers: bool = False
    """Its axis is logarithmic unless a person wants it otherwise."""
    aliases: tuple[str, ...] = ()
    """Other names in filters."""
    units: Mapping[str, float] = {}
    """Units that a number in a filter may carry, and what one of them is in the unit of the title."""


_percent = {"%": 1.0}
_points = {"%": 1.0, "pt": 1.0, "points": 1.0}
_mebibytes = {"mib": 1.0, "kib": 1 / 1024, "gib": 1024.0, "mb": 1e6 / MIB, "kb": 1e3 / MIB, "b": 1 / MIB}
_milliseconds = {"ms": 1.0, "us": 1e-3, "s": 1e3}
_minutes = {"min": 1.0, "m": 1.0, "s": 1 / 60, "h": 60.0}
_times = {"x": 1.0}


def _number(
    key: str, title: str, about: str, value: Callable[[Row], float | None], digits: int = 1, *, width: int = 6,
    signed: bool = False, better: Better = "", spans_powers: bool = False, aliases: tuple[str, ...] = (),
    units: Mapping[str, float] = {},
) -> Column:  # fmt: skip
    return Column(
        key=key, title=title, help=about, value=value, width=width, is_number=True, better=better, aliases=aliases,
        spans_powers=spans_powers, units=units, text=lambda row: words.number(value(row), digits, signed=signed),
    )  # fmt: skip


def _milli(key: str, title: str, about: str, value: Callable[[Row], float | None]) -> Column:
    return Column(
        key=key, title=title, help=about, value=value, text=lambda r: words.milliseconds(value(r)), width=7,
        is_number=True, better="lower", spans_powers=True, units=_milliseconds,
    )  # fmt: skip


def _words(
    key: str, title: str, about: str, value: Callable[[Row], str], width: int, *aliases: str,
    text: Callable[[Row], str] | None = None,
) -> Column:  # fmt: skip
    return Column(key=key, title=title, help=about, value=value, text=text or value, width=width, aliases=aliases)


def _mib(row: Row) -> float | None:
    return None if row.size_bytes is None else row.size_bytes / MIB


def _took(row: Row) -> float | None:
    return None if row.started_s is None or row.ended_s is None else (row.ended_s - row.started_s) / 60


def _latency(row: Row) -> str:
    return words.milliseconds(row.median_ms) + ("!" if row.contended else "")


_all = (
    _words("run", "run", "name of the recipe", lambda r: r.name, 0, "name"),
    _words("stages", "stages", "initials in order: ▸ at work, · waits, bare letters are done", lambda r: r.letters, 7,
           "stage", text=words.stage_marks),
    _words("state", "state", "where the run is", lambda r: "unreadable" if r.problem else r.status.value, 17, "status",
           text=words.status_words),
    _number("top1", "top1 %", "percent of the test split, deployed", lambda r: r.top1, better="higher",
            aliases=("acc", "accuracy"), units=_percent),
    _number("points", "+/- pt", "percentage points above the run's baseline", lambda r: r.points, signed=True,
            better="higher", aliases=("pt",), units=_points),
    Column(
        key="size", title="MiB", help="the checkpoint on disk", value=_mib, text=lambda r: words.mib(r.size_bytes),
        width=6, is_number=True, better="lower", spans_powers=True, aliases=("mib",), units=_mebibytes,
    ),
    Column(
        key="latency", title="ms", help="median of a call in the fastest runtime; ! where the machine was not quiet",
        value=lambda r: r.median_ms, text=_latency, width=7, is_number=True, better="lower", spans_powers=True,
        aliases=("ms",), units=_milliseconds,
    ),
    _number("base", "base %", "top1 of the run's baseline", lambda r: r.baseline_top1, better="higher",
            aliases=("baseline",), units=_percent),
    _number("ratio", "smaller", "how many times smaller than the baseline", lambda r: r.size_ratio, better="higher",
            width=7, spans_powers=True, aliases=("smaller",), units=_times),
    _number("speedup", "faster", "how many times faster than the baseline", lambda r: r.speedup, 2, better="higher",
            aliases=("faster",), units=_times),
    _words("tag", "tags", "words that a person gave", lambda r: " ".join(r.tags), 12, "tags"),
    _words("backbone", "backbone", "the network", lambda r: r.backbone, 12),
    _words("dataset", "dataset", "the data", lambda r: r.dataset, 10, "data"),
    _number("seed", "seed", "start of every random stream", lambda r: float(r.seed), 0, width=5),
    _number("sparsity", "zeros %", "zeros among the prunable weights", lambda r: r.sparsity, width=7, better="higher",
            aliases=("zeros",), units=_percent),
    _number("roof", "of roof", "times the roof that a call takes", lambda r: r.of_roof, 2, width=7, better="lower",
            units=_times),
    _milli("p90", "p90 ms", "what nine of ten calls stay below", lambda r: r.p90_ms),
    _number("agreement", "agree %", "samples answered as the trained network answers them",
            lambda r: None if r.agreement is None else 100 * r.agreement, 2, width=7, better="higher", units=_percent),
    _number("took", "min", "minutes from start to end", _took, better="lower", units=_minutes),
    _words("started", "started", "when it was launched", lambda r: r.created, 16, "created"),
    _words("runtime", "runtime", "the fastest runtime", lambda r: r.runtime or "", 12),
    _words("host", "host", "the machine that trained", lambda r: r.host, 12),
    _words("note", "note", "first line of the note", lambda r: r.note, 24, "notes",
           text=lambda r: r.note.strip().partition("\n")[0]),
    _words("id", "id", "name of the run's folder", lambda r: r.id, 36),
)  # fmt: skip

columns: dict[str, Column] = {column.key: column for column in _all}
"""By key, in the order in which they are offered."""

shown: tuple[str, ...] = (
    "run", "stages", "state", "top1", "points", "size", "latency", "base", "ratio", "speedup", "tag", "backbone",
    "dataset", "seed",
)  # fmt: skip
"""Keys of the columns that the table of runs has unless a person chose others; those that do not fit are left out."""


def named(name: str) -> Column | None:
    """Find a column by its key or one of its aliases; None where there is none."""
    wanted = name.casefold()
    return columns.get(wanted) or next((column for column in _all if wanted in column.aliases), None)

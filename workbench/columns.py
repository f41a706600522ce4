"""Every quantity of a run that can be shown, sorted and filtered by, or put on an axis: declared here once."""

import time
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from pipeline.runs.rows import Row
from pipeline.runs.wording import MIB
from workbench.widgets import words

Value = float | str | None


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
    better: Literal["higher", "lower", ""] = ""
    """Which direction is the better one; empty where none is."""
    spans_powers: bool = False
    """Its axis is logarithmic unless a person wants it otherwise."""


def _number(
    key: str, title: str, about: str, value: Callable[[Row], float | None], digits: int = 1, *, width: int = 6,
    signed: bool = False, better: Literal["higher", "lower", ""] = "", spans_powers: bool = False,
) -> Column:  # fmt: skip
    return Column(
        key=key, title=title, help=about, value=value, width=width, is_number=True, better=better,
        spans_powers=spans_powers, text=lambda row: words.number(value(row), digits, signed=signed),
    )  # fmt: skip


def _mib(size_bytes: int | None) -> float | None:
    return None if size_bytes is None else size_bytes / MIB


def _age_s(row: Row) -> float | None:
    return None if row.started_s is None else time.time() - row.started_s


_all = (
    Column(key="run", title="run", help="name of the recipe", value=lambda r: r.name, text=lambda r: r.name, width=0),
    Column(
        key="stages", title="stages", help="the stages by their initials, in order", value=lambda r: r.letters,
        text=words.letters, width=6,
    ),
    Column(
        key="state", title="state", help="where the run is", value=lambda r: r.status.value, text=words.status_words,
        width=16,
    ),
    _number("top1", "top1 %", "percent of the test split, deployed", lambda r: r.top1, better="higher"),
    _number("points", "+/- pt", "percentage points above the run's baseline", lambda r: r.points, signed=True,
            better="higher"),
    Column(
        key="size", title="MiB", help="the checkpoint on disk", value=lambda r: _mib(r.size_bytes),
        text=lambda r: words.mib(r.size_bytes), width=6, is_number=True, better="lower", spans_powers=True,
    ),
    Column(
        key="latency", title="ms", help="median of a call in the fastest runtime", value=lambda r: r.median_ms,
        text=lambda r: words.milliseconds(r.median_ms) + ("!" if r.contended else ""), width=7, is_number=True,
        better="lower", spans_powers=True,
    ),
    _number("ratio", "smaller", "how many times smaller than the baseline", lambda r: r.size_ratio, better="higher",
            width=7, spans_powers=True),
    _number("speedup", "faster", "how many times faster than the baseline", lambda r: r.speedup, 2, better="higher"),
    _number("sparsity", "zeros %", "zeros among the prunable weights", lambda r: r.sparsity, width=7, better="higher"),
    _number("roof", "of roof", "times the roof that a call takes", lambda r: r.of_roof, 2, width=7, better="lower"),
    _number("seed", "seed", "start of every random stream", lambda r: float(r.seed), 0),
    Column(
        key="backbone", title="backbone", help="the network", value=lambda r: r.backbone, text=lambda r: r.backbone,
        width=12,
    ),
    Column(
        key="dataset", title="dataset", help="the data", value=lambda r: r.dataset, text=lambda r: r.dataset, width=10
    ),
    Column(
        key="tag", title="tags", help="words that a person gave", value=lambda r: " ".join(r.tags),
        text=lambda r: " ".join(r.tags), width=12,
    ),
    Column(
        key="started", title="started", help="when it was launched", value=lambda r: r.created,
        text=lambda r: r.created, width=16,
    ),
)  # fmt: skip

columns: dict[str, Column] = {column.key: column for column in _all}
"""By key, in the order in which they are offered."""

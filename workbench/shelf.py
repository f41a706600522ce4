"""The runs as all screens see them: which there are, which pass the filter, in what order, which are marked."""

from collections.abc import Iterable

from msgspec import Struct

from pipeline.errors import FilterError
from pipeline.runs.rows import Row
from workbench import filters
from workbench.columns import Value, columns
from workbench.filters import Filter
from workbench.memory import Memory

groupings = ("", "backbone", "dataset", "tag", "state", "run", "stages")
"""Keys of the columns whose equal values can stand together; empty for none."""


class Group(Struct, frozen=True, kw_only=True):
    """Runs that share a value."""

    name: str
    """The value; ``none`` where it is empty."""
    rows: tuple[Row, ...]
    """In the order of the table."""

    @property
    def best_top1(self) -> float | None:
        """Percent of the best of them; None where none was measured."""
        return max((row.top1 for row in self.rows if row.top1 is not None), default=None)


class Shelf:
    """Rows with one filter, one order, one selection and one set of marks.

    Filter, order, grouping and selection are remembered from one session to the next.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        """Begin as it was left; without a memory with nothing chosen."""
        self._memory = memory or Memory()
        self.rows: dict[str, Row] | None = None
        """Every run by its id, newest first; None before the first look."""
        self.is_complete = False
        """No run is still being read for the first time."""
        self.marked: set[str] = set()
        """Ids of the runs that a person marked."""
        self.selected: str | None = None
        """Id of the run that the screens are about; None before there is one, or where the filter leaves none."""
        self.filter = _recalled(self._memory.get("runs.filter", ""))
        order = self._memory.get("runs.order", "")
        self.order = order if order in columns else ""
        """Key of the column that is sorted by; empty for the newest first."""
        self.is_reversed = self._memory.get("runs.reversed", False)
        grouping = self._memory.get("runs.grouping", "")
        self.grouping = grouping if grouping in groupings else ""
        """Key of the column whose equal values stand together in the table; empty for none."""
        self._wished = self._memory.get("runs.selected", "")
        """The run that was selected when the workbench was left."""
        self._is_chosen = False
        """The selection is a person's, or was made when all runs were known; it stays."""
        self._visible: list[Row] | None = None
        self._groups: list[Group] | None = None

    def take(self, rows: Iterable[Row], *, is_complete: bool = True) -> None:
        """Put other rows on the shelf; marks of runs that are gone go, too."""
        found, was_empty = {row.id: row for row in rows}, not self.rows
        is_gone = self.selected is not None and self.selected not in found
        before = self.visible if is_gone else []
        self.rows = found
        self.is_complete = is_complete
        self.marked &= self.rows.keys()
        self._visible = self._groups = None
        if not self._is_chosen or was_empty:
            running_first = sorted(self.visible, key=lambda row: not row.is_running)
            if self._wished not in self.rows:
                self.selected = running_first[0].id if running_first else None
            else:
                self.selected = self._wished
            self._is_chosen = is_complete and self.selected is not None
        elif is_gone:
            self.select(self._neighbour(before))

    def _neighbour(self, before: list[Row]) -> str | None:
        """Find the run that stood closest to the selected one, which is gone: below it, else above."""
        ids = [row.id for row in before]
        at = ids.index(self.selected) if self.selected in ids else 0
        left = {row.id for row in self.visible}
        return next((run_id for run_id in [*ids[at:], *reversed(ids[:at])] if run_id in left), None)

    def select(self, run_id: str | None) -> None:
        """Make a run the one that the screens are about."""
        self.selected, self._is_chosen = run_id, True
        self._memory.put("runs.selected", run_id or "")

    def row(self, run_id: str | None) -> Row | None:
        """Give a run; None when there is none of that id."""
        return (self.rows or {}).get(run_id) if run_id is not None else None

    @property
    def current(self) -> Row | None:
        """The selected run."""
        return self.row(self.selected)

    @property
    def chosen(self) -> list[Row]:
        """The marked runs, newest first; without marks the selected one."""
        marked = [row for row in (self.rows or {}).values() if row.id in self.marked]
        current = self.current
        return marked or ([current] if current else [])

    @property
    def visible(self) -> list[Row]:
        """The runs that pass the filter, pinned ones first, in the chosen order; the same list until that changes."""
        if self._visible is None:
            found = self.filter.among((self.rows or {}).values()) if self.filter.text else self._all()
            if self.order:
                value = columns[self.order].value
                known = [(value(row), row) for row in found]
                ranked = [(_sortable(v), row) for v, row in known if v is not None and v != ""]
                ranked.sort(key=lambda pair: pair[0], reverse=self.is_reversed)
                found = [row for _, row in ranked] + [row for v, row in known if v is None or v == ""]
            elif self.is_reversed:
                found.reverse()
            if any(row.pinned for row in found):
                found.sort(key=lambda row: not row.pinned)
            self._visible = found
        return self._visible

    def _all(self) -> list[Row]:
        return list((self.rows or {}).values())

    @property
    def groups(self) -> list[Group]:
        """The visible runs by the value of the grouping, in the order of each value's first run.

        A run with several tags stands in the group of each.
        """
        if self._groups is None:
            found: dict[str, list[Row]] = {}
            for row in self.visible:
                for name in _names(self.grouping, row):
                    found.setdefault(name, []).append(row)
            self._groups = [Group(name=name, rows=tuple(rows)) for name, rows in found.items()]
        return self._groups

    def narrow(self, text: str) -> None:
        """Filter by another text.

        Raises:
            FilterError: it cannot be understood; the filter stays as it was.
        """
        self.filter = filters.parse(text)
        self._visible = self._groups = None
        self._memory.put("runs.filter", text)

    def sort(self, order: str, *, is_reversed: bool) -> None:
        """Sort by another column; empty for the newest first."""
        self.order, self.is_reversed = order, is_reversed
        self._visible = self._groups = None
        self._memory.put("runs.order", order)
        self._memory.put("runs.reversed", is_reversed)

    def group_by(self, grouping: str) -> None:
        """Let the runs with equal values of a column stand together; empty for none."""
        self.grouping = grouping
        self._groups = None
        self._memory.put("runs.grouping", grouping)


def _recalled(text: str) -> Filter:
    try:
        return filters.parse(text)
    except FilterError:
        return Filter("")


def _names(grouping: str, row: Row) -> tuple[str, ...]:
    if grouping == "tag":
        return row.tags or ("none",)
    return (str(columns[grouping].value(row)) or "none",) if grouping else ("",)


def _sortable(value: Value) -> float | str:
    return value.casefold() if isinstance(value, str) else value or 0.0

"""The runs as all screens see them: which there are, which pass the filter, in what order, which are marked."""

from collections.abc import Iterable

from pipeline.runs.rows import Row
from workbench import filters
from workbench.columns import Value, columns
from workbench.filters import Filter


class Shelf:
    """Rows with one filter, one order, one selection and one set of marks."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] | None = None
        """Every run by its id, newest first; None before the first look."""
        self.is_complete = False
        """No run is still being read for the first time."""
        self.marked: set[str] = set()
        """Ids of the runs that a person marked."""
        self.selected: str | None = None
        """Id of the run that the screens are about; None before there is one."""
        self.filter = Filter("")
        self.order = ""
        """Key of the column that is sorted by; empty for the newest first."""
        self.is_reversed = False
        self._visible: list[Row] | None = None

    def take(self, rows: Iterable[Row], *, is_complete: bool = True) -> None:
        """Put other rows on the shelf; marks of runs that are gone go, too."""
        self.rows = {row.id: row for row in rows}
        self.is_complete = is_complete
        self.marked &= self.rows.keys()
        if self.selected not in self.rows:
            running_first = sorted(self.rows.values(), key=lambda row: not row.is_running)
            self.selected = running_first[0].id if running_first else None
        self._visible = None

    def row(self, run_id: str | None) -> Row | None:
        """Give a run; None when there is none of that id."""
        return (self.rows or {}).get(run_id) if run_id is not None else None

    @property
    def current(self) -> Row | None:
        """The selected run."""
        return self.row(self.selected)

    @property
    def chosen(self) -> list[Row]:
        """The marked runs in the order of the table; without marks the selected one."""
        marked = [row for row in (self.rows or {}).values() if row.id in self.marked]
        current = self.current
        return marked or ([current] if current else [])

    @property
    def visible(self) -> list[Row]:
        """The runs that pass the filter, pinned ones first, in the chosen order."""
        if self._visible is None:
            found = [row for row in (self.rows or {}).values() if self.filter.matches(row)]
            if self.order:
                value = columns[self.order].value
                known = [row for row in found if value(row) is not None]
                known.sort(key=lambda row: _sortable(value(row)), reverse=self.is_reversed)
                found = known + [row for row in found if value(row) is None]
            elif self.is_reversed:
                found.reverse()
            found.sort(key=lambda row: not row.pinned)
            self._visible = found
        return self._visible

    def narrow(self, text: str) -> None:
        """Filter by another text.

        Raises:
            FilterError: it cannot be understood; the filter stays as it was.
        """
        self.filter = filters.parse(text)
        self._visible = None

    def sort(self, order: str, *, is_reversed: bool) -> None:
        """Sort by another column; empty for the newest first."""
        self.order, self.is_reversed = order, is_reversed
        self._visible = None


def _sortable(value: Value) -> float | str:
    return value.casefold() if isinstance(value, str) else value or 0.0

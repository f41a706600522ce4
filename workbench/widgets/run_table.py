"""The table of runs: one row each, only differing cells are written."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from workbench.widgets import palette, words

Cells = tuple[Text, ...]


class RunTable(DataTable[Text]):
    """Runs, newest first."""

    DEFAULT_CSS = """
    RunTable {
        height: 1fr; background: $background; scrollbar-size-vertical: 1; overflow-x: hidden;
        & > .datatable--header { background: $background; color: $text-muted; text-style: none; }
        & > .datatable--header-hover { background: $background; color: $text-muted; text-style: none; }
        & > .datatable--cursor { background: $panel; color: $foreground; text-style: none; }
        & > .datatable--hover { background: $background; }
        &:focus { background-tint: transparent; }
        &:focus > .datatable--cursor { background: $primary 35%; color: $foreground; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "select_cursor", "live", key_display="⏎", id="watch", tooltip="Watch this run"),
        Binding("j", "cursor_down", "down", id="down", show=False, tooltip="The run below"),
        Binding("k", "cursor_up", "up", id="up", show=False, tooltip="The run above"),
        Binding("g", "scroll_top", "newest", id="top", show=False, tooltip="The newest run"),
        Binding("G,shift+g", "scroll_bottom", "oldest", id="bottom", show=False, tooltip="The oldest run"),
    ]

    def __init__(self) -> None:
        super().__init__(cursor_type="row", zebra_stripes=False)
        self._shown: dict[str, Cells] = {}
        self._widths: tuple[int, ...] = ()

    def on_mount(self) -> None:
        """Draw again in the colours of another theme."""
        self.app.theme_changed_signal.subscribe(self, lambda _: self._forget())

    def _forget(self) -> None:
        self._widths = ()

    def show(self, views: list[Row], marked: set[str], selected: str | None) -> None:
        """Bring the rows up to date; the cursor stays on the selected run."""
        widths = column_widths(self.size.width or self.app.size.width)
        rows = {view.id: self._cells(view, view.id in marked, widths) for view in views}
        if widths != self._widths or list(rows) != list(self._shown):
            self._rebuild(rows, widths, selected)
        else:
            for run_id, cells in rows.items():
                for column, (new, old) in enumerate(zip(cells, self._shown[run_id], strict=True)):
                    if (new.plain, new.style) != (old.plain, old.style):
                        self.update_cell(run_id, str(column), new)
        self._shown = rows
        if selected in rows and (place := list(rows).index(selected)) != self.cursor_row:
            self.move_cursor(row=place, animate=False)

    def _rebuild(self, rows: dict[str, Cells], widths: tuple[int, ...], selected: str | None) -> None:
        with self.prevent(DataTable.RowHighlighted):
            self.clear(columns=True)
            self._widths = widths
            for column, (title, width) in enumerate(zip(titles, widths, strict=True)):
                right = column >= 3
                self.add_column(Text(title, justify="right" if right else "left"), width=width, key=str(column))
            for run_id, cells in rows.items():
                self.add_row(*cells, key=run_id)
            if selected in rows:
                self.move_cursor(row=list(rows).index(selected), animate=False)

    def _cells(self, view: Row, is_marked: bool, widths: tuple[int, ...]) -> Cells:
        color = words.status_color(view)
        is_dim = view.status in (Status.FAILED, Status.LOST, Status.STOPPED)
        return (
            Text(("* " if is_marked else "  ") + words.cut(view.name, widths[0] - 2), style="dim" if is_dim else ""),
            Text(words.letters(view)),
            Text(words.cut(words.status_words(view), widths[2]), style=palette.style(self.app, color)),
            Text(words.number(view.top1), justify="right"),
            Text(words.number(view.points, signed=True), justify="right"),
            Text(words.mib(view.size_bytes), justify="right"),
            Text(words.milliseconds(view.median_ms), justify="right"),
        )


titles = ("  run", "stages", "state", "top1 %", "+/- pt", "MiB", "ms")


def column_widths(width: int) -> tuple[int, ...]:
    """Share the width out: the run's name gets what the other columns leave."""
    stages, state, numbers = 6, (16 if width < 110 else 24), (6, 6, 6, 6)
    padding, scrollbar = 2 * len(titles), 1
    name = max(12, width - stages - state - sum(numbers) - padding - scrollbar)
    return (name, stages, state, *numbers)

"""5 Compare: what differs, and what did it do?"""

import math
from pathlib import Path
from typing import ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static

from pipeline import files
from pipeline.runs.rows import Row
from workbench import comparison
from workbench.comparison import Line, Side
from workbench.messages import Detail, Interest
from workbench.screens._base import WorkbenchScreen
from workbench.widgets import palette, words
from workbench.widgets.chart import Chart, Picture, Series
from workbench.widgets.ticks import linear_ticks, nice_limits

MOST = 8
"""Runs that are compared at most: more lines than that do not fit a chart."""
LETTERS = "ABCDEFGH"
COLORS = tuple(f"series-{1 + place % 6}" for place in range(MOST))
LEAST = 22
"""Cells of a run's column at least."""
WIDEST = 44
"""Cells of a run's column at most: numbers to compare stand near each other."""
nothing = """Two runs are needed to compare.

Mark them with space in Runs (1) or Frontier (4), then press 5."""


class CompareScreen(WorkbenchScreen):
    """Compare: what differs, and what did it do?"""

    DEFAULT_CSS = """
    CompareScreen {
        #caption, #names { height: 1; padding: 0 1; }
        #caption { color: $text-muted; }
        Chart { height: 8; }
        &.-wide Chart { height: 13; }
        #lines { height: 1fr; padding: 0 1; scrollbar-size-vertical: 1; }
        #table { height: auto; }
        #empty { display: none; height: 1fr; content-align: center middle; text-align: center; color: $text-muted; }
        &.-empty #empty { display: block; }
        &.-empty Chart, &.-empty #lines, &.-empty #names, &.-empty #caption { display: none; }
        &.-flat Chart { display: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "shift(-1)", "runs", id="earlier", key_display="←→", tooltip="The run to the left"),
        Binding("right", "shift(1)", "runs", id="later", show=False, tooltip="The run to the right"),
        Binding("up,k", "scroll(-1)", "scroll", id="up", key_display="↑↓", tooltip="The lines above"),
        Binding("down,j", "scroll(1)", "scroll", id="down", show=False, tooltip="The lines below"),
        Binding("space", "scroll(12)", "page", id="page", show=False, tooltip="The next lines"),
        Binding("g,home", "scroll(-99999)", "top", id="top", show=False, tooltip="The first lines"),
        Binding("G,shift+g,end", "scroll(99999)", "end", id="end", show=False, tooltip="The last lines"),
        Binding("a", "all", "all", id="all", tooltip="Show also what is equal in all runs, or differences alone"),
        Binding("r", "reference", "versus", id="reference", tooltip="Compare with the next of the runs"),
        Binding("v", "curves", "curves", id="curves", tooltip="Show the curves, or leave their room to the table"),
        Binding("w", "write", "write", id="write", tooltip="Write the table as .csv or .txt"),
        Binding("e", "app.export", "export", id="export", show=False, tooltip="Export the marked runs, or this one"),
    ]

    def compose_body(self) -> ComposeResult:
        """Build the curves and the table."""
        yield Static(id="caption")
        yield Chart(marker=self.workbench.settings.marker)
        yield Static(id="names")
        with VerticalScroll(id="lines", can_focus=False):
            yield Static(id="table")
        yield Static(nothing, id="empty", markup=False)

    def on_mount(self) -> None:
        """Begin with the differences against the first run."""
        self._is_all = self.workbench.memory.get("compare.all", False)
        self.set_class(not self.workbench.memory.get("compare.curves", True), "-flat")
        self._reference: str | None = None
        self._first = 0
        self._written: dict[str, object] = {}

    def on_resize(self) -> None:
        """Share the width out again."""
        self.call_after_refresh(self._show_if_seen)

    # What is compared

    def runs(self) -> list[Row]:
        """List the runs side by side: the marked ones, else the selected one and the newest that is like it."""
        marked = [row for row in self.shelf.chosen if row.id in self.shelf.marked]
        if len(marked) > 1:
            return marked[:MOST]
        current = marked[0] if marked else self.shelf.current
        if current is None:
            return []
        others = [row for row in self.shelf.visible if row.id != current.id and row.data == current.data]
        others.sort(key=lambda row: (row.backbone != current.backbone, not row.is_finished))
        return [current, *others[:1]]

    def offers(self, binding: Binding) -> bool:
        """Without two runs offer where to mark them."""
        if self.has_class("-empty"):
            return binding.id == ("runs" if self.shelf.rows else "compose")
        return super().offers(binding)

    def interest(self) -> Interest:
        """Ask for recipes, stages and curves of the runs."""
        runs = self.runs()
        return Interest(ids=tuple(row.id for row in runs), has_curves=True) if len(runs) > 1 else Interest()

    def _sides(self, runs: list[Row]) -> list[Side]:
        details = self.workbench.details
        known = [details.get(row.id) for row in runs]
        return [
            Side(row=row, recipe=detail.recipe, state=detail.state) if detail else Side(row=row)
            for row, detail in zip(runs, known, strict=True)
        ]

    def show_detail(self, detail: Detail) -> None:
        """Draw what became known of one of the runs."""
        self.show_shelf()

    def show_shelf(self) -> None:
        """Draw the table and the curves."""
        runs = self.runs()
        self.set_class(len(runs) < 2, "-empty")
        if len(runs) < 2:
            return
        ids = [row.id for row in runs]
        reference = ids.index(self._reference) if self._reference in ids else 0
        sides = self._sides(runs)
        found = comparison.compare(sides, reference)
        lines = found if self._is_all else [line for line in found if not line.is_equal]
        name_width = min(max((len(line.name) for line in lines), default=8) + 2, 34 if self.has_class("-wide") else 22)
        room = max(1, (self.size.width - 3 - name_width) // LEAST)
        self._first = max(0, min(self._first, len(runs) - room))
        seen = range(self._first, min(len(runs), self._first + room))
        width = min(WIDEST, (self.size.width - 3 - name_width) // max(1, len(seen)))
        self.query_one(Chart).show(self._picture(runs))
        self._write("#caption", self._caption(runs, seen, len(found) - len(lines)))
        self._write("#names", self._names(runs, seen, reference, name_width, width))
        self._write("#table", self._table(lines, seen, name_width, width))

    def _write(self, where: str, text: Text) -> None:
        plain = (text.plain, text.spans)
        if self._written.get(where) != plain:
            self._written[where] = plain
            self.query_one(where, Static).update(text)

    def _caption(self, runs: list[Row], seen: range, hidden: int) -> Text:
        if len(self.shelf.marked) > 1:
            what = f"{len(runs)} marked runs" + (f" of {len(self.shelf.marked)}" * (len(self.shelf.marked) > len(runs)))
        else:
            what = "the selected run and one on the same data; space marks others"
        parts = [what]
        if len(seen) < len(runs):
            parts.append(f"columns {LETTERS[seen[0]]} to {LETTERS[seen[-1]]} of {len(runs)}")
        parts.append(f"{hidden} equal lines hidden (a)" if hidden else "all lines")
        if len({row.data for row in runs}) > 1:
            parts.append("! on different data: accuracies do not compare")
        return Text("   ".join(parts), no_wrap=True, overflow="ellipsis")

    def _names(self, runs: list[Row], seen: range, reference: int, name_width: int, width: int) -> Text:
        text = Text("top1 % above".ljust(name_width) if not self.has_class("-flat") else " " * name_width, no_wrap=True)
        text.stylize("dim")
        for place in seen:
            mark = " = reference" if place == reference else ""
            name = words.cut(runs[place].name, width - 4 - len(mark)) + mark
            text.append(f"{LETTERS[place]} ", style=palette.style(self.app, COLORS[place], bold=True))
            text.append(name.ljust(width - 2)[: width - 2], style="bold")
        return text

    def _table(self, lines: list[Line], seen: range, name_width: int, width: int) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        section = ""
        for line in lines:
            if line.section != section:
                section = line.section
                text.append(f"{heads.get(section, section)}\n", style=palette.style(self.app, "primary"))
            cells = line.values
            if line.changes:
                pairs = zip(line.values, line.changes, strict=True)
                cells = tuple(f"{value:>8} {f'({change})' if change else ''}" for value, change in pairs)
            text.append(words.cut(line.name, name_width - 1).ljust(name_width), style="dim")
            text.append("".join(words.cut(cells[place], width - 1).ljust(width) for place in seen).rstrip() + "\n")
        return text if lines else Text("No difference in anything that is known.")

    def _picture(self, runs: list[Row]) -> Picture:
        series: list[Series] = []
        ends: list[Series] = []
        for place, row in enumerate(runs):
            detail = self.workbench.details.get(row.id)
            xs, ys = detail.curves.series.get("top1", ((), ())) if detail and detail.curves else ((), ())
            shown = [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(y)]
            if shown:
                series.append(Series(xs=xs, ys=ys, color=COLORS[place]))
                last = shown[-1]
                ends.append(Series(xs=last[:1], ys=last[1:], color=COLORS[place], marker=LETTERS[place], is_line=False))
        if not series:
            return Picture(empty="No run was trained here: every stage was reused, or nothing is known yet.")
        values = [y for one in series for y in one.ys if math.isfinite(y)]
        # The rise from nothing would press the rest flat, and what differs is at the top.
        ordered = sorted(values)
        y_limits = nice_limits([ordered[len(ordered) // 10], ordered[-1]], least=1.0)
        series = [_above(one, y_limits[0]) for one in series]
        x_limits = (0.0, max(x for one in series for x in one.xs) * 1.02)
        return Picture(
            series=(*series, *ends), x_limits=x_limits, y_limits=y_limits, y_ticks=linear_ticks(*y_limits, most=4),
            x_ticks=linear_ticks(*x_limits, most=6),
        )  # fmt: skip

    # What keys do

    def action_shift(self, by: int) -> None:
        """Show the next run to the left or right."""
        self._first = max(0, self._first + by)
        self._show_if_seen()

    def action_scroll(self, by: int) -> None:
        """Scroll the lines."""
        self.query_one("#lines", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_all(self) -> None:
        """Show everything, or the differences alone."""
        self._is_all = not self._is_all
        self.workbench.memory.put("compare.all", self._is_all)
        self._show_if_seen()

    def action_reference(self) -> None:
        """Compare with the next run."""
        ids = [row.id for row in self.runs()]
        if ids:
            here = ids.index(self._reference) if self._reference in ids else 0
            self._reference = ids[(here + 1) % len(ids)]
            self._show_if_seen()

    def action_curves(self) -> None:
        """Show the curves, or leave their room to the table."""
        self.toggle_class("-flat")
        self.workbench.memory.put("compare.curves", not self.has_class("-flat"))
        self._show_if_seen()

    def action_write(self) -> None:
        """Ask for a file and write the table that is shown, with all runs."""
        from workbench.modals.ask import AskModal

        runs = self.runs()
        if len(runs) < 2:
            return

        def remark(text: str) -> tuple[bool, str]:
            path = Path(text.strip()).expanduser()
            if path.suffix.lower() not in (".csv", ".txt"):
                return False, f"{path.name!r} ends in neither .csv nor .txt."
            if path.exists():
                return False, f"{str(path)!r} is there already; name another file."
            if not path.parent.is_dir():
                return False, f"there is no folder {str(path.parent)!r}."
            return True, f"The {'whole table' if self._is_all else 'differences'} of {len(runs)} runs."

        self.app.push_screen(AskModal("write the table as", "compare.csv", remark=remark), self._write_table)

    def _write_table(self, name: str | None) -> None:
        if name is None:
            return
        runs = self.runs()
        ids = [row.id for row in runs]
        sides = self._sides(runs)
        lines = comparison.compare(sides, ids.index(self._reference) if self._reference in ids else 0)
        lines = [line for line in lines if self._is_all or not line.is_equal]
        path = Path(name).expanduser()
        with self.workbench.telling_errors("Not written: "):
            is_csv = path.suffix.lower() == ".csv"
            made = comparison.as_csv(sides, lines) if is_csv else comparison.as_text(sides, lines).encode()
            files.write_bytes(path, made)
            self.workbench.say(f"Written: {path.resolve()}")


heads = {
    "numbers": "numbers, and the change against the reference",
    "recipe": "recipe",
    "stages": "stages, validation split",
    "layers": "layers: zeros, type, coded bits a weight",
}
"""What stands above the parts of the table."""


def _above(series: Series, low: float) -> Series:
    """Leave out what lies below the picture; at its edge it would look like a level."""
    return replace(series, ys=tuple(y if y >= low else math.nan for y in series.ys))

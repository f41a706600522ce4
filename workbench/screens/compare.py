"""5 Compare: what differs, and what did it do?"""

import math
from collections.abc import Sequence
from typing import ClassVar

from msgspec.structs import replace
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.geometry import Size
from textual.widgets import Static

from pipeline.runs.rows import Row
from workbench import comparison
from workbench.comparison import Line, Side
from workbench.messages import Detail, Interest
from workbench.screens._base import WorkbenchScreen
from workbench.widgets import curves, palette, words
from workbench.widgets.axis import Shown, Window
from workbench.widgets.chart import Chart, Picture
from workbench.widgets.curves import Metric, View
from workbench.widgets.ticks import nice_limits

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
        Binding("right_square_bracket", "curve(1)", "next curve", id="curve", show=False, key_display="]",
                tooltip="Draw the next of the recorded numbers"),
        Binding("left_square_bracket", "curve(-1)", "previous curve", id="curve-back", show=False, key_display="[",
                tooltip="Draw the one before"),
        Binding("w", "write", "write", id="write", tooltip="Write the table as .csv or .txt"),
        Binding("e", "app.export", "export", id="export", show=False, tooltip="Export the marked runs, or this one"),
    ]  # fmt: skip

    def compose_body(self) -> ComposeResult:
        """Build the curves and the table."""
        yield Static(id="caption")
        yield Chart(marker=self.workbench.marker)
        yield Static(id="names")
        with VerticalScroll(id="lines", can_focus=False):
            yield Static(id="table")
        yield Static(nothing, id="empty", markup=False)

    def on_mount(self) -> None:
        """Begin with the differences against the first run."""
        self._is_all = self.workbench.memory.get("compare.all", False)
        self._metric: str = self.workbench.memory.get("compare.curve", "top1")
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
            return marked[: palette.SERIES]
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

    def show_details(self, details: Sequence[Detail]) -> None:
        """Draw what became known of the runs."""
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
        shown = self._shown(runs)
        metric = self._drawn(shown)
        chart = self.query_one(Chart)
        chart.show(_picture(metric, shown, chart.size))
        self._write("#caption", self._caption(runs, seen, len(found) - len(lines)))
        title = "" if self.has_class("-flat") else f"[ ] {metric.short or metric.title}"
        self._write(
            "#names", self._names(runs, seen, reference, words.cut(title, name_width - 1).ljust(name_width), width)
        )
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
            parts.append(f"columns {seen[0] + 1} to {seen[-1] + 1} of {len(runs)}")
        parts.append(f"{hidden} equal lines hidden (a)" if hidden else "all lines")
        if len({row.data for row in runs}) > 1:
            parts.append("! on different data: accuracies do not compare")
        return Text("   ".join(parts), no_wrap=True, overflow="ellipsis")

    def _names(self, runs: list[Row], seen: range, reference: int, title: str, width: int) -> Text:
        text = Text(title, no_wrap=True)
        text.stylize("dim")
        known_by = self.workbench.identities.give([row.id for row in runs])
        for place in seen:
            letter, color = known_by[runs[place].id]
            mark = " = reference" if place == reference else ""
            name = words.cut(runs[place].name, width - 4 - len(mark)) + mark
            text.append(f"{letter} ", style=palette.style(self.app, color, bold=True))
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

    def _shown(self, runs: list[Row]) -> list[Shown]:
        """Gather the curves that are known."""
        known_by = self.workbench.identities.give([row.id for row in runs])
        found = ((self.workbench.details.get(row.id), known_by[row.id]) for row in runs)
        return [Shown(detail=detail, letter=letter, color=color) for detail, (letter, color) in found if detail]

    def _drawn(self, shown: Sequence[Shown]) -> Metric:
        """Tell what is drawn: what was chosen last, where the runs recorded it."""
        offered = curves.offered(shown)
        return next((metric for metric in offered if metric.key == self._metric), offered[0])

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

    def action_curve(self, by: int) -> None:
        """Draw another of the recorded numbers."""
        shown = self._shown(self.runs())
        keys = [metric.key for metric in curves.offered(shown)]
        self._metric = keys[(keys.index(self._drawn(shown).key) + by) % len(keys)]
        self.workbench.memory.put("compare.curve", self._metric)
        self._show_if_seen()

    def action_write(self) -> None:
        """Ask for a file and write the table that is shown, with all runs."""
        runs = self.runs()
        if len(runs) < 2:
            return
        ids = [row.id for row in runs]
        sides = self._sides(runs)
        lines = comparison.compare(sides, ids.index(self._reference) if self._reference in ids else 0)
        lines = [line for line in lines if self._is_all or not line.is_equal]
        about = f"The {'whole table' if self._is_all else 'differences'} of {len(runs)} runs, as .csv or .txt."
        self.workbench.ask_to_write(
            "write the table as", "compare.csv", comparison.formats,
            lambda ending: comparison.formats[ending](sides, lines), about,
        )  # fmt: skip


heads = {
    "numbers": "numbers, and the change against the reference",
    "recipe": "recipe",
    "stages": "stages, validation split",
    "layers": "layers: zeros, type, coded bits a weight",
}
"""What stands above the parts of the table."""


def _picture(metric: Metric, shown: Sequence[Shown], size: Size) -> Picture:
    """Draw one of the numbers of all runs over the epochs of their recipes."""
    epochs = max((xs[-1] for run in shown for xs, _ in run.curves.series.values() if xs), default=0.0)
    if not epochs:
        return Picture(empty="No run was trained here: every stage was reused, or nothing is known yet.")
    window = Window(x=(0.0, 1.02 * epochs))
    view = View(log_y=metric.log, clips=metric.clips, y=_top(shown) if metric.key == "top1" else None)
    made = curves.picture(metric, shown, view, window, (size.width, size.height))
    # Borders of stages that other runs have elsewhere would be wrong for them.
    same = len({run.curves.borders for run in shown}) == 1
    return made if same else replace(made, verticals=())


def _top(shown: Sequence[Shown]) -> tuple[float, float]:
    """Limit an accuracy to where runs differ: their rise from nothing would press that flat."""
    found = sorted(y for run in shown for y in run.curves.series.get("top1", ((), ()))[1] if math.isfinite(y))
    return nice_limits([found[len(found) // 10], found[-1]], least=1.0) if found else (0.0, 100.0)

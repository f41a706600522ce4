"""4 Frontier: which one do I take?"""

from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from workbench.messages import RunView
from workbench.modals.export import ExportModal
from workbench.screens._base import WorkbenchScreen
from workbench.widgets import details, words
from workbench.widgets import scatter as drawing
from workbench.widgets.chart import Chart

Shown = tuple[str | None, str]
"""Backbone (None for all of them) and dataset of the runs that are shown."""


class FrontierScreen(WorkbenchScreen):
    """Frontier: which one do I take?"""

    DEFAULT_CSS = """
    FrontierScreen {
        #caption { height: 1; padding: 0 1; color: $text-muted; }
        #plot { width: 1fr; }
        #side { width: 38; border-left: solid $panel; padding: 0 1; }
        &.-wide #side { width: 50; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "left", "step(-1)", "step", id="previous", key_display="←→", tooltip="The next run to the left or right"
        ),
        Binding("right", "step(1)", "right", id="next", show=False, tooltip="The next run to the right"),
        Binding(
            "down", "front(-1)", "front", id="front-back", show=False, tooltip="The next run of the front to the left"
        ),
        Binding(
            "up", "front(1)", "front", id="front", key_display="↑↓", tooltip="The next run of the front to the right"
        ),
        Binding(
            "tab",
            "overlap",
            "cell",
            show=False,
            id="overlap",
            priority=True,
            tooltip="The next run that shares this cell",
        ),
        Binding("x", "axis", "axis", id="axis", tooltip="Put size or latency on the x axis"),
        Binding(
            "f",
            "group",
            "group",
            id="group",
            tooltip="All backbones of a dataset, or one of them; then the next dataset",
        ),
        Binding("space", "mark", "mark", id="mark", tooltip="Mark for export, or take the mark away"),
        Binding("e", "export", "export", id="export", tooltip="Export the marked runs, or this one"),
        Binding("enter", "live", "live", id="watch", show=False, tooltip="The curves of this run"),
    ]

    axis: reactive[str] = reactive("size", init=False)
    """What stands on the x axis."""
    group: reactive[Shown | None] = reactive(None, init=False)
    """Which runs are shown; None until something has finished."""

    def compose_body(self) -> ComposeResult:
        """Build the plot and the pane beside it."""
        yield Static(id="caption")
        with Horizontal():
            with Vertical(id="plot"):
                yield Chart(marker=self.workbench.settings.marker)
            yield Static(id="side")

    def on_mount(self) -> None:
        """Begin with nothing drawn."""
        super().on_mount()
        self._scene = drawing.scatter([], "size")
        self._side: object = None

    def on_resize(self) -> None:
        """Place the labels again."""
        self.call_after_refresh(self.show_views)

    def _finished(self) -> list[RunView]:
        return [view for view in (self.workbench.views or {}).values() if view.is_finished]

    def _groups(self) -> list[Shown]:
        """List what can be shown: each dataset with all its backbones, then with each of several."""
        found: list[Shown] = []
        pairs = sorted({view.group for view in self._finished()})
        for dataset in sorted({dataset for _, dataset in pairs}):
            backbones = [backbone for backbone, other in pairs if other == dataset]
            found.append((None, dataset))
            found += [(backbone, dataset) for backbone in backbones if len(backbones) > 1]
        return found

    def _in_group(self) -> list[RunView]:
        if self.group is None:
            return []
        backbone, dataset = self.group
        return [view for view in self._finished() if view.group[1] == dataset and backbone in (None, view.group[0])]

    def show_views(self) -> None:
        """Draw the finished runs of the group."""
        groups = self._groups()
        if self.group not in groups:
            selected = self.workbench.view(self.workbench.selected)
            newest = next(iter(self._finished()), None)
            mine = selected if selected is not None and selected.is_finished else newest
            self.set_reactive(FrontierScreen.group, (None, mine.group[1]) if mine else None)
        self._scene = drawing.scatter(self._in_group(), self.axis)
        self._draw(groups)

    @property
    def current(self) -> drawing.Point | None:
        """The selected point; None when the selected run has none here."""
        return next((p for p in self._scene.points if p.view.id == self.workbench.selected), None)

    def _draw(self, groups: list[Shown]) -> None:
        chart = self.query_one(Chart)
        width, height = chart.size
        chart.show(drawing.picture(self._scene, self.workbench.selected, self.workbench.marked, width, height))
        self.query_one("#caption", Static).update(self._caption(groups))
        side = self._details()
        plain = [(text.plain, text.spans) for text in side]
        if plain != self._side:
            self._side = plain
            self.query_one("#side", Static).update(Group(*side))

    def _caption(self, groups: list[Shown]) -> Content:
        if self.group is None:
            return Content("top1 % over size")
        others = len(groups) - 1
        count = f"{len(self._scene.points)} of {len(self._in_group())}"
        backbones = sorted({view.group[0] for view in self._in_group()})
        names = backbones[0] if len(backbones) == 1 else f"{len(backbones)} backbones"
        where = f"{names} on {self.group[1]}" + (f" (f: {others} more)" if others else "")
        return Content(f"top1 % over {drawing.titles[self.axis]}    {count} finished, {where}")

    def _details(self) -> list[Text]:
        legend = Text("\n◆ front  ◉ selected  x baseline\n", style="dim")
        third = "latency" if self.axis == "size" else "size"
        legend.append(f". o O dominated, by {third}\n* marked")
        point = self.current
        if point is None:
            hint = "Arrows choose a run." if self._scene.points else "Nothing to choose yet."
            return [Text(hint, style="dim"), legend]
        view, state = point.view, point.view.state
        width = max(10, self.query_one("#side").size.width - 1)
        lines = [Text(words.cut(("* " if view.id in self.workbench.marked else "") + view.name, width), style="bold")]
        together = self._sharing(point)
        if len(together) > 1:
            place = [p.view.id for p in together].index(view.id) + 1
            lines.append(Text(f"{place} of {len(together)} in this cell (tab)"))
        seed = f", seed {view.recipe.seed}" if view.recipe else ""
        stages = words.letters(view) or "baseline only"
        lines += [Text(f"{view.group[0]}, {stages}{seed}", style="dim"), Text("")]
        lines += [details.comparison(state, short=True), Text("")]
        if state.deployed.accuracy is not None:
            low, high = state.deployed.accuracy.interval
            lines.append(Text(f"top1 95 % {low:.1f} .. {high:.1f}"))
        fastest = state.deployed.fastest
        if fastest is not None:
            noisy = ", contended" if fastest.contended else ""
            lines.append(Text(f"p90 {words.milliseconds(fastest.p90_ms)} ms, {fastest.runtime}{noisy}"))
        here = "yes" if view.id in self._scene.front else "no"
        deep = "yes" if view.id in self._scene.front_of_three else "no"
        lines += [Text(f"on the front here: {here}"), Text(f"of all three numbers: {deep}")]
        return [*lines, legend]

    def _sharing(self, point: drawing.Point) -> list[drawing.Point]:
        chart = self.query_one(Chart)
        cell = chart.cell_of(point.x(self.axis), point.top1)
        if cell is None:
            return [point]
        return [other for other in self._scene.points if chart.cell_of(other.x(self.axis), other.top1) == cell]

    def watch_axis(self) -> None:
        """Draw over the other quantity."""
        self.show_views()

    def watch_group(self) -> None:
        """Draw the other runs."""
        self.show_views()

    def action_axis(self) -> None:
        """Put the other quantity on the x axis."""
        self.axis = "latency" if self.axis == "size" else "size"

    def action_group(self) -> None:
        """Show the next backbone, or all of the next dataset."""
        groups = self._groups()
        if len(groups) > 1 and self.group is not None:
            self.group = groups[(groups.index(self.group) + 1) % len(groups)]

    def _go(self, points: list[drawing.Point], by: int) -> None:
        """Select the next of some points, counted from the selected one."""
        if not points:
            return
        ids = [point.view.id for point in points]
        current = self.current
        if current is None:
            place = 0 if by > 0 else len(points) - 1
        elif current.view.id in ids:
            place = min(len(ids) - 1, max(0, ids.index(current.view.id) + by))
        else:
            order = [p.view.id for p in self._scene.points]
            here = order.index(current.view.id)
            left = [i for i, run_id in enumerate(ids) if order.index(run_id) < here]
            place = min(len(ids) - 1, len(left)) if by > 0 else max(0, len(left) - 1)
        self.workbench.selected = ids[place]

    def action_step(self, by: int) -> None:
        """Select the next run to the left or right."""
        self._go(list(self._scene.points), by)

    def action_front(self, by: int) -> None:
        """Select the next run of the front."""
        self._go([point for point in self._scene.points if point.view.id in self._scene.front], by)

    def action_overlap(self) -> None:
        """Select the next run that shares the cell."""
        point = self.current
        if point is not None:
            together = [other.view.id for other in self._sharing(point)]
            self.workbench.selected = together[(together.index(point.view.id) + 1) % len(together)]

    def action_mark(self) -> None:
        """Mark the selected run."""
        if self.current is not None:
            self.workbench.toggle_mark(self.current.view.id)

    def action_export(self) -> None:
        """Export the marked runs, or the selected one."""
        ExportModal.open(self.workbench)

    def action_live(self) -> None:
        """Show the curves of the selected run."""
        self.app.switch_mode("live")

"""4 Frontier: which one do I take?"""

from functools import partial
from typing import ClassVar

from rich.console import Group
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Static

from pipeline.runs.rows import Row
from workbench.screens._base import WorkbenchScreen
from workbench.settings import Marker
from workbench.widgets import raster, scatter, standing
from workbench.widgets.filter_line import FilterInput, FilterLine
from workbench.widgets.raster import Look
from workbench.widgets.scatter import Axis, Point, Rate
from workbench.widgets.scatter_chart import ScatterChart

Shown = tuple[str | None, str]
"""Backbone (None for all of them) and data of the runs that are shown."""

logs = ((True, False), (True, True), (False, True), (False, False))
"""Which of the axes x and y are logarithmic, in the order in which a key goes through them."""


class FrontierScreen(WorkbenchScreen):
    """Frontier: which one do I take?"""

    AUTO_FOCUS = ""  # the only field is that of the filter
    DEFAULT_CSS = """
    FrontierScreen {
        #caption, #remark { height: 1; padding: 0 1; color: $text-muted; }
        #side { width: 41; height: 100%; border-left: solid $panel; padding: 0 1; }
        &.-wide #side { width: 57; }
        FilterLine { display: none; }
        &.-bare #side { display: none; }
        &.-filtering FilterLine { display: block; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "go", id="previous", key_display="←→", tooltip="The next run to the left"),
        Binding("right", "step(1)", "right", id="next", show=False, tooltip="The next run to the right"),
        Binding("up", "front(1)", "front", id="front", show=False, tooltip="The next run of the front to the right"),
        Binding("down", "front(-1)", "front", id="front-back", show=False, tooltip="The next of the front to the left"),
        Binding("home", "end(0)", "first", id="first", show=False, tooltip="The leftmost run"),
        Binding("end", "end(-1)", "last", id="last", show=False, tooltip="The rightmost run"),
        Binding("H,shift+h", "near(-1,0)", "near", id="near-left", show=False, tooltip="The nearest run to the left"),
        Binding("J,shift+j", "near(0,-1)", "near", id="near-below", show=False, tooltip="The nearest run below"),
        Binding("K,shift+k", "near(0,1)", "near", id="near-above", show=False, tooltip="The nearest run above"),
        Binding("L,shift+l", "near(1,0)", "near", id="near-right", show=False, tooltip="The nearest run to the right"),
        Binding("tab", "overlap", "cell", id="overlap", show=False, priority=True,
                tooltip="The next run that shares this cell"),
        Binding("x", "axis('x')", "axes", id="axis-x", tooltip="Choose what stands on the x axis"),
        Binding("y", "axis('y')", "y axis", id="axis-y", show=False, tooltip="Choose what stands on the y axis"),
        Binding("z", "axis('z')", "marks", id="axis-z", show=False, tooltip="Choose what the size of the marks shows"),
        Binding("l", "log", "log", id="log", show=False, tooltip="Logarithmic x, both, y, neither"),
        Binding("b", "bars", "bars", id="bars", show=False, tooltip="Intervals: 95 % of top1, p90 of the latency"),
        Binding("i", "iso", "worth", id="iso", show=False, tooltip="Line of equal worth through the selected run"),
        Binding("v", "pane", "pane", id="pane", show=False, tooltip="Hide the pane, or show it"),
        Binding("f", "group", "data", id="other-data", show=False, tooltip="Other data, or one backbone of several"),
        Binding("slash", "filter", "filter", id="filter", key_display="/", tooltip="Show the runs that pass a filter"),
        Binding("space", "app.mark", "mark", id="mark", tooltip="Mark for compare and export, or take the mark away"),
        Binding("c", "app.switch_mode('compare')", "compare", id="compare", tooltip="Set the marked runs side by side"),
        Binding("e", "app.export", "export", id="export", tooltip="Export the marked runs, or this one"),
        Binding("w", "write", "figure", id="figure", show=False, tooltip="Write a .svg .png .txt .csv or .json"),
        Binding("enter", "app.switch_mode('live')", "live", id="watch", show=False, tooltip="The curves of this run"),
    ]  # fmt: skip

    def compose_body(self) -> ComposeResult:
        """Build the plot and the pane beside it."""
        yield Static(id="caption")
        with Horizontal():
            yield ScatterChart(marker=self.workbench.marker)
            yield Static(id="side")
        yield Static(id="remark")
        yield FilterLine()

    def on_mount(self) -> None:
        """Take up the axes of last time."""
        memory = self.workbench.memory
        self._axes = {
            name: scatter.axis(self._known(memory.get(f"frontier.{name}", default), default))
            for name, default in (("x", "size"), ("y", "top1"), ("z", "latency"))
        }
        for name in "xy":
            axis = self._axes[name]
            self._axes[name] = Axis(axis.key, memory.get(f"frontier.{name}_log", axis.is_log))
        self._has_bars = memory.get("frontier.bars", True)
        self.set_class(not memory.get("frontier.pane", True), "-bare")
        self._worth = memory.get("frontier.worth", 2.0)
        self._is_iso = False
        self._group: Shown | None = None
        self._wished: list[str] = memory.get("frontier.group", [])
        """The group that a person chose, with an empty text for None; shown whenever it has runs."""
        self._scene = scatter.scene([], **self._axes)
        self._made_of: object = None
        self._hovered: Point | None = None
        self._written: dict[str, object] = {}

    @staticmethod
    def _known(key: str, default: str) -> str:
        return key if any(column.key == key for column in scatter.numeric()) else default

    def on_resize(self) -> None:
        """Write the pane again for another width."""
        self.call_after_refresh(self._show_if_seen)

    def use_marker(self, marker: Marker) -> None:
        """Draw the marks and their legend with others."""
        super().use_marker(marker)
        self._show_if_seen()

    def offers(self, binding: Binding) -> bool:
        """Without a run in sight offer how to get one."""
        if self._scene.points:
            return super().offers(binding)
        is_any = any(row.is_finished for row in (self.shelf.rows or {}).values())
        return binding.id in ({"filter"} if is_any else {"compose", "live"})

    # What is shown

    def _finished(self) -> list[Row]:
        return [row for row in self.shelf.visible if row.is_finished]

    def _groups(self) -> list[Shown]:
        """List what can be shown: all backbones of each data, then each of several."""
        found: list[Shown] = []
        pairs = sorted({row.group for row in self._finished()})
        for data in sorted({data for _, data in pairs}):
            backbones = [backbone for backbone, other in pairs if other == data]
            found.append((None, data))
            found += [(backbone, data) for backbone in backbones if len(backbones) > 1]
        return found

    def show_shelf(self) -> None:
        """Draw the finished runs of the group that pass the filter."""
        groups = self._groups()
        wished = [group for group in groups if [group[0] or "", group[1]] == self._wished]
        if wished:
            self._group = wished[0]
        elif self._group not in groups:
            current = self.shelf.current
            mine = current if current is not None and current.is_finished else next(iter(self._finished()), None)
            same = (None, mine.data) if mine else None
            self._group = same if same in groups else next(iter(groups), None)
        backbone, data = self._group or (None, "")
        rows = [row for row in self._finished() if row.data == data and backbone in (None, row.backbone)]
        made_of = ([*map(id, rows)], dict(self._axes))
        if made_of != self._made_of:
            self._made_of = made_of
            self._rows = rows
            self._scene = scatter.scene(rows, **self._axes)
        self._draw(groups)

    @property
    def current(self) -> Point | None:
        """The selected point; None when the selected run has none here."""
        return self._scene.point(self.shelf.selected)

    def _draw(self, groups: list[Shown]) -> None:
        chart = self.query_one(ScatterChart)
        is_any = any(row.is_finished for row in (self.shelf.rows or {}).values())
        chart.show_scene(self._scene, self._look(), empty=standing.HIDDEN if is_any else standing.NOTHING)
        self.query_one(FilterLine).show(self.shelf, 0)
        self._write("#caption", self._caption(groups))
        self._write("#side", *self._pane())
        self._write("#remark", self._remark())

    def _look(self) -> Look:
        return Look(
            selected=self.shelf.selected, marked=frozenset(self.shelf.marked), has_bars=self._has_bars,
            rate=Rate(self._worth) if self._is_iso and self._scene.has_front else None,
            marker=self.workbench.marker,
        )  # fmt: skip

    def _write(self, where: str, *lines: Text) -> None:
        plain = [(line.plain, line.style, line.spans) for line in lines]
        if self._written.get(where) != plain:
            self._written[where] = plain
            self.query_one(where, Static).update(Group(*lines))

    def _caption(self, groups: list[Shown]) -> Text:
        rows = self._rows if self._group is not None else []
        return standing.caption(self._scene, rows, len(groups) - 1, self.size.width - 2)

    def _remark(self) -> Text:
        if self._hovered is not None:
            return standing.name(self._scene, self._hovered.row)
        current = self.current
        parts = [standing.doubts(self._scene)]
        if self._is_iso and current is not None and self._scene.has_front:
            parts.insert(0, Rate(self._worth).words(self._scene, current))
        if self._scene.left_out:
            parts.append(f"{self._scene.left_out} without a number for an axis")
        if self.shelf.filter.text:
            parts.append(f"filter: {self.shelf.filter.text}")
        return Text("   ".join(filter(None, parts)), no_wrap=True, overflow="ellipsis")

    def _pane(self) -> list[Text]:
        if not self._scene.points:
            return []
        side = self.query_one("#side", Static)
        width, height = (side.content_size.width or 38), side.content_size.height
        legend = [Text(line, style="dim") for line in raster.legend(self._scene, self.workbench.marker)]
        point = self.current
        if point is None:
            return [Text("Arrows choose a run.", style="dim"), Text(""), *legend]
        together = [other.row.id for other in self.query_one(ScatterChart).together(point)]
        lines = standing.head(
            point.row, width, is_marked=point.row.id in self.shelf.marked,
            place=together.index(point.row.id) + 1 if point.row.id in together else 1, together=len(together),
        )  # fmt: skip
        lines += [Text(""), *standing.numbers(self._scene, point.row), *standing.conditions(point.row), Text("")]
        lines += standing.place(self._scene, point, width)
        room = height - len(lines) - 1 - len(legend) - 1
        if self._scene.front and room >= 4:
            lines += [Text(""), *standing.front(self._scene, point.row.id, width, room)]
        if height > len(lines) + len(legend):
            lines += [Text(""), *legend]
        return lines

    # What keys and mouse do

    def _take(self, point: Point | None) -> None:
        if point is not None:
            self.workbench.select(point.row.id)

    def action_step(self, by: int) -> None:
        """Select the next run to the left or right."""
        self._go([*self._scene.points], by)

    def action_end(self, place: int) -> None:
        """Select the first or the last run."""
        self._take(self._scene.points[place] if self._scene.points else None)

    def action_front(self, by: int) -> None:
        """Select the next run of the front."""
        self._go(self._scene.front_points(), by)

    def _go(self, points: list[Point], by: int) -> None:
        """Select the next of some points, counted from the selected one."""
        if not points:
            return
        current = self.current
        if current is None:
            self._take(points[0 if by > 0 else -1])
            return
        order = {point.row.id: place for place, point in enumerate(self._scene.points)}
        here = order[current.row.id]
        ahead = [point for point in points if (order[point.row.id] - here) * by > 0]
        if ahead:
            self._take(ahead[0 if by > 0 else -1])
        elif current not in points:
            self._take(points[-1 if by > 0 else 0])

    def action_near(self, right: int, up: int) -> None:
        """Select the nearest run in a direction."""
        current = self.current
        if current is None:
            self.action_step(1)
        else:
            self._take(scatter.nearest(self._scene, current, right, up))

    def action_overlap(self) -> None:
        """Select the next run that shares the cell."""
        point = self.current
        if point is not None:
            together = self.query_one(ScatterChart).together(point)
            ids = [other.row.id for other in together]
            if point.row.id in ids:
                self._take(together[(ids.index(point.row.id) + 1) % len(ids)])

    @on(ScatterChart.Picked)
    def pick(self, message: ScatterChart.Picked) -> None:
        """Select the run that was clicked."""
        self.workbench.select(message.run_id)

    @on(ScatterChart.Hovered)
    def hover(self, message: ScatterChart.Hovered) -> None:
        """Name the run that the mouse is on."""
        self._hovered = message.point
        self._write("#remark", self._remark())

    def action_axis(self, name: str) -> None:
        """Choose a quantity for an axis."""
        from workbench.modals.choose import Choice, ChooseModal

        def take(key: str | None) -> None:
            if key is not None:
                self._axes[name] = scatter.axis(key)
                self.workbench.memory.put(f"frontier.{name}", key)
                self._remember_logs()
                self._show_if_seen()

        choices = [Choice(name=column.key, about=standing.about(column)) for column in scatter.numeric()]
        title = "the size of the marks" if name == "z" else f"the {name} axis"
        self.app.push_screen(ChooseModal(title, choices, is_short=True), take)

    def action_log(self) -> None:
        """Change which axes are logarithmic."""
        x, y = self._axes["x"], self._axes["y"]
        is_log = logs[(logs.index((x.is_log, y.is_log)) + 1) % len(logs)]
        self._axes |= {"x": Axis(x.key, is_log[0]), "y": Axis(y.key, is_log[1])}
        self._remember_logs()
        self._show_if_seen()

    def _remember_logs(self) -> None:
        for name in "xy":
            self.workbench.memory.put(f"frontier.{name}_log", self._axes[name].is_log)

    def action_bars(self) -> None:
        """Draw intervals, or leave them out."""
        self._has_bars = not self._has_bars
        self.workbench.memory.put("frontier.bars", self._has_bars)
        self._show_if_seen()

    def action_pane(self) -> None:
        """Leave the room of the pane to the plot, or show it again."""
        self.toggle_class("-bare")
        self.workbench.memory.put("frontier.pane", not self.has_class("-bare"))

    def action_iso(self) -> None:
        """Ask what a unit of y is worth and draw the line of equal worth, or take it away."""
        from workbench.modals.ask import AskModal

        if self._is_iso or not self._scene.has_front or self.current is None:
            if not self._is_iso:
                self.workbench.say("A line of equal worth needs a selected run and two axes with a better side.")
            self._is_iso = False
            self._show_if_seen()
            return

        def take(text: str | None) -> None:
            if text is not None:
                self._worth, self._is_iso = float(text), True
                self.workbench.memory.put("frontier.worth", self._worth)
                self._show_if_seen()

        self.app.push_screen(
            AskModal("what is one more worth?", f"{self._worth:g}", remark=partial(scatter.worth, self._scene)), take
        )

    def action_group(self) -> None:
        """Show the next backbone, or all of the next data."""
        groups = self._groups()
        if len(groups) > 1 and self._group is not None:
            self._group = groups[(groups.index(self._group) + 1) % len(groups)]
            self._wished = [self._group[0] or "", self._group[1]]
            self.workbench.memory.put("frontier.group", self._wished)
            self._show_if_seen()

    # Filter

    def action_filter(self) -> None:
        """Write a filter: the same as in Runs."""
        self.add_class("-filtering")
        self.query_one(FilterInput).focus()

    @on(FilterLine.Changed)
    def narrow(self) -> None:
        """Show what passes."""
        self.workbench.shelf_changed.publish(None)

    @on(FilterLine.Left)
    def leave_filter(self) -> None:
        """Close the line; the filter stays."""
        self.remove_class("-filtering")
        self.set_focus(None)

    # Figure

    def action_write(self) -> None:
        """Ask for a file and write the figure."""
        from workbench.widgets import figures

        if not self._scene.points:
            self.workbench.say("There is nothing to write: no finished run is shown.", is_error=True)
            return
        self.workbench.ask_to_write(
            "write the figure as",
            f"frontier-{self._scene.y.key}-{self._scene.x.key}.svg",
            figures.formats,
            partial(figures.make, self._scene, look=self._look()),
            "The ending decides: .svg and .png for a paper, .txt, .csv, .json.",
        )

"""3 Live: is it learning, when is it done, should I stop it?"""

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pipeline.runs.rows import Row
from workbench.machine import Sampler, Usage
from workbench.messages import Detail, Interest, LogGrew
from workbench.screens._base import WorkbenchScreen
from workbench.widgets import live_words, palette
from workbench.widgets.curves import Shown
from workbench.widgets.log_view import LogPane
from workbench.widgets.machine_strip import MachineStrip
from workbench.widgets.rows import Line
from workbench.widgets.stage_strip import StageStrip
from workbench.widgets.tiles import Tiles

SERIES = 6
"""Colours that a theme has for runs beside each other."""
TICK_S = 1.0
"""Seconds between two drawings of what the clock moves; they wait for a drawing of the curves that is due anyway."""
SAMPLE_S = 2.0
"""Seconds between two looks at the machine."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class LiveScreen(WorkbenchScreen):
    """Live: is it learning, when is it done, should I stop it?"""

    DEFAULT_CSS = """
    LiveScreen {
        #legend { display: none; }
        &.-overlaid #legend { display: block; }
        LogPane { display: none; }
        &.-log LogPane { display: block; }
        &.-wide LogPane { height: 13; }
        &.-full-log LogPane { height: 1fr; }
        &.-full-log Tiles { display: none; }
        #none { display: none; height: 1fr; content-align: center middle; color: $text-muted; text-align: center; }
        &.-none #none { display: block; }
        &.-none Tiles, &.-none Line, &.-none LogPane { display: none; }
    }
    """
    AUTO_FOCUS = ""  # the charts are there once a run was read; a field would swallow the keys
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("L,g", "log", "log", key_display="L", id="live-log", tooltip="Show or hide what the run printed"),
        Binding("slash", "search_log", "search", show=False, id="live-search", tooltip="Search what the run printed"),
        Binding("o", "overlay", "overlay", id="live-overlay", tooltip="Choose runs to draw beside this one"),
        Binding("space", "pause", "pause", id="live-pause", tooltip="Hold the picture; the run goes on"),
        Binding("n,greater_than_sign", "step(1)", "next run", show=False, id="live-next",
                tooltip="The next run of the list"),
        Binding("p,less_than_sign", "step(-1)", "previous run", show=False, id="live-previous",
                tooltip="The run before it in the list"),
        Binding("v", "pager", "open log", show=False, id="live-pager", tooltip="Open log.txt in the pager ($PAGER)"),
        Binding("s", "app.stop", "stop", id="stop", tooltip="Stop this run (asks first)"),
        Binding("e", "app.export", "export", show=False, id="export", tooltip="Export this run when it is finished"),
    ]  # fmt: skip

    def compose_body(self) -> ComposeResult:
        """Build head, charts, log and the lines below."""
        yield Static("No run to watch yet. Press 2 to compose one.", id="none", markup=False)
        yield Line(identity="about")
        yield StageStrip()
        yield Line(identity="legend")
        yield Tiles()
        yield LogPane()
        yield Line(identity="numbers")
        yield MachineStrip()

    def on_mount(self) -> None:
        """Listen; keep the time that is left and the machine up to date."""
        self._run_id: str | None = None
        self._overlaid: tuple[str, ...] = ()
        self._colors: dict[str, int] = {}
        self._is_paused = False
        self._drawn_ids: tuple[str, ...] = ()
        self._told: object = None
        self._sampler = Sampler()
        self._is_sampling = False
        self._usage: Usage | None = None
        self._ticked_s = 0.0
        self.set_class(self.workbench.memory.get("live.log", False), "-log")
        self.set_interval(TICK_S, self._tick_alone)
        self.set_interval(SAMPLE_S, self._sample)

    @property
    def tiles(self) -> Tiles:
        """The charts."""
        return self.query_one(Tiles)

    @property
    def log_pane(self) -> LogPane:
        """What the run printed."""
        return self.query_one(LogPane)

    def offers(self, binding: Binding) -> bool:
        """Offer what can be done with the run; the log has keys of its own."""
        row = self.shelf.current
        if row is None:
            return binding.id == "compose"
        match binding.id:
            case "stop":
                return row.is_running
            case "export":
                return row.is_finished
            case "live-pause":
                return row.is_running and not self.log_pane.has_focus_within
            case "live-overlay":
                return len(self.shelf.visible) > 1 and not self.log_pane.has_focus_within
        return super().offers(binding)

    def interest(self) -> Interest:
        """Read the watched run, those drawn beside it, and what the watched one printed."""
        if self.shelf.selected is None:
            return Interest()
        return Interest(ids=(self.shelf.selected, *self._beside()), has_curves=True, log=self.shelf.selected)

    def _beside(self) -> tuple[str, ...]:
        marked = [row.id for row in self.shelf.chosen if row.id in self.shelf.marked]
        wanted = dict.fromkeys([*marked, *self._overlaid])
        known = self.shelf.rows or {}
        return tuple(run_id for run_id in wanted if run_id != self.shelf.selected and run_id in known)[: SERIES - 1]

    def show_shelf(self) -> None:
        """Watch the selected run."""
        row = self.shelf.current
        self.set_class(row is None, "-none")
        if row is None:
            return
        is_other = row.id != self._run_id
        if is_other:
            self._run_id = row.id
            self._is_paused = self.tiles.is_held = False
            self.log_pane.view.clear()
        now = row.id, row.status, row.index, row.activity, row.problem
        if now != self._told:
            # Steps alone are told once a second, by the clock.
            self._told = now
            self._tick()
        ids = (row.id, *self._beside())
        if ids != self._drawn_ids:
            self._drawn_ids = ids
            self._draw(anew=is_other)
        self._focus()

    def _focus(self) -> None:
        if self.focused is None:
            self.tiles.focus_tile()

    def show_detail(self, detail: Detail) -> None:
        """Draw what became known."""
        if detail.id == self._run_id or detail.id in self._beside():
            self._draw()
            if time.monotonic() - self._ticked_s >= 0.9 * TICK_S:
                self._tick()

    def show_log(self, message: LogGrew) -> None:
        """Add what was printed."""
        if message.run_id == self._run_id:
            if message.is_first:
                self.log_pane.view.clear()
            self.log_pane.view.add(message.lines)

    def _runs(self) -> list[Shown]:
        known = self.workbench.details
        if self._run_id is None or self._run_id not in known:
            return []
        ids = [self._run_id, *(run_id for run_id in self._beside() if run_id in known)]
        if len(ids) == 1:
            return [Shown(detail=known[self._run_id])]
        self._share_colors(ids)
        return [
            Shown(detail=known[run_id], letter=LETTERS[place], color=f"series-{self._colors[run_id]}")
            for place, run_id in enumerate(ids)
        ]

    def _share_colors(self, ids: Sequence[str]) -> None:
        """Let every run keep the colour that it had; give those without one, or with a shared one, a free one."""
        taken: set[int] = set()
        for run_id in sorted(ids, key=lambda run_id: run_id not in self._colors):
            if self._colors.get(run_id) in (None, *taken):
                self._colors[run_id] = next(number for number in range(1, SERIES + 1) if number not in taken)
            taken.add(self._colors[run_id])

    def _draw(self, *, anew: bool = False) -> None:
        runs = self._runs()
        self.set_class(len(runs) > 1, "-overlaid")
        if len(runs) > 1 and not self._is_paused:
            legend = Text(" ", no_wrap=True)
            rows = [self.shelf.row(run.detail.id) for run in runs]
            names = [row.name if row is not None else run.detail.id for row, run in zip(rows, runs, strict=True)]
            for run, name in zip(runs, names, strict=True):
                same = f" {run.detail.id[-4:]}" if names.count(name) > 1 else ""
                legend.append(f"{run.letter} ", style=palette.style(self.app, run.color, bold=True))
                legend.append(f"{name}{same}   ")
            self.query_one("#legend", Line).show(legend)
        self.tiles.show(runs, anew=anew)

    @on(Tiles.Looked)
    def _looked(self) -> None:
        self._tick()
        self._focus()

    def _tick_alone(self) -> None:
        """Let the clock move what no drawing of the curves has moved: each drawing of its own costs one."""
        if time.monotonic() - self._ticked_s >= 1.4 * TICK_S:
            self._tick()

    def _tick(self) -> None:
        self._ticked_s = time.monotonic()
        row = self.shelf.current
        if row is None or not self.is_current:
            return
        now_s = time.time()
        if not self._is_paused:
            self.query_one(StageStrip).show_row(row, now_s)
            self.query_one("#about", Line).show(live_words.head(self.app, row, now_s, self.size.width))
            if self._usage is not None:
                self.query_one(MachineStrip).show_usage(self._usage)
        self.query_one("#numbers", Line).show(self._numbers(row, now_s))

    def _numbers(self, row: Row, now_s: float) -> Text:
        tiles, text = self.tiles, Text(" ", no_wrap=True)
        if self._is_paused:
            text.append("PAUSED", style=palette.style(self.app, "warning", bold=True))
            text.append(": the picture is held, the run goes on; space continues")
            return text
        if tiles.reading:
            text.append(f"at {tiles.reading}", style="bold")
            return text.append("   arrows move, esc leaves", style="dim")
        detail = self.workbench.details.get(row.id)
        text.append(live_words.numbers(row, detail.state if detail is not None else None, now_s))
        if tiles.hidden and tiles.full is None:
            text.append(f"   {tiles.hidden} more: ]", style="dim")
        if tiles.window.stage is not None:
            text.append("   w: next stage", style="dim")
        return text

    # The machine

    def _sample(self) -> None:
        if self.is_current and not self._is_sampling and self.shelf.current is not None and not self._is_paused:
            self._is_sampling = True
            row = self.shelf.current
            self._look_at_machine(row.pid if row.is_running else None, row.host)

    @work(thread=True, exit_on_error=False, group="machine")
    def _look_at_machine(self, pid: int | None, host: str) -> None:
        usage: Usage | None = None
        try:
            usage = self._sampler.look(pid, host)
        finally:
            with contextlib.suppress(RuntimeError):
                # The app may be gone meanwhile.
                self.app.call_from_thread(self._show_usage, usage)

    def _show_usage(self, usage: Usage | None) -> None:
        self._is_sampling = False
        # Written at the next tick, together with the rest.
        self._usage = usage or self._usage

    # What keys do

    def action_log(self) -> None:
        """Show or hide the log."""
        self.toggle_class("-log")
        self.remove_class("-full-log")
        self.workbench.memory.put("live.log", self.has_class("-log"))
        if self.has_class("-log"):
            self.call_after_refresh(self.log_pane.view.lay)
        else:
            self.tiles.focus_tile()

    def action_search_log(self) -> None:
        """Show the log and ask what to search for."""
        if not self.has_class("-log"):
            self.action_log()
        self.log_pane.action_search()

    @on(LogPane.Full)
    def _fill_with_log(self) -> None:
        self.toggle_class("-full-log")

    def action_pager(self) -> None:
        """Open the log's file in the pager."""
        from textual.app import SuspendNotSupported

        if self._run_id is None:
            return
        path = self.workbench.store.run(self._run_id).log_path
        command = [*shlex.split(os.environ.get("PAGER") or "less"), str(path)]
        try:
            with self.app.suspend():
                subprocess.run(command, check=False)
        except SuspendNotSupported:
            self.workbench.say("A pager cannot be opened in this terminal; L shows the log here.", is_error=True)
        except OSError as error:
            self.workbench.say(f"{command[0]!r} cannot be started: {error.strerror}; set PAGER.", is_error=True)

    def action_pause(self) -> None:
        """Hold the picture, or go on."""
        self._is_paused = self.tiles.is_held = not self._is_paused
        self._tick()
        if not self._is_paused:
            self._draw()

    def action_step(self, by: int) -> None:
        """Watch the run before or after this one in the list."""
        ids = [row.id for row in self.shelf.visible]
        place = ids.index(self._run_id) + by if self._run_id in ids else 0
        if 0 <= place < len(ids):
            self.workbench.select(ids[place])

    def action_overlay(self) -> None:
        """Choose runs that are drawn beside this one."""
        from workbench.modals.overlay import OverlayModal

        def take(answer: tuple[str, ...] | None) -> None:
            if answer is not None:
                self._overlaid = answer
                self.shelf.marked &= set(answer)
                self.workbench.shelf_changed.publish(None)

        rows = [row for row in self.shelf.visible if row.id != self._run_id]
        if not rows:
            self.workbench.say("There is no other run in the list to draw beside this one.")
            return
        self.app.push_screen(OverlayModal(rows, self._beside(), SERIES - 1), take)

    def action_back(self) -> None:
        """Leave one layer: the log's search, the full log, the log, the cursor, the single chart, then the screen."""
        pane = self.log_pane
        is_in_log = pane.has_focus_within
        if is_in_log and pane.leave():
            return
        if self.has_class("-full-log"):
            self.remove_class("-full-log")
        elif is_in_log:
            self.action_log()
        elif not self.tiles.leave():
            super().action_back()

"""3 Live: is it learning, when is it done, should I stop it?"""

import contextlib
import os
import shlex
import subprocess
import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from pipeline.runs.rows import Row
from workbench.machine import Sampler, Usage, is_here
from workbench.messages import Detail, Interest, LogGrew
from workbench.screens._base import WorkbenchScreen
from workbench.tail import Earlier
from workbench.widgets import live_words, palette
from workbench.widgets.axis import Shown
from workbench.widgets.log_view import LogPane
from workbench.widgets.machine_strip import MachineStrip
from workbench.widgets.rows import Line
from workbench.widgets.stage_strip import StageStrip
from workbench.widgets.tiles import Tiles

TICK_S = 1.0
"""Seconds between two drawings of what the clock moves; they wait for a drawing of the curves that is due anyway."""
SAMPLE_S = 2.0
"""Seconds between two looks at the machine."""
FIRST_SAMPLE_S = 0.4
"""Seconds until the first one, which has to span some time."""


class Held(Struct, kw_only=True):
    """The moment at which the picture was held."""

    row: Row
    now_s: float
    details: dict[str, Detail]
    """By the run's id; of one that is drawn beside later what was known of it first."""
    printed: deque[str]
    """Lines that came since."""
    earlier: Earlier | None = None
    """What was printed before these, where they take the place of what is shown."""


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
        Binding("s", "app.stop('current')", "stop", id="stop", tooltip="Stop this run (asks first)"),
        Binding("X", "app.metrics", "metrics", show=False, id="metrics",
                tooltip="Write every recorded number of the marked runs, or this one, as .csv or .json"),
        Binding("e", "app.export", "export", show=False, id="export", tooltip="Export the marked runs, or this one"),
    ]  # fmt: skip

    def compose_body(self) -> ComposeResult:
        """Build head, charts, log and the lines below."""
        yield Static("No run to watch yet. Press 2 to compose one.", id="none", markup=False)
        yield Line(identity="about")
        yield StageStrip()
        yield Line(identity="legend")
        yield Tiles()
        yield LogPane(self.workbench.settings.log_lines)
        yield Line(identity="numbers")
        yield MachineStrip()

    def on_mount(self) -> None:
        """Listen; keep the time that is left and the machine up to date."""
        self._run_id: str | None = None
        self._overlaid: tuple[str, ...] = ()
        self._held: Held | None = None
        self._drawn_ids: tuple[str, ...] = ()
        self._told: object = None
        self._sampler = Sampler()
        self._is_sampling = False
        self._usage: Usage | None = None
        self._ticked_s = 0.0
        self.set_class(self.workbench.memory.get("live.log", False), "-log")
        self.set_interval(TICK_S, self._tick_alone)
        self.set_timer(FIRST_SAMPLE_S, self._sample)
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

    def _wanted(self) -> list[str]:
        """List the runs that were marked or chosen to be drawn beside this one."""
        marked = [row.id for row in self.shelf.chosen if row.id in self.shelf.marked]
        wanted, known = dict.fromkeys([*marked, *self._overlaid]), self.shelf.rows or {}
        return [run_id for run_id in wanted if run_id != self.shelf.selected and run_id in known]

    def _beside(self) -> list[str]:
        return self._wanted()[: palette.SERIES - 1]

    def show_shelf(self) -> None:
        """Watch the selected run."""
        row = self.shelf.current
        self.set_class(row is None, "-none")
        if row is None:
            return
        is_other = row.id != self._run_id
        if is_other:
            self._run_id = row.id
            self._held = None
            self.log_pane.view.begin(Earlier())
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

    def show_details(self, details: Sequence[Detail]) -> None:
        """Draw what became known."""
        watched = (self._run_id, *self._beside())
        ours = [detail for detail in details if detail.id in watched]
        if self._held is not None:
            for detail in ours:
                if detail.curves is not None:
                    self._held.details.setdefault(detail.id, detail)
        if ours:
            self._draw()
            if time.monotonic() - self._ticked_s >= 0.9 * TICK_S:
                self._tick()

    def show_log(self, message: LogGrew) -> None:
        """Add what was printed."""
        if message.run_id != self._run_id:
            return
        if self._held is None:
            self._print(message.lines, message.earlier)
            return
        if message.earlier is not None:
            self._held.printed.clear()
            self._held.earlier = message.earlier
        self._held.printed.extend(message.lines)

    def _print(self, lines: Sequence[str], earlier: Earlier | None) -> None:
        if earlier is not None:
            self.log_pane.view.begin(earlier)
        self.log_pane.view.add(lines)

    def _runs(self) -> list[Shown]:
        known = self.workbench.details | (self._held.details if self._held is not None else {})
        if self._run_id is None or self._run_id not in known:
            return []
        ids = [self._run_id, *(run_id for run_id in self._beside() if run_id in known)]
        known_by = self.workbench.identities.give(ids)
        return [
            Shown(detail=known[run_id], letter=known_by[run_id][0] if len(ids) > 1 else "", color=known_by[run_id][1])
            for run_id in ids
        ]

    def _draw(self, *, anew: bool = False) -> None:
        runs = self._runs()
        self.set_class(len(runs) > 1, "-overlaid")
        if len(runs) > 1:
            self.query_one("#legend", Line).show(self._legend(runs))
        self.tiles.show(runs, anew=anew)

    def _legend(self, runs: Sequence[Shown]) -> Text:
        rows = [self.shelf.row(run.detail.id) for run in runs]
        names = [row.name if row is not None else run.detail.id for row, run in zip(rows, runs, strict=True)]
        left_out = len(self._wanted()) - len(self._beside())
        return live_words.legend(self.app, runs, names, left_out, self.size.width)

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
        row, now_s = self.shelf.current, time.time()
        if row is None or not self.is_current:
            return
        if self._held is not None:
            row, now_s = self._held.row, self._held.now_s
        self.query_one(StageStrip).show_row(row, now_s)
        self.query_one("#about", Line).show(live_words.head(self.app, row, now_s, self.size.width))
        if not is_here(row.host):
            self.query_one(MachineStrip).show_host(row.host)
        elif self._usage is not None:
            self.query_one(MachineStrip).show_usage(self._usage)
        self.query_one("#numbers", Line).show(self._say_numbers(row, now_s))

    def _say_numbers(self, row: Row, now_s: float) -> Text:
        tiles, text = self.tiles, Text(" ", no_wrap=True)
        if self._held is not None:
            text.append("PAUSED", style=palette.style(self.app, "warning", bold=True))
            text.append("  " if tiles.reading else ": the picture is held, the run goes on; space continues")
        if tiles.reading:
            text.append(f"at {tiles.reading}", style="bold")
            return text.append("   arrows move, esc leaves", style="dim")
        if self._held is not None:
            return text
        hints = [f"{tiles.hidden} more: ]"] if tiles.hidden and tiles.full is None else []
        hints += ["w: next stage"] if tiles.window.stage is not None else []
        tail = "".join(f"   {hint}" for hint in hints)
        detail = self.workbench.details.get(row.id)
        numbers = live_words.numbers(row, detail.state if detail is not None else None, now_s)
        text.append(live_words.fitting(numbers, self.size.width - 1 - len(tail)))
        return text.append(tail, style="dim")

    # The machine

    def _sample(self) -> None:
        if self.is_current and not self._is_sampling and self.shelf.current is not None and self._held is None:
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
        """Show the log and let the keys act on it, or go back to the charts."""
        self.toggle_class("-log")
        self.remove_class("-full-log")
        self.workbench.memory.put("live.log", self.has_class("-log"))
        if self.has_class("-log"):
            # At once: the charts, of which fewer fit now, give the focus on to each other.
            self.set_focus(self.log_pane.view)
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
        row, held = self.shelf.current, self._held
        if held is not None:
            self._held = None
            self._print(held.printed, held.earlier)
            self._draw()
        elif row is not None:
            known = {run.detail.id: run.detail for run in self._runs() if run.detail.curves is not None}
            printed = deque[str](maxlen=self.workbench.settings.log_lines)
            self._held = Held(row=row, now_s=time.time(), details=known, printed=printed)
        self._tick()

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
        self.app.push_screen(OverlayModal(rows, self._beside(), palette.SERIES - 1), take)

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

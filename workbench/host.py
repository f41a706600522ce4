"""What the app is made of but its keys: the store, the feed that reads it, and what all screens share."""

import contextlib
import gc
import os
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path

from textual import work
from textual.app import App
from textual.binding import Binding
from textual.filter import Monochrome, NoColor
from textual.signal import Signal
from textual.widget import AwaitMount
from textual.worker import WorkerFailed

from pipeline.errors import PipelineError
from pipeline.runs.store import RunStore
from workbench import failures, terminal, themes
from workbench.attention import Attention
from workbench.failures import Enduring
from workbench.feed import Feed
from workbench.fitting import Colorless, Signage
from workbench.harmless import Harmless
from workbench.memory import Memory
from workbench.messages import Detail, DetailsChanged, FeedFailed, Interest, LogGrew, RowsChanged
from workbench.settings import Marker, Settings, markers
from workbench.shelf import Shelf
from workbench.widgets.palette import Identities

_ours = (Colorless, Signage, Harmless)
"""Filters of whatever is drawn."""


class Host(Enduring, App[None]):
    """The app without its keys and actions."""

    def __init__(
        self,
        store: RunStore,
        saved: Path,
        settings: Settings | None = None,
        memory: Memory | None = None,
    ) -> None:
        memory = memory or Memory()
        left_in = memory.get("mode", self.DEFAULT_MODE)
        if left_in in self.MODES:
            self.DEFAULT_MODE = left_in  # type: ignore[misc]
        super().__init__()
        self.store = store
        """Where runs lie."""
        self.saved = saved
        """Folder of a person's own presets."""
        self.settings = settings or Settings.from_environment()
        """How often to look, what to draw with."""
        self.memory = memory
        """What is remembered of the view."""
        self.shelf = Shelf(self.memory)
        """The runs, their filter, marks and selection."""
        self.details: dict[str, Detail] = {}
        """What is known of the runs of interest, by id."""
        self.shelf_changed: Signal[None] = Signal(self, "shelf_changed")
        """Something on the shelf changed: rows, filter, order, marks or selection."""
        self.details_changed: Signal[tuple[Detail, ...]] = Signal(self, "details_changed")
        """Runs of interest were read, or went on."""
        self.log_grew: Signal[LogGrew] = Signal(self, "log_grew")
        """The run whose log is wanted printed something."""
        self.feed = Feed(store, self.post_message, self.settings)
        """The reader of the store."""
        self.everywhere = Memory()
        """What is remembered whatever the store."""
        self.problems: list[str] = []
        """What was wrong with the settings, a sentence each; told once the app stands."""
        self.last_words = ""
        """Why the app had to end, for the shell; empty while all is well."""
        self.must_endure = False
        """Errors of the app's own are told and survived even where no person sees the screen."""
        self._endured: set[tuple[str, str, int]] = set()
        self.identities = Identities()
        """Letters and colours of the runs that charts show."""
        self._attention = Attention(self.settings, write=self._send, bell=self.bell, say=self.say)
        self._launched: str | None = None
        self.marker: Marker = "braille" if self.settings.marker == "auto" else self.settings.marker
        """What curves are drawn with, on every screen; changed by ``use_marker``."""
        self.marker_changed: Signal[Marker] = Signal(self, "marker_changed")
        """Curves are drawn with another marker from now on."""
        self._signage = Signage("all")
        self._fit()
        self._choose_theme()
        if self.settings.low_bandwidth:
            self.animation_level = "none"

    def on_mount(self) -> None:
        """Die with the terminal."""
        if not self.is_headless:
            # A parent like nohup may ignore the signal; the app would then spin on a closed terminal for ever.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)

    def on_ready(self) -> None:
        """Begin to look: the first frame stands, and what reads the store is imported by the thread that reads."""
        self._look()
        if not gc.isenabled():
            gc.freeze()
            gc.enable()

    def on_unmount(self) -> None:
        """Let the reader's thread end."""
        self.feed.close()
        self._attention.close()

    def _choose_theme(self) -> None:
        for theme in themes.ours:
            self.register_theme(theme)
        if "TEXTUAL_THEME" in os.environ:
            return
        self.theme = themes.calm.name
        if self.settings.theme != "auto":
            try:
                self.theme = themes.resolve(self.settings.theme)
            except PipelineError as error:
                self.problems.append(f"theme: {error}")

    def _fit(self) -> None:
        """Send only what the terminal can show."""
        self._signage = Signage(terminal.signs(self.marker, os.environ))
        # There is no public way to change them; the version of textual is pinned.
        theirs = [each for each in self._filters if not isinstance(each, (Monochrome, NoColor, *_ours))]
        self._filters = [*theirs, *([Colorless(self)] if self.no_color else []), self._signage, Harmless()]

    def use_marker(self, marker: Marker) -> None:
        """Draw curves with another marker, on every screen; ``ascii`` draws borders and keys with letters, too."""
        self.marker = marker
        self.everywhere.put(terminal.memory_name(os.environ), marker)
        self._fit()
        self.marker_changed.publish(marker)
        for screen in self.screen_stack:
            screen.refresh_bindings()
            for widget in screen.walk_children():
                widget.refresh()

    def action_marker(self) -> None:
        """Draw with the next marker."""
        self.use_marker(markers[(markers.index(self.marker) + 1) % len(markers)])

    def get_key_display(self, binding: Binding) -> str:
        """Write a key as it is shown; by its name where the terminal lacks its sign."""
        return self._signage.spell(super().get_key_display(binding))

    def _send(self, letters: str) -> None:
        """Send letters to the terminal beside what is drawn."""
        if self._driver is not None and not self.is_headless:
            self._driver.write(letters)

    @property
    def endures(self) -> bool:
        """Errors of the app's own are told and survived; a test wants them raised."""
        return self.must_endure or not self.is_headless

    def endure(self, error: Exception) -> None:
        """Tell of an error of the app's own and go on; each place of the code is told once."""
        if failures.place(error) in self._endured:
            return
        self._endured.add(failures.place(error))
        path = failures.record(error)
        from workbench.modals.error import ErrorModal

        text = "".join(traceback.format_exception(error))
        head = "This is an error of the workbench. It goes on where it can; runs are not concerned.\n\n"
        self.push_screen(ErrorModal("something went wrong", head + text, log=str(path or "")))

    def _handle_exception(self, error: Exception) -> None:
        """Survive what a thread raised; end in order after what has left a widget without its messages."""
        cause = error.error if isinstance(error, WorkerFailed) else error
        if not self.endures:
            super()._handle_exception(error)
        elif isinstance(error, WorkerFailed) and isinstance(cause, Exception):
            self.endure(cause)
        elif not self.last_words:
            self.last_words = failures.sentence(cause, failures.record(cause))
            self._return_code = 1
            self._exception = error
            self._exception_event.set()
            self._close_messages_no_wait()

    @work(thread=True, exit_on_error=False, group="feed")
    def _look(self) -> None:
        self.feed.work()

    def switch_mode(self, mode: str) -> AwaitMount:
        """Open another screen; the next session begins with it."""
        self.memory.put("mode", mode)
        return super().switch_mode(mode)

    def select(self, run_id: str | None) -> None:
        """Make a run the one that the screens are about."""
        if run_id != self.shelf.selected:
            self.shelf.select(run_id)
            self.shelf_changed.publish(None)

    def follow(self, interest: Interest) -> None:
        """Read the details of other runs; what is known of those that stay is kept."""
        self.details = {run_id: self.details[run_id] for run_id in interest.ids if run_id in self.details}
        self.feed.follow(interest)

    def watch_launched(self, run_id: str) -> None:
        """Look at a run that was just launched."""
        self._launched = run_id
        self._show_launched()
        self.feed.look()

    def _show_launched(self) -> None:
        """Go to the run that was launched last as soon as the feed has seen it, which may be before or after."""
        if self._launched is not None and self.shelf.row(self._launched):
            self.select(self._launched)
            self._launched = None
            self.switch_mode("live")

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Show one sentence in a corner."""
        self.notify(text, markup=False, severity="error" if is_error else "information", timeout=8)

    @contextlib.contextmanager
    def telling_errors(self, before: str = "") -> Iterator[None]:
        """Turn an error of ours, or of the system, into one sentence in a corner.

        Args:
            before: what did not happen, as in ``"Not saved: "``.
        """
        try:
            yield
        except (PipelineError, OSError) as error:
            self.say(f"{before}{error}", is_error=True)

    def on_rows_changed(self, message: RowsChanged) -> None:
        """Take up what the feed saw."""
        self._attention.take(message.rows)
        if message.is_complete and not self.shelf.is_complete and not self.is_headless:
            # Thousands of rows stay: looking for garbage among them would hold up a key now and then.
            gc.freeze()
        self.shelf.take(message.rows, is_complete=message.is_complete)
        self._show_launched()
        if message.is_complete and not message.rows:
            self._welcome()
        self.shelf_changed.publish(None)

    def _welcome(self) -> None:
        """Offer a newcomer, once, to look over the machine."""
        if self.everywhere.is_kept and not self.everywhere.get("welcomed", False):
            self.everywhere.put("welcomed", True)
            self.say("F2 looks over this machine: packages, processor, data, terminal. ? lists the keys.")

    def on_details_changed(self, message: DetailsChanged) -> None:
        """Keep what is known of the runs, and hand it on."""
        self.details.update((detail.id, detail) for detail in message.details)
        self.details_changed.publish(message.details)

    def on_log_grew(self, message: LogGrew) -> None:
        """Hand on what a run printed."""
        self.log_grew.publish(message)

    def on_feed_failed(self, message: FeedFailed) -> None:
        """Say that the store cannot be read."""
        self.say(message.reason, is_error=True)

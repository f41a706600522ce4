"""The app: screens over one feed. It shows what lies in the store; it owns no run."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.reactive import reactive
from textual.screen import Screen
from textual.signal import Signal
from textual.theme import Theme

from pipeline.runs.store import RunStore
from workbench import screens
from workbench.feed import Feed
from workbench.messages import FeedFailed, RunChanged, RunsChanged, RunView
from workbench.modals.help import HelpModal
from workbench.settings import Settings

# Every colour is one of xterm's 256, which is what a terminal behind SSH usually has.
calm = Theme(
    name="calm",
    primary="#5fafaf",
    secondary="#87afaf",
    accent="#5fafaf",
    success="#87af87",
    warning="#d7af5f",
    error="#d75f5f",
    foreground="#d0d0d0",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={"footer-key-foreground": "#5fafaf", "footer-background": "#121212", "border": "#5fafaf"},
)


class Workbench(App[None]):
    """Compose, watch and compare compression runs."""

    TITLE = "pqd-workbench"
    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = dict(screens.found())
    DEFAULT_MODE = "runs"
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - not a class variable upstream
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(screen.KEY, f"switch_mode('{name}')", screen.TAB, id=name, show=False, tooltip=screen.QUESTION)
            for name, screen in screens.found().items()
        ),
        Binding("question_mark", "help", "help", key_display="?", id="help", tooltip="All keys of this screen"),
        Binding("q", "quit", "quit", id="quit", tooltip="Leave the workbench; runs go on"),
    ]

    selected: reactive[str | None] = reactive(None, init=False)
    """Id of the run that the screens are about; None before there is one."""

    def __init__(self, store: RunStore, saved: Path, settings: Settings | None = None) -> None:
        super().__init__()
        self.store = store
        """Where runs lie."""
        self.saved = saved
        """Folder of a person's own presets."""
        self.settings = settings or Settings.from_environment()
        """How often to look, what to draw with."""
        self.views: dict[str, RunView] | None = None
        """Every run by its id, newest first; None before the first look."""
        self.marked: set[str] = set()
        """Ids of the runs that a person marked."""
        self.views_changed: Signal[None] = Signal(self, "views_changed")
        """Something in ``views``, ``marked`` or ``selected`` changed."""
        self.followed_changed: Signal[RunChanged] = Signal(self, "followed_changed")
        """The followed run has new curves or printed something."""
        self.feed = Feed(store, self.post_message, self.settings)
        """The reader of the store."""
        self._launched: str | None = None
        self.register_theme(calm)
        if "TEXTUAL_THEME" not in os.environ:
            self.theme = calm.name

    def on_mount(self) -> None:
        """Begin to look, and die with the terminal."""
        if not self.is_headless:
            # A parent like nohup may ignore the signal; the app would then spin on a closed terminal for ever.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
        self._look()

    def on_unmount(self) -> None:
        """Let the reader's thread end."""
        self.feed.close()

    @work(thread=True, exit_on_error=False, group="feed")
    def _look(self) -> None:
        self.feed.work()

    def view(self, run_id: str | None) -> RunView | None:
        """Give a run as it was last seen; None when there is none of that id."""
        return (self.views or {}).get(run_id) if run_id is not None else None

    @property
    def chosen(self) -> list[RunView]:
        """The marked runs, newest first; without marks the selected one."""
        views = [view for view in (self.views or {}).values() if view.id in self.marked]
        selected = self.view(self.selected)
        return views or ([selected] if selected else [])

    def toggle_mark(self, run_id: str) -> None:
        """Mark a run, or take its mark away."""
        self.marked ^= {run_id}
        self.views_changed.publish(None)

    def watch_selected(self) -> None:
        """Tell the screens."""
        self.views_changed.publish(None)

    def watch_launched(self, run_id: str) -> None:
        """Look at a run that was just launched."""
        self._launched = run_id
        self.feed.look()

    def say(self, text: str, *, is_error: bool = False) -> None:
        """Show one sentence in a corner."""
        self.notify(text, markup=False, severity="error" if is_error else "information", timeout=8)

    def on_runs_changed(self, message: RunsChanged) -> None:
        """Take up what the feed saw."""
        self.views = {view.id: view for view in message.views}
        self.marked &= set(self.views)
        if self._launched in self.views:
            self.selected, self._launched = self._launched, None
            self.switch_mode("live")
        if self.view(self.selected) is None:
            running_first = sorted(message.views, key=lambda view: not view.is_running)
            self.set_reactive(Workbench.selected, running_first[0].id if running_first else None)
        self.views_changed.publish(None)

    def on_run_changed(self, message: RunChanged) -> None:
        """Hand the curves on."""
        self.followed_changed.publish(message)

    def on_feed_failed(self, message: FeedFailed) -> None:
        """Say that the store cannot be read."""
        self.say(message.reason, is_error=True)

    def action_help(self) -> None:
        """Show every key of this screen."""
        self.push_screen(HelpModal(self.screen))

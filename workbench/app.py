"""The app: screens over one feed. It shows what lies in the store; it owns no run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.screen import Screen

from pipeline.runs.store import RunStore
from workbench import screens
from workbench.everywhere import Everywhere
from workbench.memory import Memory
from workbench.settings import Settings


def _commands() -> type[Provider]:
    from workbench.commands import Commands

    return Commands


class Workbench(Everywhere):
    """Compose, watch and compare compression runs."""

    TITLE = "pqd-workbench"
    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = dict(screens.factories())
    DEFAULT_MODE = "runs"
    COMMANDS = {_commands}  # noqa: RUF012 - not a class variable upstream
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - not a class variable upstream
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(entry.key, f"switch_mode('{name}')", entry.tab, id=name, show=False, tooltip=entry.question)
            for name, entry in screens.found().items()
        ),
        Binding("question_mark", "help", "help", key_display="?", id="help", tooltip="All keys of this screen"),
        Binding("f1", "context_help", "explain", id="explain", show=False, tooltip="Explain what has the focus"),
        Binding("f2", "doctor", "check", id="doctor", show=False, tooltip="Look over this machine, store and terminal"),
        Binding(
            "ctrl+p,colon", "command_palette", "commands", key_display=": ^p", id="commands", show=False,
            tooltip="Find anything that can be done by a few letters",
        ),
        Binding("y,Y,shift+y", "copy", "copy", id="copy", show=False, tooltip="Copy what is needed of this run"),
        Binding("T,shift+t", "theme", "theme", key_display="T", id="theme", show=False, tooltip="Choose other colours"),
        Binding("m", "marker", "marker", id="marker", show=False,
                tooltip="Draw curves with braille dots, blocks or plain letters"),
        Binding("q", "quit", "quit", id="quit", tooltip="Leave the workbench; runs go on"),
    ]  # fmt: skip

    def __init__(
        self, store: RunStore, saved: Path, settings: Settings | None = None, memory: Memory | None = None
    ) -> None:
        super().__init__(store, saved, settings, memory)
        self.use_keys()

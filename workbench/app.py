"""The app: screens over one feed. It shows what lies in the store; it owns no run."""

from collections.abc import Callable
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.screen import Screen

from workbench import screens
from workbench.run_actions import RunActions


class Workbench(RunActions):
    """Compose, watch and compare compression runs."""

    TITLE = "pqd-workbench"
    CSS_PATH = "app.tcss"
    MODES: ClassVar[dict[str, str | Callable[[], Screen[Any]]]] = dict(screens.factories())
    DEFAULT_MODE = "runs"
    HORIZONTAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-narrow"), (110, "-wide")]  # noqa: RUF012 - not a class variable upstream
    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(entry.key, f"switch_mode('{name}')", entry.tab, id=name, show=False, tooltip=entry.question)
            for name, entry in screens.found().items()
        ),
        Binding("question_mark", "help", "help", key_display="?", id="help", tooltip="All keys of this screen"),
        Binding("q", "quit", "quit", id="quit", tooltip="Leave the workbench; runs go on"),
    ]

    def action_help(self) -> None:
        """Show every key of this screen."""
        from workbench.modals.help import HelpModal

        self.push_screen(HelpModal(self.screen))

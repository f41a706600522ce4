"""The first row of every screen: the name, the screens with their keys, and how many runs go on."""

import platform

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

from workbench import screens
from workbench.shelf import Shelf
from workbench.widgets import palette

NAME = " pqd-workbench  "
SHORT_NAME = " pqd "
"""What stands in front where a row has to hold the screens and how many runs go on."""
ROOMY = 110
"""Columns from which there is room for the whole name."""


class TopBar(Widget):
    """Says where one is; a click on a screen's word opens it."""

    DEFAULT_CSS = """
    TopBar { height: 1; dock: top; background: $panel; }
    """

    def __init__(self, here: str, *, is_read_only: bool = False) -> None:
        """Stand on a screen.

        Args:
            here: the screen's name.
            is_read_only: say that nothing in the store is changed.
        """
        super().__init__()
        self._here = here
        self._is_read_only = is_read_only
        self._going_on = 0
        self._counted: object = None
        """The rows among which those at work were counted."""

    def show(self, shelf: Shelf) -> None:
        """Say how many runs go on."""
        if shelf.rows is self._counted:
            return
        self._counted = shelf.rows
        running = sum(row.is_running for row in (shelf.rows or {}).values())
        if running != self._going_on:
            self._going_on = running
            self.refresh()

    @property
    def _label(self) -> str:
        # By the width alone: the screens stay where they are when a run begins.
        return NAME if self.size.width >= ROOMY else SHORT_NAME

    def render(self) -> Text:
        """Draw the row."""
        # Reversed and bold: to be told apart where there are no colours.
        here = palette.style(self.app, "primary", bold=True, reverse=True)
        text = Text(self._label, no_wrap=True, style="bold")
        for screen in screens.found().values():
            text.append(f" {screen.key} {screen.tab} ", style=here if self._here == screen.name else "not bold")
            text.append(" ")
        text.right_crop(1)
        host = platform.node().partition(".")[0][:16]
        running = f"{self._going_on} running" if self._going_on else ""
        locked = "read-only" if self._is_read_only else ""
        # What matters least goes first where there is no room.
        for parts in ((host, locked, running), (locked, running), (running or locked,)):
            right = "  ".join(part for part in parts if part) + " "
            room = self.size.width - text.cell_len - len(right)
            if room >= 0:
                text.append(" " * room + right, style="not bold")
                break
        return text

    def on_click(self, event: Click) -> None:
        """Open the screen whose word was clicked."""
        start = len(self._label)
        for name, screen in screens.found().items():
            end = start + len(f" {screen.key} {screen.tab} ")
            if start <= event.x < end:
                self.app.call_later(self.app.switch_mode, name)
            start = end + 1

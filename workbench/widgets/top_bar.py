"""The first row of every screen: the name, the screens with their keys, and how many runs go on."""

import platform

from rich.text import Text
from textual.widget import Widget

from workbench import screens
from workbench.shelf import Shelf
from workbench.widgets import palette


class TopBar(Widget):
    """Says where one is."""

    DEFAULT_CSS = """
    TopBar { height: 1; dock: top; background: $panel; }
    """

    def __init__(self, here: str) -> None:
        """Say which screen it stands on, by its name."""
        super().__init__()
        self._here = here
        self._going_on = 0

    def show(self, shelf: Shelf) -> None:
        """Say how many runs go on."""
        running = sum(row.is_running for row in (shelf.rows or {}).values())
        if running != self._going_on:
            self._going_on = running
            self.refresh()

    def render(self) -> Text:
        """Draw the row."""
        here = palette.style(self.app, "primary", reverse=True)
        text = Text(" pqd-workbench  ", no_wrap=True, style="bold")
        for screen in screens.found().values():
            text.append(f" {screen.key} {screen.tab} ", style=here if self._here == screen.name else "not bold")
            text.append(" ")
        running = f"{self._going_on} running" if self._going_on else ""
        right = f"{platform.node().partition('.')[0][:16]}  {running} ".replace("   ", " ")
        room = self.size.width - text.cell_len - len(right)
        if room >= 0:
            text.append(" " * room + right, style="not bold")
        return text

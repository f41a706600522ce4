"""Every key of a screen, read from its bindings."""

from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from workbench.modals.base import Modal


class HelpModal(Modal[None]):
    """Lists keys: what the screen knows first, then what works everywhere."""

    DEFAULT_CSS = "HelpModal .dialog { width: 76; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q", "close", "close", id="close-help", tooltip="Close this help"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._keys = keys_of(screen)
        self._about = (type(screen).__doc__ or "").partition("\n")[0]

    def compose(self) -> ComposeResult:
        """Build the table."""
        table = Table.grid(padding=(0, 2))
        for keys, name, tooltip in self._keys:
            table.add_row(Text(keys, style="bold"), Text(name), Text(tooltip, style="dim"))
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "keys"
            yield Static(Text(self._about + "\n", style="italic"))
            yield Static(table)

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one(VerticalScroll).focus()


def keys_of(screen: Screen[object]) -> list[tuple[str, str, str]]:
    """List keys, name and explanation of each binding that works now; those without a tooltip are left out."""
    found: dict[tuple[str, str], list[str]] = {}
    for active in screen.active_bindings.values():
        if active.binding.tooltip:
            keys = found.setdefault((active.binding.description, active.binding.tooltip), [])
            keys.append(screen.app.get_key_display(active.binding))
    return [(" ".join(dict.fromkeys(keys)), name, tooltip) for (name, tooltip), keys in found.items()]

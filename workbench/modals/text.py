"""A text that is read, scrolled and copied."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from workbench.modals.base import Modal


class TextModal(Modal[None]):
    """Shows a text."""

    DEFAULT_CSS = """
    TextModal #more { color: $text-muted; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "copy", id="copy-text", tooltip="Copy the text"),
        Binding("enter,f1", "close", "close", id="close-text", show=False, tooltip="Close this text"),
    ]

    def __init__(self, title: str, text: str, *, more: str = "") -> None:
        """Show.

        Args:
            title: what it is about.
            text: the whole text.
            more: a remark below it that is not copied; empty for none.
        """
        super().__init__()
        self._title, self._text, self._more = title, text, more

    def compose(self) -> ComposeResult:
        """Build the text."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = "c copy   esc close"
            yield Static(Content(self._text))
            if self._more:
                yield Static(Content(self._more), id="more")

    def on_mount(self) -> None:
        """Let the arrows scroll."""
        self.query_one(VerticalScroll).focus()

    def action_copy(self) -> None:
        """Copy the text."""
        self.workbench.copy_to_clipboard(self._text)

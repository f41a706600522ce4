"""Ask for one short text."""

from collections.abc import Callable

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from workbench.modals.base import Modal


class AskModal(Modal[str]):
    """One field; enter takes it, esc leaves it."""

    DEFAULT_CSS = "AskModal #remark { height: auto; color: $text-muted; margin: 1 0 0 0; }"

    def __init__(self, title: str, text: str, *, remark: Callable[[str], tuple[bool, str]]) -> None:
        """Ask.

        Args:
            title: what is asked.
            text: what stands in the field at first.
            remark: tells of a text whether it can be taken, and one sentence about it.
        """
        super().__init__()
        self._title = title
        self._text = text
        self._remark = remark

    def compose(self) -> ComposeResult:
        """Build the field."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = "enter save   esc back"
            yield Input(self._text, compact=True)
            yield Static(Content(self._remark(self._text)[1]), id="remark")

    @on(Input.Changed)
    def comment(self, event: Input.Changed) -> None:
        """Say what would happen."""
        self.query_one("#remark", Static).update(Content(self._remark(event.value)[1]))

    @on(Input.Submitted)
    def take(self, event: Input.Submitted) -> None:
        """Give the text back where it is legal."""
        if self._remark(event.value)[0]:
            self.dismiss(event.value.strip())

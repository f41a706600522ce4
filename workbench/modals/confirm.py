"""A yes-or-no question; no is the default."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from workbench.modals.base import Modal


class ConfirmModal(Modal[bool]):
    """Asks before something that cannot be undone."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "yes", id="yes", tooltip="Do it"),
        Binding("n", "answer(False)", "no", id="no", tooltip="Leave it"),
        Binding("left,right", "app.focus_next", "other", id="other", show=False, tooltip="The other button"),
    ]

    def __init__(self, question: str, detail: str, *, yes: str, no: str = "no") -> None:
        super().__init__()
        self._question = question
        self._detail = detail
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(self._question)
            yield Static(Content(self._detail))
            with Horizontal(classes="buttons"):
                yield Button(Content(f"n  {self._no}"), id="no", compact=True)
                yield Button(Content(f"y  {self._yes}"), id="yes", compact=True)

    def on_mount(self) -> None:
        """Stand on no."""
        self.query_one("#no").focus()

    @on(Button.Pressed)
    def answer_by_button(self, event: Button.Pressed) -> None:
        """Take the answer of the pressed button."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Take the answer of a key."""
        self.dismiss(answer)

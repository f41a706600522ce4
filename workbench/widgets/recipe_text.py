"""A recipe as the text that it is, edited in place; what is wrong with it stands above, with its line."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static, TextArea


class RecipeText(Vertical):
    """One text and one line about it."""

    DEFAULT_CSS = """
    RecipeText { width: 1fr; }
    RecipeText #text-problem { height: auto; max-height: 4; padding: 0 1; color: $text-muted; }
    RecipeText #text-problem.-wrong { color: $text-error; }
    RecipeText TextArea { border: none; padding: 0; height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    RecipeText TextArea:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.back", "form", key_display="esc", id="leave-text", tooltip="Back to the form"),
        Binding("f2", "screen.editor", "$EDITOR", id="text-editor", tooltip="Edit the text in $VISUAL or $EDITOR"),
        Binding("f3", "screen.revert", "as the form", id="revert", tooltip="Give up this text, take the form's again"),
    ]

    class Changed(Message):
        """A person typed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, text: str) -> None:
        super().__init__()
        self._first = text

    def compose(self) -> ComposeResult:
        """Build the line and the text."""
        yield Static(id="text-problem", markup=False)
        yield TextArea(self._first, show_line_numbers=True, compact=True, soft_wrap=True)

    @property
    def text(self) -> str:
        """What stands there."""
        return self._area.text

    @property
    def _area(self) -> TextArea:
        return self.query_one(TextArea)

    def focus_text(self, line: int | None = None) -> None:
        """Go into the text, to a line counted from 1."""
        self._area.focus()
        self.show_line(line)

    def show_line(self, line: int | None) -> None:
        """Stand on a line, counted from 1; None leaves the cursor where it is."""
        if line is not None:
            self._area.move_cursor((line - 1, 0), center=True)

    def replace(self, text: str) -> None:
        """Put another text there; the editor's own undo leads back."""
        area = self._area
        if text != area.text:
            area.replace(text, (0, 0), area.document.end)

    def remark(self, problem: str) -> None:
        """Say what is wrong with the text; empty: it is a recipe."""
        line = self.query_one("#text-problem", Static)
        text = f"! {problem}" if problem else "ok: a recipe; the form follows what is typed"
        if str(line.content) != text:
            line.set_class(bool(problem), "-wrong")
            line.update(Content(text))

    @on(TextArea.Changed)
    def tell(self, event: TextArea.Changed) -> None:
        """Hand on what was typed."""
        event.stop()
        self.post_message(self.Changed(event.text_area.text))

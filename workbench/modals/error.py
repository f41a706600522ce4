"""A text too long for a corner: an unexpected error with its traceback, or all that is wrong with the settings."""

from workbench.modals.text import TextModal


class ErrorModal(TextModal):
    """Shows what is wrong."""

    DEFAULT_CSS = "ErrorModal .dialog { width: 110; border: round $error; border-title-color: $error; }"

    def __init__(self, title: str, text: str, *, log: str = "") -> None:
        """Show.

        Args:
            title: what it is about.
            text: the whole text.
            log: file in which it stands, too; empty for none.
        """
        super().__init__(title, text, more=f"Also in {log}" if log else "")

"""What every modal shares: esc closes it, and nothing of the screen below reacts to its keys."""

from typing import TYPE_CHECKING, ClassVar, TypeVar, cast

from textual.binding import Binding, BindingsMap, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen

from workbench import keys
from workbench.failures import Enduring

if TYPE_CHECKING:
    from workbench.app import Workbench

T = TypeVar("T")


class Modal(Enduring, ModalScreen[T]):
    """A dialog."""

    DEFAULT_CSS = """
    Modal .dialog {
        width: 72; max-width: 96%; height: auto; max-height: 96%;
        background: $background; border: round $primary; padding: 0 1;
        border-title-color: $primary; border-title-style: bold;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "close", id="close", tooltip="Close without doing anything"),
    ]

    def on_mount(self) -> None:
        """Let letters move as they do on screens."""
        if self.workbench.settings.key_preset == "vim":
            self._bindings = BindingsMap.merge([self._bindings, BindingsMap(keys.VIM)])

    def _screen_resized(self, size: Size) -> None:
        # As on screens: two sizes that wait in the queue would bring each other about for ever.
        super()._screen_resized(self.app.size)

    @property
    def workbench(self) -> "Workbench":
        """The app."""
        return cast("Workbench", self.app)

    def action_close(self) -> None:
        """Close; the caller is told nothing was chosen."""
        self.dismiss(None)

"""Every key that works now, read from the bindings: of what has the focus, of the screen, and of everywhere."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from msgspec import Struct
from rich.table import Table
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from workbench.modals.base import Modal

if TYPE_CHECKING:
    from textual.dom import DOMNode


class Key(Struct, frozen=True):
    """One line of the help."""

    place: str
    """Where it works: ``here``, ``this screen`` or ``everywhere``."""
    keys: str
    name: str
    tooltip: str


class HelpModal(Modal[None]):
    """Lists keys; typing leaves those whose words hold what was typed."""

    DEFAULT_CSS = """
    HelpModal .dialog { width: 84; }
    HelpModal VerticalScroll { height: auto; max-height: 30; }
    HelpModal.-short VerticalScroll { max-height: 14; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "close", "close", id="close-help", priority=True, tooltip="Close this help"),
        Binding("down", "scroll(1)", "down", id="help-down", show=False, tooltip="Further down"),
        Binding("up", "scroll(-1)", "up", id="help-up", show=False, tooltip="Further up"),
        Binding("pagedown", "scroll(10)", "page", id="help-page-down", show=False, tooltip="A page down"),
        Binding("pageup", "scroll(-10)", "page", id="help-page-up", show=False, tooltip="A page up"),
    ]

    def __init__(self, screen: Screen[object]) -> None:
        super().__init__()
        self._found = keys(screen)
        self._about = (type(screen).__doc__ or "").partition("\n")[0]

    def compose(self) -> ComposeResult:
        """Build the field and the table."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "keys"
            dialog.border_subtitle = "type to filter   ↑↓ scroll   esc close"
            yield Input(placeholder=f"{self._about} Type to find a key.", compact=True, id="find")
            with VerticalScroll(can_focus=False):
                yield Static(table(self._found))

    def on_mount(self) -> None:
        """Take what is typed."""
        self.set_class(self.app.size.height < 36, "-short")
        field = self.query_one(Input)
        field.cursor_blink = False
        field.focus()

    @on(Input.Changed)
    def narrow(self, event: Input.Changed) -> None:
        """Leave the keys whose words hold every word that was typed."""
        if event.value.endswith("?"):
            # The key that opened the help; the field would keep it.
            self.dismiss(None)
            return
        wanted = event.value.casefold().split()
        left = [
            key
            for key in self._found
            if all(word in f"{key.keys} {key.name} {key.tooltip}".casefold() for word in wanted)
        ]
        shown = table(left) if left else Content("No key is described so; : finds everything that can be done.")
        self.query_one(Static).update(shown)

    def action_scroll(self, by: int) -> None:
        """Scroll the table."""
        self.query_one(VerticalScroll).scroll_relative(y=by, animate=False)


def table(found: Iterable[Key]) -> Table:
    """Draw keys in groups by the place where they work."""
    drawn, place = Table.grid(padding=(0, 2)), ""
    for key in found:
        if key.place != place:
            place = key.place
            drawn.add_row(Text(place, style="bold underline"))
        drawn.add_row(Text(key.keys, style="bold"), Text(key.name), Text(key.tooltip, style="dim"))
    return drawn


def keys(screen: Screen[object]) -> list[Key]:
    """List what works now, the nearest first; what explains nothing is left out."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for active in screen.active_bindings.values():
        # Those without an id are the toolkit's own.
        if active.binding.id and active.binding.tooltip:
            entry = (_place(active.node), active.binding.description, active.binding.tooltip)
            found.setdefault(entry, []).append(screen.app.get_key_display(active.binding))
    order = ("here", "this screen", "everywhere")
    listed = [Key(place, " ".join(dict.fromkeys(of)), name, tooltip) for (place, name, tooltip), of in found.items()]
    return sorted(listed, key=lambda key: order.index(key.place))


def _place(node: "DOMNode") -> str:
    if isinstance(node, App):
        return "everywhere"
    return "this screen" if isinstance(node, Screen) else "here"

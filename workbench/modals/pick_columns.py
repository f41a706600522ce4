"""Which columns the table of runs has."""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.columns import columns
from workbench.modals.base import Modal


class Wanted(Struct, frozen=True, kw_only=True):
    """What was chosen."""

    keys: tuple[str, ...]
    """Columns in their order."""
    order: str = ""
    """Column to sort by; empty to leave the order as it is."""


class ColumnsModal(Modal[Wanted]):
    """A list of columns to tick; those that do not fit are dropped from the end."""

    DEFAULT_CSS = """
    ColumnsModal OptionList { height: auto; max-height: 16; border: none; background: $background; padding: 0; }
    ColumnsModal OptionList:focus { border: none; background-tint: transparent; }
    ColumnsModal OptionList > .option-list--option-highlighted {
        background: $primary 35%; color: $foreground; text-style: bold;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,escape", "take", "done", id="take-columns", tooltip="Show these columns", priority=True),
        Binding("space", "tick", "show", id="tick-column", tooltip="Show or hide this column", priority=True),
        Binding("o", "sort", "sort", id="sort-column", tooltip="Sort by this column"),
        Binding("J,shift+j", "move(1)", "later", id="later-column", tooltip="Move the column to the right"),
        Binding("K,shift+k", "move(-1)", "earlier", id="earlier-column", tooltip="Move the column to the left"),
        Binding("j", "step(1)", "down", id="down", show=False, tooltip="The line below"),
        Binding("k", "step(-1)", "up", id="up", show=False, tooltip="The line above"),
    ]

    def __init__(self, keys: Sequence[str]) -> None:
        """Ask.

        Args:
            keys: the columns that are shown, in their order.
        """
        super().__init__()
        self._ticked = [key for key in keys if key in columns]
        self._order = [*self._ticked, *(key for key in columns if key not in self._ticked)]

    def compose(self) -> ComposeResult:
        """Build the list."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "columns"
            dialog.border_subtitle = Content("space show or hide   J/K move   o sort by   esc done")
            yield OptionList(*(Option(self._prompt(key)) for key in self._order))

    def _prompt(self, key: str) -> Text:
        tick = "x" if key in self._ticked else " "
        text = Text.assemble(f"[{tick}] {columns[key].title:<9}", (columns[key].help, "dim"))
        text.no_wrap, text.overflow = True, "ellipsis"
        return text

    def on_mount(self) -> None:
        """Stand on the first line."""
        self._list.focus()
        self._list.highlighted = 0

    @property
    def _list(self) -> OptionList:
        return self.query_one(OptionList)

    def action_take(self) -> None:
        """Give the ticked columns back."""
        self._give()

    def action_sort(self) -> None:
        """Give them back, to be sorted by the one under the cursor."""
        self._give(self._order[self._list.highlighted or 0])

    def _give(self, order: str = "") -> None:
        self.dismiss(Wanted(keys=tuple(key for key in self._order if key in self._ticked), order=order))

    def action_tick(self) -> None:
        """Show the column under the cursor, or hide it."""
        at = self._list.highlighted or 0
        key = self._order[at]
        self._ticked = [k for k in self._ticked if k != key] if key in self._ticked else [*self._ticked, key]
        self._list.replace_option_prompt_at_index(at, self._prompt(key))

    def action_move(self, places: int) -> None:
        """Move the column under the cursor."""
        at = self._list.highlighted or 0
        other = at + places
        if not 0 <= other < len(self._order):
            return
        self._order[at], self._order[other] = self._order[other], self._order[at]
        for place in (at, other):
            self._list.replace_option_prompt_at_index(place, self._prompt(self._order[place]))
        self._list.highlighted = other

    def action_step(self, lines: int) -> None:
        """Step down or up."""
        (self._list.action_cursor_down if lines > 0 else self._list.action_cursor_up)()

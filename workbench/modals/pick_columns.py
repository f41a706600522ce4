"""Which columns the table of runs has."""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import SelectionList

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
    ColumnsModal SelectionList { height: auto; max-height: 16; border: none; background: $background; padding: 0; }
    ColumnsModal SelectionList:focus { border: none; background-tint: transparent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,escape", "take", "done", id="take-columns", tooltip="Show these columns", priority=True),
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
            yield SelectionList[str](*self._options(set(self._ticked)), compact=True)

    def _options(self, ticked: set[str]) -> list[tuple[Text, str, bool]]:
        return [
            (Text.assemble(f"{columns[key].title:<9}", (columns[key].help, "dim")), key, key in ticked)
            for key in self._order
        ]

    def on_mount(self) -> None:
        """Stand on the first line."""
        self._list.focus()
        self._list.highlighted = 0

    @property
    def _list(self) -> SelectionList[str]:
        return self.query_one(SelectionList)

    def action_take(self) -> None:
        """Give the ticked columns back."""
        self._give()

    def action_sort(self) -> None:
        """Give them back, to be sorted by the one under the cursor."""
        if self._list.highlighted is not None:
            self._give(self._order[self._list.highlighted])

    def _give(self, order: str = "") -> None:
        ticked = set(self._list.selected)
        self.dismiss(Wanted(keys=tuple(key for key in self._order if key in ticked), order=order))

    def action_move(self, places: int) -> None:
        """Move the column under the cursor."""
        at = self._list.highlighted
        if at is None or not 0 <= at + places < len(self._order):
            return
        ticked = set(self._list.selected)
        self._order.insert(at + places, self._order.pop(at))
        self._list.clear_options()
        self._list.add_options(self._options(ticked))
        self._list.highlighted = at + places

    def action_step(self, lines: int) -> None:
        """Step down or up."""
        (self._list.action_cursor_down if lines > 0 else self._list.action_cursor_up)()

"""Chooses the runs that are drawn beside the watched one."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from pipeline.runs.rows import Row
from workbench.modals.base import Modal
from workbench.widgets import words


class OverlayModal(Modal[tuple[str, ...]]):
    """A list of runs to tick."""

    DEFAULT_CSS = """
    OverlayModal SelectionList { height: auto; max-height: 16; border: none; background: $background; padding: 0; }
    OverlayModal #overlay-about { color: $text-muted; }
    OverlayModal.-full #overlay-about { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "draw", id="overlay-take", priority=True, tooltip="Draw the ticked runs"),
        Binding("x", "none", "none", id="overlay-none", tooltip="Tick none"),
    ]

    def __init__(self, rows: Sequence[Row], ticked: Collection[str], most: int) -> None:
        """Offer runs.

        Args:
            rows: what can be ticked.
            ticked: ids of those that are.
            most: how many can be drawn at once.
        """
        super().__init__()
        self._rows, self._ticked, self._most = rows, frozenset(ticked), most

    def compose(self) -> ComposeResult:
        """Build the list."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "draw beside this run"
            yield SelectionList[str](
                *(Selection(Content(self._words(row)), row.id, row.id in self._ticked) for row in self._rows)
            )
            yield Static(id="overlay-about", markup=False)

    def on_mount(self) -> None:
        """Say what keys do."""
        self._count()

    @staticmethod
    def _words(row: Row) -> str:
        top1 = f"{words.number(row.top1)} %" if row.top1 is not None else ""
        return f"{words.cut(row.name, 34):34} {words.letters(row):6} {words.status_words(row):16} {top1:>7}"

    @on(SelectionList.SelectedChanged)
    def _count(self) -> None:
        count = len(self.query_one(SelectionList).selected)
        self.set_class(count > self._most, "-full")
        too_many = f"{count} ticked; at most {self._most} fit, take some away"
        hint = f"{count} of at most {self._most}   space ticks, enter draws, x none, esc leaves"
        self.query_one("#overlay-about", Static).update(too_many if count > self._most else hint)

    def action_take(self) -> None:
        """Give the ticked runs."""
        if not self.has_class("-full"):
            self.dismiss(tuple(self.query_one(SelectionList).selected))

    def action_none(self) -> None:
        """Take every tick away."""
        self.query_one(SelectionList).deselect_all()

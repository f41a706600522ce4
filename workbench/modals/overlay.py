"""Chooses the runs that are drawn beside the watched one."""

from collections.abc import Collection, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from pipeline.runs.rows import Row
from workbench.modals.base import Modal
from workbench.widgets import words


class OverlayModal(Modal[tuple[str, ...]]):
    """A list of runs to tick."""

    DEFAULT_CSS = """
    OverlayModal OptionList { height: auto; max-height: 16; border: none; background: $background; padding: 0; }
    OverlayModal OptionList:focus { border: none; }
    OverlayModal #overlay-about { color: $text-muted; }
    OverlayModal.-full #overlay-about { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "draw", id="overlay-take", priority=True, tooltip="Draw the ticked runs"),
        Binding("space", "tick", "tick", id="overlay-tick", priority=True, tooltip="Tick this run, or take it away"),
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
        self._rows, self._ticked, self._most = rows, set(ticked), most

    def compose(self) -> ComposeResult:
        """Build the list."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = "draw beside this run"
            yield OptionList(*(Option(self._words(row), id=row.id) for row in self._rows))
            yield Static(id="overlay-about", markup=False)

    def on_mount(self) -> None:
        """Say what keys do."""
        self._count()

    def _words(self, row: Row) -> Content:
        top1 = f"{words.number(row.top1)} %" if row.top1 is not None else ""
        tick = "x" if row.id in self._ticked else " "
        return Content(
            f"[{tick}] {words.cut(row.name, 30):30} {words.letters(row):6} {words.status_words(row):16}{top1:>8}"
        )

    def _count(self) -> None:
        count = len(self._ticked)
        self.set_class(count > self._most, "-full")
        too_many = f"{count} ticked; at most {self._most} fit, take some away"
        hint = f"{count} of at most {self._most}   space ticks, enter draws, x none, esc leaves"
        self.query_one("#overlay-about", Static).update(too_many if count > self._most else hint)

    def _show(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.query_one(OptionList).replace_option_prompt(row.id, self._words(row))
        self._count()

    def action_take(self) -> None:
        """Give the ticked runs, in the order of the list."""
        if not self.has_class("-full"):
            self.dismiss(tuple(row.id for row in self._rows if row.id in self._ticked))

    def action_tick(self) -> None:
        """Tick the run under the cursor, or take its tick away."""
        place = self.query_one(OptionList).highlighted
        if place is not None:
            self._ticked ^= {self._rows[place].id}
            self._show(self._rows[place : place + 1])

    def action_none(self) -> None:
        """Take every tick away."""
        self._ticked.clear()
        self._show(self._rows)

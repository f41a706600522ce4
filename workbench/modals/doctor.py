"""A look at this machine, the store and the terminal, in a dialog that fills as facts come in."""

import contextlib
from typing import ClassVar

from rich.table import Table
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Static
from textual.worker import get_current_worker

from pipeline.facts import Fact
from workbench import doctor
from workbench.modals.base import Modal
from workbench.widgets import palette

colours = {"ok": "success", "warn": "warning", "bad": "error"}


class DoctorModal(Modal[None]):
    """What is there, what is missing, and how to mend it."""

    DEFAULT_CSS = "DoctorModal .dialog { width: 100; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "copy", "copy", id="copy-text", tooltip="Copy what was found"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._facts: list[Fact] = []
        self._is_over = False

    def compose(self) -> ComposeResult:
        """Build the list."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = "this machine"
            dialog.border_subtitle = "c copy   esc close"
            yield Static(self._table())

    def on_mount(self) -> None:
        """Begin to look."""
        self.query_one(VerticalScroll).focus()
        self._look()

    @work(thread=True, exit_on_error=False, group="doctor")
    def _look(self) -> None:
        with contextlib.closing(doctor.facts(self.workbench.store.folder)) as facts:
            for fact in facts:
                if get_current_worker().is_cancelled:
                    return
                self.app.call_from_thread(self._take, fact)
        self.app.call_from_thread(self._take, None)

    def _take(self, fact: Fact | None) -> None:
        """Show one more fact; None when that was all."""
        if fact is None:
            self._is_over = True
        else:
            self._facts.append(fact)
        if self.is_mounted:
            self.query_one(Static).update(self._table())

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=2)
        table.add_column(no_wrap=True)
        for fact in self._facts:
            mark = palette.style(self.app, colours[fact.outcome], bold=fact.outcome != "ok")
            table.add_row(Text(doctor.marks[fact.outcome], mark), Text(fact.about, "bold"), Text(fact.text))
            if fact.fix:
                table.add_row("", "", Text(fact.fix, palette.style(self.app, "dim")))
        counts = {outcome: sum(fact.outcome == outcome for fact in self._facts) for outcome in ("warn", "bad")}
        verdict = f"{counts['bad']} bad, {counts['warn']} to know about." if any(counts.values()) else "All is well."
        table.add_row("", "", Text(verdict if self._is_over else "Looking at torch and the processor...", "bold"))
        return table

    def action_copy(self) -> None:
        """Copy what was found."""
        self.workbench.copy_to_clipboard("\n".join(doctor.line(fact) for fact in self._facts))

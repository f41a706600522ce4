"""When is a run to stop: after its epoch, after its stage, or now? And is a stop to be withdrawn?"""

from collections.abc import Sequence
from typing import ClassVar, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Button, Static

from pipeline.events import StopWhen
from pipeline.runs.rows import Row
from workbench.modals.base import Modal
from workbench.widgets import words

_ways: dict[StopWhen, str] = {
    "epoch": "e  after this epoch: what it learnt is kept",
    "stage": "a  after this stage, which is then reused by later runs",
    "now": "n  now, at the next step",
}
Way = StopWhen | Literal["never"]
"""When to stop; ``never`` withdraws what was asked before."""


class StopModal(Modal[Way]):
    """Three ways to stop, or none; the default keeps the work, or leaves a stop that is pending as it is."""

    DEFAULT_CSS = """
    StopModal Button { width: 100%; text-align: left; content-align: left middle; }
    StopModal #ways { height: auto; margin: 1 0 0 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "stop('epoch')", "after epoch", id="stop-epoch", tooltip="Stop when this epoch has ended"),
        Binding("a", "stop('stage')", "after stage", id="stop-stage", tooltip="Stop when this stage has ended"),
        Binding("n", "stop('now')", "now", id="stop-now", tooltip="Stop at the next step"),
        Binding("g", "stop('never')", "go on", id="stop-never", tooltip="Withdraw the stop: the run goes on"),
        Binding("down,right", "app.focus_next", "next", id="next-way", show=False, tooltip="The next answer"),
        Binding(
            "up,left", "app.focus_previous", "previous", id="previous-way", show=False, tooltip="The answer before"
        ),
    ]

    def __init__(self, rows: Sequence[Row]) -> None:
        """Ask about runs that go on."""
        super().__init__()
        self._rows = rows
        self._is_pending = any(row.stopping is not None for row in rows)

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with Vertical(classes="dialog") as dialog:
            many = len(self._rows) > 1
            dialog.border_title = f"stop {len(self._rows)} runs?" if many else "stop this run?"
            lines = [f"{row.name}  {words.status_words(row)}" for row in self._rows[:5]]
            lines += [f"and {len(self._rows) - 5} more"] * (len(self._rows) > 5)
            yield Static(Content("\n".join([*lines, "Finished stages stay in the store."])))
            with Vertical(id="ways"):
                for way, label in _ways.items():
                    yield Button(Content(label), id=f"way-{way}", compact=True)
                if self._is_pending:
                    yield Button("g  go on: withdraw the stop", id="way-never", compact=True)
                    yield Button("esc  leave it at that", id="none", compact=True)
                else:
                    yield Button("esc  let it run" if not many else "esc  let them run", id="none", compact=True)

    def on_mount(self) -> None:
        """Stand on what loses nothing."""
        self.query_one("#none" if self._is_pending else "#way-epoch").focus()

    @on(Button.Pressed)
    def answer(self, event: Button.Pressed) -> None:
        """Take the answer of the pressed button."""
        ways: tuple[Way, ...] = (*_ways, "never")
        self.dismiss(next((way for way in ways if event.button.id == f"way-{way}"), None))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to withdraw only what is pending."""
        return not (action == "stop" and parameters == ("never",) and not self._is_pending)

    def action_stop(self, way: Way) -> None:
        """Take the answer of a key."""
        self.dismiss(way)

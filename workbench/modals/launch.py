"""The dry run before a launch: what is reused and trained, how long it takes, whether the data is there."""

from typing import ClassVar

import msgspec
from msgspec import Struct
from rich.table import Table
from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from pipeline.recipe import Recipe
from pipeline.runs.rows import Row
from workbench.estimates import Estimator
from workbench.modals.base import Modal
from workbench.plans import Plan
from workbench.widgets import words


class Answer(Struct, frozen=True, kw_only=True):
    """What a person decided."""

    recipe: Recipe
    """With the download switched on where they asked for it."""
    is_queued: bool = False
    """Begin when the runs before it are over, not at once."""


class LaunchModal(Modal[Answer]):
    """Shows the plan of a recipe; gives the decision back when it is to be launched."""

    DEFAULT_CSS = """
    LaunchModal #plan, LaunchModal #words { height: auto; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,L,shift+l", "launch", "launch", id="launch-now", tooltip="Launch the run"),
        Binding("q", "queue", "queue", id="queue", tooltip="Launch the run when those before it are over"),
        Binding("d", "download", "download", id="download", tooltip="Let the run download the dataset"),
        Binding("left,right", "app.focus_next", "other", id="other", show=False, tooltip="The other button"),
    ]

    def __init__(self, recipe: Recipe, estimator: Estimator) -> None:
        super().__init__()
        self._recipe = recipe
        self._estimator = estimator
        self.plan: Plan | None = None

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = Content(f"launch {words.cut(self._recipe.name, 50)}?")
            yield Static("Looking what the store holds...", id="plan", markup=False)
            yield Static(id="words")
            with Horizontal(classes="buttons"):
                yield Button("y  launch", id="launch", compact=True, disabled=True)
                yield Button("q  queue", id="queue-it", compact=True, disabled=True)
                yield Button("esc  back", id="close", compact=True)

    def on_mount(self) -> None:
        """Find out what a launch would do."""
        self._find_out(self._recipe, list((self.workbench.shelf.rows or {}).values()))

    @work(thread=True, exit_on_error=False, exclusive=True, group="plan")
    def _find_out(self, recipe: Recipe, rows: list[Row]) -> None:
        plan = self._estimator.plan(recipe, rows)
        self.app.call_from_thread(self._show, plan)

    def _show(self, plan: Plan) -> None:
        if not self.is_mounted:
            return
        self.plan = plan
        table = Table.grid(padding=(0, 2))
        for column in ("left", "right", "left", "left"):
            table.add_column(justify=column)
        for entry in plan.entries:
            stage, epochs, what, time = entry.cells()
            style = "dim" if entry.is_reused else "bold"
            table.add_row(Text(stage), Text(epochs), Text(what, style=style), Text(time, style="dim"))
        self.query_one("#plan", Static).update(table)
        lines = [*plan.lines()]
        if plan.absent and plan.can_download:
            lines.append("Press d to let the run download it.")
        self.query_one("#words", Static).update(Content("\n".join(lines)))
        go = self.query_one("#launch", Button)
        go.disabled = self.query_one("#queue-it", Button).disabled = not plan.is_ready
        (go if plan.is_ready else self.query_one("#close")).focus()

    def action_download(self) -> None:
        """Switch the download on and look again."""
        if self.plan is not None and self.plan.can_download:
            dataset = msgspec.structs.replace(self._recipe.dataset, download=True)
            self._recipe = msgspec.structs.replace(self._recipe, dataset=dataset)
            self._find_out(self._recipe, list((self.workbench.shelf.rows or {}).values()))

    @on(Button.Pressed, "#launch")
    def action_launch(self) -> None:
        """Launch at once."""
        self._decide(is_queued=False)

    @on(Button.Pressed, "#queue-it")
    def action_queue(self) -> None:
        """Launch when the runs before it are over."""
        self._decide(is_queued=True)

    def _decide(self, *, is_queued: bool) -> None:
        if self.plan is not None and self.plan.is_ready:
            self.dismiss(Answer(recipe=self._recipe, is_queued=is_queued))

    @on(Button.Pressed, "#close")
    def close_dialog(self) -> None:
        """Close."""
        self.dismiss(None)

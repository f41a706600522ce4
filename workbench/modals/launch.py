"""The dry run before a launch: what is reused, what is trained, whether the data is there."""

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

from pipeline.errors import PipelineError
from pipeline.keys import stage_keys
from pipeline.options import options_of
from pipeline.recipe import Recipe
from pipeline.runs.store import RunStore
from workbench.modals.base import Modal
from workbench.widgets import words


class Entry(Struct, frozen=True, kw_only=True):
    """One line of the plan."""

    stage: str
    epochs: int | None
    """Passes over the training data; None where nothing is trained."""
    is_reused: bool
    """Its result lies in the store."""


class Plan(Struct, frozen=True, kw_only=True):
    """What a launch would do."""

    entries: tuple[Entry, ...]
    absent: str = ""
    """What is missing of the data; empty when it can be loaded."""
    can_download: bool = False
    """The dataset has an option ``download``, and it is off."""
    will_download: bool = False
    """The option is on."""
    problem: str = ""
    """Why it cannot be told what is reused; empty when it can."""

    @property
    def epochs(self) -> int:
        """Epochs that have to be trained."""
        return sum(entry.epochs or 0 for entry in self.entries if not entry.is_reused)

    @property
    def is_ready(self) -> bool:
        """A launch can work."""
        return not self.problem and (not self.absent or self.will_download)


def plan_of(recipe: Recipe, store: RunStore) -> Plan:
    """Find out what a launch would do; reads files, so call it in a thread."""
    keys: list[str] = []
    absent, problem = "", ""
    downloads = any(option.name == "download" for option in options_of(type(recipe.dataset)))
    is_on = downloads and bool(getattr(recipe.dataset, "download", False))
    try:
        absent = recipe.dataset.absent() or ""
        keys = stage_keys(recipe)
    except (PipelineError, OSError) as error:
        problem = "" if absent else str(error)
    entries = [
        Entry(stage=entry.name, epochs=entry.epochs, is_reused=bool(keys) and store.has_stage(keys[place]))
        for place, entry in enumerate(recipe.plan)
    ]
    return Plan(
        entries=tuple(entries), absent=absent, can_download=downloads and not is_on, will_download=is_on,
        problem=problem,
    )  # fmt: skip


class LaunchModal(Modal[Recipe]):
    """Shows the plan of a recipe; gives the recipe back when it is to be launched."""

    DEFAULT_CSS = """
    LaunchModal #plan, LaunchModal #words { height: auto; margin: 0 0 1 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,L,shift+l", "launch", "launch", id="launch-now", tooltip="Launch the run"),
        Binding("d", "download", "download", id="download", tooltip="Let the run download the dataset"),
        Binding("left,right", "app.focus_next", "other", id="other", show=False, tooltip="The other button"),
    ]

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self._recipe = recipe
        self.plan: Plan | None = None

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = Content(f"launch {words.cut(self._recipe.name, 50)}?")
            yield Static("Looking what the store holds...", id="plan", markup=False)
            yield Static(id="words")
            with Horizontal(classes="buttons"):
                yield Button("y  launch", id="launch", compact=True, disabled=True)
                yield Button("esc  back", id="close", compact=True)

    def on_mount(self) -> None:
        """Find out what a launch would do."""
        self._find_out(self._recipe)

    @work(thread=True, exit_on_error=False, exclusive=True, group="plan")
    def _find_out(self, recipe: Recipe) -> None:
        plan = plan_of(recipe, self.workbench.store)
        self.app.call_from_thread(self._show, plan)

    def _show(self, plan: Plan) -> None:
        self.plan = plan
        table = Table.grid(padding=(0, 2))
        for column in ("left", "right", "left"):
            table.add_column(justify=column)
        for entry in plan.entries:
            epochs = "" if entry.epochs is None else f"{entry.epochs} epoch{'s' * (entry.epochs != 1)}"
            what = "reused" if entry.is_reused else "train" if entry.epochs else "calibrate or load"
            table.add_row(Text(entry.stage), Text(epochs), Text(what, style="dim" if entry.is_reused else "bold"))
        self.query_one("#plan", Static).update(table)
        self.query_one("#words", Static).update(Content(self._words(plan)))
        go = self.query_one("#launch", Button)
        go.disabled = not plan.is_ready
        (go if plan.is_ready else self.query_one("#close")).focus()

    def _words(self, plan: Plan) -> str:
        reused = sum(entry.is_reused for entry in plan.entries)
        device = self._recipe.training.device
        epochs = f"{plan.epochs} epoch{'s' * (plan.epochs != 1)}"
        lines = [f"{reused} reused, {len(plan.entries) - reused} to train: {epochs}, device {device}."]
        lines.append(
            f"Then measured with {', '.join(self._recipe.measure.runtimes)}, {self._recipe.measure.threads} thread(s)."
        )
        if plan.problem:
            lines.append(f"\n!! {plan.problem}")
        elif plan.will_download:
            lines.append(f"\n{self._recipe.dataset.name} is downloaded first where it is not there yet.")
        elif plan.absent:
            lines.append(f"\n!! {plan.absent}")
            if plan.can_download:
                lines.append("Press d to let the run download it.")
        return "\n".join(lines)

    def action_download(self) -> None:
        """Switch the download on and look again."""
        if self.plan is not None and self.plan.can_download:
            dataset = msgspec.structs.replace(self._recipe.dataset, download=True)
            self._recipe = msgspec.structs.replace(self._recipe, dataset=dataset)
            self._find_out(self._recipe)

    @on(Button.Pressed, "#launch")
    def action_launch(self) -> None:
        """Give the recipe back."""
        if self.plan is not None and self.plan.is_ready:
            self.dismiss(self._recipe)

    @on(Button.Pressed, "#close")
    def close_dialog(self) -> None:
        """Close."""
        self.dismiss(None)

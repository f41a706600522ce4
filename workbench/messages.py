"""What the feed tells the app: frozen pictures of the runs on disk."""

from msgspec import Struct
from textual.message import Message

from pipeline.recipe import Recipe
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run


class RunView(Struct, frozen=True, kw_only=True):
    """One run as it was when the feed last looked."""

    run: Run
    """The folder, for commands."""
    name: str
    """The recipe's name; the run's id where the recipe cannot be read."""
    recipe: Recipe | None = None
    """What the run does; None where it cannot be read."""
    state: RunState = RunState()
    problem: str = ""
    """Why the run cannot be read, in one sentence; empty when all is well."""

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.run.id

    @property
    def letters(self) -> str:
        """The stages by their initials; ``?`` where the recipe cannot be read."""
        return "?" if self.recipe is None else self.recipe.letters

    @property
    def is_running(self) -> bool:
        """Its process holds the lock."""
        return not self.problem and not self.state.status.is_over

    @property
    def is_finished(self) -> bool:
        """Everything was done, so there are numbers to compare and files to export."""
        return not self.problem and self.state.status is Status.FINISHED

    @property
    def group(self) -> tuple[str, str]:
        """Backbone and dataset: only runs on the same dataset can be compared."""
        if self.recipe is None:
            return "?", "?"
        return self.recipe.backbone, self.recipe.dataset.name


Points = tuple[tuple[float, ...], tuple[float, ...]]
"""Epochs and values of one curve."""


class Curves(Struct, frozen=True, kw_only=True):
    """The curves of one run, thinned to what a terminal can show."""

    series: dict[str, Points] = {}
    """By name of the metric, against the epochs of the whole recipe; what was not finite is NaN."""
    borders: tuple[float, ...] = ()
    """Epoch at which each entry of the plan begins."""


class RunsChanged(Message):
    """Runs came, went or went on."""

    def __init__(self, views: tuple[RunView, ...]) -> None:
        super().__init__()
        self.views = views
        """Every run, newest first."""


class RunChanged(Message):
    """The followed run has new curves or printed something."""

    def __init__(self, run_id: str, curves: Curves | None, lines: tuple[str, ...]) -> None:
        super().__init__()
        self.run_id = run_id
        self.curves = curves
        """All of its curves; None when they have not changed."""
        self.lines = lines
        """What was printed since the last message."""


class FeedFailed(Message):
    """The store itself cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
        """One sentence."""

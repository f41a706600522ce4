"""What the feed tells the app: frozen pictures of the runs on disk."""

from typing import TYPE_CHECKING

from msgspec import Struct
from textual.message import Message

from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from pipeline.runs.store import Run
from workbench.tail import Earlier

if TYPE_CHECKING:
    from pipeline.recipe import Recipe

Points = tuple[tuple[float, ...], tuple[float, ...]]
"""Epochs and values of one curve."""


class Curves(Struct, frozen=True, kw_only=True):
    """The curves of one run, thinned to what a terminal can show."""

    series: dict[str, Points] = {}
    """By name of the metric, against the epochs of the whole recipe; what was not finite is NaN."""
    borders: tuple[float, ...] = ()
    """Epoch at which each entry of the plan begins."""
    clock: Points = ((), ())
    """Epochs, and the seconds since 1970 at which they were reached."""
    bad: dict[str, int] = {}
    """By name of the metric: how many of its values were not finite; those without any are left out."""


class Detail(Struct, frozen=True, kw_only=True):
    """Everything about one run that a row leaves out, as it was when the feed last looked."""

    run: Run
    """The folder, for commands."""
    recipe: "Recipe | None" = None
    """What the run does; None where it cannot be read."""
    state: RunState = RunState()
    curves: Curves | None = None
    """None where nobody asked for them."""
    problem: str = ""
    """Why the run cannot be read, in one sentence; empty when all is well."""

    @property
    def id(self) -> str:
        """The folder's name."""
        return self.run.id


class Interest(Struct, frozen=True, kw_only=True):
    """What a screen wants to know beside the rows."""

    ids: tuple[str, ...] = ()
    """Runs whose details are read, and read on as they go on."""
    has_curves: bool = False
    """With their curves."""
    log: str | None = None
    """The run of which what it printed is read, too."""


class RowsChanged(Message):
    """Runs came, went or went on."""

    def __init__(self, rows: tuple[Row, ...], *, is_complete: bool = True) -> None:
        super().__init__()
        self.rows = rows
        """Every run, newest first; a row that is the same object as before has not changed."""
        self.is_complete = is_complete
        """False while older runs are still being read for the first time."""


class DetailsChanged(Message):
    """Runs of interest were read, or went on."""

    def __init__(self, details: tuple[Detail, ...]) -> None:
        super().__init__()
        self.details = details
        """One or more, to be drawn together."""


class LogGrew(Message):
    """The run whose log is wanted printed something."""

    def __init__(self, run_id: str, lines: tuple[str, ...], earlier: Earlier | None = None) -> None:
        super().__init__()
        self.run_id = run_id
        self.lines = lines
        """What was printed since the last message, without control characters."""
        self.earlier = earlier
        """What stands before them, where they take the place of all that were told; None where they go on."""


class FeedFailed(Message):
    """The store itself cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason
        """One sentence."""

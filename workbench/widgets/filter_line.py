"""The line above the table of runs: the filter, what is wrong with it or how it goes on, and what is in sight."""

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from pipeline.errors import FilterError
from workbench import filters
from workbench.columns import columns
from workbench.shelf import Shelf

if TYPE_CHECKING:
    from workbench.app import Workbench

MOST_KEPT = 30
"""Filters that are remembered."""
SHORT = 40
"""Cells of the line that tells what is in sight, but where it needs more."""
PREPARE_S = 0.1
"""Seconds from the opening of the line to the gathering of what is searched."""


class FilterInput(Input):
    """The field; up and down go through earlier filters."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(1)", "earlier", id="earlier-filter", show=False, tooltip="The filter before"),
        Binding("down", "recall(-1)", "later", id="later-filter", show=False, tooltip="The filter after"),
        Binding("escape", "leave", "clear", id="leave-filter", tooltip="Clear the filter; an empty one is left"),
    ]

    class Left(Message):
        """The field was left."""

    def __init__(self, text: str, earlier: list[str]) -> None:
        """Make the field.

        Args:
            text: the filter in force.
            earlier: filters used before, the newest last.
        """
        super().__init__(text, placeholder="filter", compact=True, select_on_focus=False)
        self.earlier = list(earlier)
        """Filters used before, the newest last."""
        self._steps_back = 0

    def action_recall(self, steps: int) -> None:
        """Take an earlier filter."""
        self._steps_back = max(0, min(self._steps_back + steps, len(self.earlier)))
        self.value = self.earlier[-self._steps_back] if self._steps_back else ""
        self.cursor_position = len(self.value)

    def action_leave(self) -> None:
        """Clear the text; leave when there is none."""
        if self.value:
            self.value = ""
        else:
            self.post_message(self.Left())

    def keep(self, text: str) -> None:
        """Remember a filter that was used."""
        self.earlier = [*(known for known in self.earlier if known != text), text][-MOST_KEPT:]
        self._steps_back = 0


class FilterLine(Vertical):
    """The field with what it leads to."""

    DEFAULT_CSS = """
    FilterLine {
        height: auto; padding: 0 1;
        #filter-row { height: 1; }
        #filter-row > #slash { width: 2; color: $text-muted; }
        Input.-textual-compact { width: 1fr; }
        Input.-textual-compact:blur { background: $background !important; }
        #in-sight { width: 40; max-width: 75%; height: 1; color: $text-muted; text-align: right; text-wrap: nowrap; }
        #in-sight.-long { width: 60; }
        &.-editing #in-sight { width: 30; text-overflow: ellipsis; }
        #filter-hint { display: none; height: auto; max-height: 2; color: $text-muted; }
        #filter-hint.-wrong { color: $text-error; }
        &.-editing #filter-hint { display: block; }
    }
    """

    class Changed(Message):
        """Another filter is in force."""

    class Left(Message):
        """The field was left."""

    def __init__(self) -> None:
        super().__init__()
        self._in_sight = ""

    @property
    def _workbench(self) -> "Workbench":
        return cast("Workbench", self.app)

    def compose(self) -> ComposeResult:
        """Build the field and what stands beside and below it."""
        memory = self._workbench.memory
        kept: list[object] = memory.get("runs.filters", [])
        earlier = [text for text in kept if isinstance(text, str)]
        with Horizontal(id="filter-row"):
            yield Static("/", id="slash")
            yield FilterInput(self._workbench.shelf.filter.text, earlier)
            yield Static(id="in-sight", markup=False)
        yield Static(id="filter-hint", markup=False)

    @property
    def input(self) -> FilterInput:
        """The field."""
        return self.query_one(FilterInput)

    def show(self, shelf: Shelf, dropped: int) -> None:
        """Say what is in sight.

        Args:
            shelf: with the filter in force.
            dropped: columns that do not fit.
        """
        text = in_sight(shelf, dropped)
        if text != self._in_sight:
            self._in_sight = text
            # Of two widths, since another one lays out the screen anew, which takes longer than sorting thousands.
            shown = self.query_one("#in-sight", Static).set_class(len(text) > SHORT, "-long")
            shown.update(Content(text), layout=False)
        if not self.input.has_focus and self.input.value != shelf.filter.text:
            self.input.value = shelf.filter.text

    @on(Input.Changed)
    def filter(self, event: Input.Changed) -> None:
        """Filter at each letter; while the text is wrong or a key is half written the last good filter stays."""
        event.stop()
        before, hint = self._workbench.shelf.filter.text, filters.hint(event.value)
        if event.value != before and self._narrow(event.value):
            if hint and not self._workbench.shelf.visible:
                # No run is called like the beginning of a key: its comparison is still to come.
                self._narrow(before)
            self._say(hint)
        elif event.value == before:
            self._say(hint)

    @on(Input.Submitted)
    def accept(self, event: Input.Submitted) -> None:
        """Keep the filter and leave the field; a wrong one stays to be mended."""
        event.stop()
        if not self._narrow(event.value):
            return
        if event.value:
            self.input.keep(event.value)
            self._workbench.memory.put("runs.filters", self.input.earlier)
        self.post_message(self.Left())

    def _narrow(self, text: str) -> bool:
        try:
            self._workbench.shelf.narrow(text)
        except FilterError as error:
            self._say(str(error), is_wrong=True)
            return False
        self.post_message(self.Changed())
        return True

    @on(FilterInput.Left)
    def leave(self, event: FilterInput.Left) -> None:
        """Leave the field."""
        event.stop()
        self.post_message(self.Left())

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show how the filter could go on."""
        self.add_class("-editing")
        self._say(filters.hint(self.input.value))
        # Before the first letter, which would pay for it, and after the line has opened.
        self.set_timer(PREPARE_S, lambda: filters.prepare((self._workbench.shelf.rows or {}).values()))

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Show the filter that is in force."""
        self.remove_class("-editing")
        self.input.value = self._workbench.shelf.filter.text

    def _say(self, text: str, *, is_wrong: bool = False) -> None:
        hint = self.query_one("#filter-hint", Static)
        hint.set_class(is_wrong, "-wrong")
        content = Content(f"x {text}" if is_wrong else text or " ")
        # Where it takes one row as before: laying out the screen anew costs more than filtering.
        hint.update(content, layout=content.cell_length > self.size.width - 2 or hint.size.height > 1)


def in_sight(shelf: Shelf, dropped: int) -> str:
    """Say how many runs are in sight, in what order, how many are marked and what is left out."""
    count, total = len(shelf.visible), len(shelf.rows or {})
    parts = [f"{count:,} of {total:,}" if shelf.filter.text else f"{total:,} run{'s' * (total != 1)}"]
    if not shelf.is_complete and shelf.rows is not None:
        parts[0] += ", reading on"
    if shelf.marked:
        hidden = len(shelf.marked - {row.id for row in shelf.visible})
        parts.append(f"{len(shelf.marked):,} marked{f' ({hidden:,} hidden)' if hidden else ''}")
    if shelf.order:
        parts.append(f"by {columns[shelf.order].key} {'↓' if shelf.is_reversed else '↑'}")
    elif shelf.is_reversed:
        parts.append("oldest first")
    if dropped:
        parts.append(f"+{dropped} column{'s' * (dropped != 1)}")
    return "   ".join(parts)

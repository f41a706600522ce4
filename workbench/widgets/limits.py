"""A small line for limits of a chart, as in ``x=0:50 y=90:95``, with what is wrong about it beside it."""

import math
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from workbench.widgets.axis import Span


class LimitsLine(Horizontal):
    """Hidden until it is asked for."""

    DEFAULT_CSS = """
    LimitsLine { height: 1; display: none; }
    LimitsLine.-open { display: block; }
    LimitsLine Input { width: 26; }
    LimitsLine Static { width: auto; padding: 0 1; }
    LimitsLine #limits-about { width: 1fr; color: $text-muted; }
    LimitsLine.-wrong #limits-about { color: $text-error; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "back", show=False, id="limits-leave", tooltip="Leave the limits as they are"),
    ]

    class Given(Message):
        """Limits were typed; None for what is free."""

        def __init__(self, x: Span | None, y: Span | None) -> None:
            super().__init__()
            self.x = x
            self.y = y

    class Left(Message):
        """Nothing was changed."""

    def compose(self) -> ComposeResult:
        """Build the line."""
        yield Static("limits", markup=False)
        yield Input(compact=True, id="limits-input", placeholder="x=0:50 y=90:95", select_on_focus=False)
        yield Static(id="limits-about", markup=False)

    def ask(self, title: str, x: Span | None, y: Span | None) -> None:
        """Open the line with the present limits of a chart."""
        given = [f"{name}={span[0]:g}:{span[1]:g}" for name, span in (("x", x), ("y", y)) if span is not None]
        self._hint = f"x of all charts, y of {title}; enter on nothing resets"
        self._say(self._hint)
        field = self.query_one(Input)
        field.value = " ".join(given)
        field.cursor_position = len(field.value)
        self.add_class("-open")
        field.focus()

    @on(Input.Changed)
    def _check(self, event: Input.Changed) -> None:
        event.stop()
        if self.has_class("-wrong"):
            self._say(self._hint)

    @on(Input.Submitted)
    def _take(self, event: Input.Submitted) -> None:
        event.stop()
        try:
            x, y = parse_limits(event.value)
        except ValueError as error:
            self._say(str(error), is_wrong=True)
            return
        self.remove_class("-open")
        self.post_message(self.Given(x, y))

    def action_leave(self) -> None:
        """Close the line."""
        self.remove_class("-open")
        self.post_message(self.Left())

    def _say(self, text: str, *, is_wrong: bool = False) -> None:
        self.set_class(is_wrong, "-wrong")
        self.query_one("#limits-about", Static).update(text)


def parse_limits(text: str) -> tuple[Span | None, Span | None]:
    """Understand limits such as ``x=0:50 y=90:95``.

    Returns:
        Limits of x and of y; None for what was not named.

    Raises:
        ValueError: one sentence for a person.
    """
    found: dict[str, Span] = {}
    for word in text.split():
        name, _, rest = word.partition("=")
        low, colon, high = rest.partition(":")
        if name not in ("x", "y") or not colon:
            raise ValueError(f"{word!r} is no limit; write x=0:50 or y=90:95.")
        try:
            limits = float(low.replace(",", "")), float(high.replace(",", ""))
        except ValueError:
            raise ValueError(f"{rest!r} is not two numbers; write {name}=0:50.") from None
        if not (math.isfinite(limits[0]) and math.isfinite(limits[1]) and limits[0] < limits[1]):
            raise ValueError(f"{name} goes from low to high, found {rest}.")
        found[name] = limits
    return found.get("x"), found.get("y")

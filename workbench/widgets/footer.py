"""The last row of every screen: the keys that are of use now."""

from collections.abc import Callable
from itertools import accumulate

from rich.cells import cell_len
from rich.text import Text
from textual.binding import ActiveBinding, Binding
from textual.dom import DOMNode
from textual.events import Click, MouseMove
from textual.widget import Widget

from workbench import keys
from workbench.widgets import palette

MOST = 9
"""Keys that are shown at once."""
GAP = "  "
standing = (("help", "context_help"), ("quit",))
"""Actions that stand at the end whatever the screen; where a field takes the letter, another key or action."""


class Footer(Widget):
    """Shows as many keys as fit, those of what has the focus first; a click presses one."""

    DEFAULT_CSS = "Footer { dock: bottom; height: 1; background: $background; }"

    def __init__(self, offers: Callable[[Binding], bool]) -> None:
        """Begin empty.

        Args:
            offers: tells of a key that works whether it is of use now.
        """
        super().__init__()
        self._offers = offers
        self._words: list[tuple[str, str]] = []
        self._keys: list[ActiveBinding] = []

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.show_keys())

    def on_resize(self) -> None:
        """Show what fits now."""
        self.show_keys()

    def show_keys(self) -> None:
        """Find out which keys are of use; nothing is sent where they are the same."""
        if not self.size.width:
            return
        self._keys = self._fitting()
        words = [self._word(active) for active in self._keys]
        if words != self._words:
            self._words = words
            self.refresh()

    def offered(self) -> list[ActiveBinding]:
        """List the keys that are of use, the first one of each action; at the end those that always stand there."""
        field = self.screen.focused
        working = [
            active
            for key, active in self.screen.active_bindings.items()
            # The toolkit does not know of every letter that a field takes it.
            if active.enabled and not (field and field.check_consume_key(key, keys.letter(key)))
        ]
        found: dict[tuple[DOMNode, str], ActiveBinding] = {}
        for active in working:
            if self._offers(active.binding):
                found.setdefault((active.node, active.binding.action), active)
        last = []
        for actions in standing:
            same = [active for active in working if active.binding.action in actions]
            last += sorted(same, key=lambda active: not active.binding.show)[:1]
        return [active for active in found.values() if active not in last] + last

    def _fitting(self) -> list[ActiveBinding]:
        """Leave out what does not fit, the last ones first but for those that always stand there."""
        shown = self.offered()
        widths = [self._width(active) for active in shown]
        while len(shown) > len(standing) and (len(shown) > MOST or sum(widths) > self.size.width + 1):
            del shown[-len(standing) - 1], widths[-len(standing) - 1]
        return shown

    def _width(self, active: ActiveBinding) -> int:
        """Give the cells that a key takes, with the gap behind it."""
        return cell_len(" ".join(self._word(active)) + GAP)

    def _word(self, active: ActiveBinding) -> tuple[str, str]:
        word = active.binding.description
        return self.app.get_key_display(active.binding), word[:1].lower() + word[1:]

    def render(self) -> Text:
        """Draw the row."""
        text, key_style = Text(no_wrap=True), palette.style(self.app, "footer-key-foreground", bold=True)
        for place, (key, word) in enumerate(self._words):
            text.append(GAP if place else " ")
            text.append(key, style=key_style).append(f" {word}")
        return text

    def _key_at(self, x: int) -> ActiveBinding | None:
        ends = accumulate(self._width(active) for active in self._keys)
        return next((active for active, end in zip(self._keys, ends, strict=True) if x < end - 1), None)

    def on_mouse_move(self, event: MouseMove) -> None:
        """Explain the key that the mouse is on."""
        active = self._key_at(event.x)
        self.tooltip = active.tooltip if active is not None else None

    def on_click(self, event: Click) -> None:
        """Press the key that was clicked."""
        active = self._key_at(event.x)
        if active is not None:
            self.app.simulate_key(active.binding.key)

"""What is remembered of the view from one session to the next: tab, filter, order, axes, sizes of panes."""

from typing import TypeVar

T = TypeVar("T")


class Memory:
    """Values by name (``live.smoothing``); a value of another type than the default is passed over."""

    def __init__(self) -> None:
        self._values: dict[str, object] = {}

    def get(self, name: str, default: T) -> T:
        """Give what was remembered."""
        found = self._values.get(name, default)
        return found if isinstance(found, type(default)) else default

    def put(self, name: str, value: object) -> None:
        """Remember a text, a number, a truth value, or a list of these."""
        self._values[name] = value

"""What is remembered of the view from one session to the next: tab, filter, order, axes, sizes of panes.

It lies in a file of its own for each store. Nothing depends on it: where it cannot be read, everything is as at first.
"""

import contextlib
import hashlib
import threading
from pathlib import Path
from typing import TypeVar

import msgspec

from workbench import locations

T = TypeVar("T")

DELAY_S = 1.0
"""Seconds after a change at which it is written, together with those that follow it meanwhile."""
LARGEST = 1_000_000
"""Bytes of a file that is read; ours are far smaller."""
EVERYWHERE = "everywhere"
"""Name of what is remembered whatever the store."""


class Memory:
    """Values by name (``live.smoothing``); a value of another type than the default is passed over."""

    def __init__(self, path: Path | None = None) -> None:
        """Begin with what a file holds.

        Args:
            path: the file; None remembers nothing beyond the session.
        """
        self._path = path
        self._values: dict[str, object] = _read(path) if path else {}
        self._changed: set[str] = set()
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()

    @property
    def is_kept(self) -> bool:
        """It lasts beyond the session."""
        return self._path is not None

    def get(self, name: str, default: T) -> T:
        """Give what was remembered."""
        found = self._values.get(name, default)
        if isinstance(default, float) and type(found) is int:
            found = float(found)
        fits = isinstance(found, type(default)) and isinstance(found, bool) == isinstance(default, bool)
        return found if fits else default  # type: ignore[return-value]

    def put(self, name: str, value: object) -> None:
        """Remember a text, a number, a truth value, or a list of these; it is written within a second."""
        with self._lock:
            if name in self._values and self._values[name] == value:
                return
            self._values[name] = value
            self._changed.add(name)
            if self._path is not None and self._timer is None:
                self._timer = threading.Timer(DELAY_S, self.write)
                self._timer.daemon = True
                self._timer.start()

    def write(self) -> None:
        """Write at once what is not yet written. A second workbench on the same store keeps what only it changed."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if self._path is None or not self._changed:
                return
            changed = {name: self._values[name] for name in self._changed}
            # A view that cannot be kept is no reason to disturb anybody.
            with contextlib.suppress(OSError, TypeError, ValueError):
                from pipeline import files

                self._path.parent.mkdir(parents=True, exist_ok=True)
                files.write_bytes(self._path, msgspec.json.encode(_read(self._path) | changed))
            self._changed.clear()

    def forget(self) -> None:
        """Be as at first, on the disk as well."""
        with self._lock:
            self._values.clear()
            self._changed.clear()
            if self._path is not None:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)


def path_of(store: Path | None) -> Path:
    """Give the file for a store; None for what is remembered whatever the store."""
    name = EVERYWHERE if store is None else hashlib.sha256(str(store.resolve()).encode()).hexdigest()[:16]
    return locations.state_folder() / "views" / f"{name}.json"


def _read(path: Path) -> dict[str, object]:
    try:
        if path.stat().st_size > LARGEST:
            return {}
        found = msgspec.json.decode(path.read_bytes(), type=dict[str, object])
    except (OSError, ValueError, RecursionError):
        return {}
    return found

"""One file per screen, found by its name; a leading underscore hides a helper.

The first line of the file declares the screen, as in ``4 Frontier: which one do I take?``: its key, its word in the
top bar and the question that it answers. So all screens are listed without importing one.
"""

import importlib
import re
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from workbench.screens._base import WorkbenchScreen

_declaration = re.compile(r'"""(\w) (\w+): (.*?)"*$')


class Entry(Struct, frozen=True, kw_only=True):
    """What a screen declares."""

    name: str
    """Its file, and its mode."""
    key: str
    """The key that opens it."""
    tab: str
    """Its word in the top bar."""
    question: str
    """What it answers, for the help."""

    def make(self) -> "WorkbenchScreen":
        """Import it and build it."""
        from workbench.screens._base import WorkbenchScreen

        module = importlib.import_module(f"{__name__}.{self.name}")
        own = (value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__)
        found = next(v for v in own if isinstance(v, type) and issubclass(v, WorkbenchScreen))
        return found(self)


@cache
def found() -> dict[str, Entry]:
    """List the screens by the name of their file, in the order of their keys."""
    entries = []
    for path in Path(__file__).parent.glob("[!_]*.py"):
        with path.open(encoding="utf-8") as file:
            declared = _declaration.match(file.readline().strip())
        assert declared is not None, f"{path} does not declare its screen in its first line"
        entries.append(Entry(name=path.stem, key=declared[1], tab=declared[2], question=declared[3]))
    return {entry.name: entry for entry in sorted(entries, key=lambda entry: entry.key)}


def factories() -> dict[str, "partial[WorkbenchScreen]"]:
    """Give what makes each screen, by its name."""
    return {name: partial(Entry.make, entry) for name, entry in found().items()}

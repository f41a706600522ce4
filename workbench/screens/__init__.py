"""One file per screen, found by its name; a leading underscore hides a helper."""

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workbench.screens._base import WorkbenchScreen


@cache
def found() -> dict[str, "type[WorkbenchScreen]"]:
    """List the screens by the name of their file, in the order of their keys."""
    from workbench.screens._base import WorkbenchScreen

    screens: dict[str, type[WorkbenchScreen]] = {}
    for path in Path(__file__).parent.glob("[!_]*.py"):
        module = importlib.import_module(f"{__name__}.{path.stem}")
        own = (value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__)
        screens[path.stem] = next(v for v in own if isinstance(v, type) and issubclass(v, WorkbenchScreen))
    return dict(sorted(screens.items(), key=lambda item: item[1].KEY))

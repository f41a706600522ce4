"""What can be plugged in: names without importing, a description cheaply, one loaded when it is needed.

A plug-in is a file in the folder of its kind; a leading underscore hides a helper. Listing and describing read
file names and docstrings, so neither torch nor a broken plug-in can spoil a start.
"""

import ast
import functools
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pipeline.errors import BrokenPlugin, MissingDependency, UnknownPlugin
from pipeline.options import suggest
from pipeline.protocols import Dataset, Stage

Kind = Literal["stages", "backbones", "datasets", "exports", "runtimes"]

home = Path(__file__).parent
single = {
    "stages": "stage",
    "backbones": "backbone",
    "datasets": "dataset",
    "exports": "export",
    "runtimes": "runtime",
}


def names(kind: Kind) -> list[str]:
    """List what stands in the folder of a kind, sorted."""
    return sorted(path.stem for path in (home / kind).glob("*.py") if not path.stem.startswith("_"))


def is_external(name: str) -> bool:
    """Tell ``package.module:attribute``, a plug-in from outside, from the name of one of ours."""
    return ":" in name


def check(kind: Kind, name: str) -> None:
    """Refuse an unknown name without importing anything.

    Raises:
        UnknownPlugin: says the nearest and all known names.
    """
    if is_external(name):
        module, _, attribute = name.partition(":")
        if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
            raise UnknownPlugin(f"{name!r} is not of the form package.module:attribute.")
    elif name not in names(kind):
        raise UnknownPlugin(f"no {single[kind]} is called {name!r}; {suggest(name, names(kind))}")


@functools.cache
def describe(kind: Kind, name: str) -> str:
    """Give the first line of a plug-in's docstring, read without importing it."""
    check(kind, name)
    if is_external(name):
        return f"from {name}"
    docstring = ast.get_docstring(_tree(kind, name)) or ""
    return docstring.partition("\n")[0].rstrip(".")


@functools.cache
def constant(kind: Kind, name: str, attribute: str) -> Any:
    """Read a module-level constant (a literal) of a plug-in without importing it; None when it has none."""
    if is_external(name):
        return None
    for statement in _tree(kind, name).body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        if any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            assert statement.value is not None
            return ast.literal_eval(statement.value)
    return None


def missing(kind: Kind, name: str) -> list[str]:
    """List the packages that a plug-in needs and that are not installed."""
    required = constant(kind, name, "REQUIRES") or ()
    return [package for package in required if importlib.util.find_spec(package) is None]


def load(kind: Kind, name: str) -> Any:
    """Import one plug-in: a class for a stage or a dataset, else the module (or the attribute from outside).

    Raises:
        UnknownPlugin: no plug-in has that name.
        MissingDependency: a package that it needs is not installed.
        BrokenPlugin: its module failed to import; the cause is attached.
    """
    check(kind, name)
    absent = missing(kind, name)
    if absent:
        raise MissingDependency(
            f"the {single[kind]} {name!r} needs {', '.join(absent)}: install with 'uv pip install {' '.join(absent)}'."
        )
    module_name, _, attribute = name.partition(":") if is_external(name) else (f"pipeline.{kind}.{name}", "", "")
    try:
        module = importlib.import_module(module_name)
        found = functools.reduce(getattr, attribute.split("."), module) if attribute else module
    except Exception as error:
        raise BrokenPlugin(
            f"the {single[kind]} {name!r} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    return _declared_class(module, kind) if kind in ("stages", "datasets") else found


def _declared_class(module: ModuleType, kind: Kind) -> type[Stage] | type[Dataset]:
    base = Stage if kind == "stages" else Dataset
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, base) and value.__module__ == module.__name__:
            return value
    raise BrokenPlugin(f"{module.__name__} declares no {base.__name__}.")


@functools.cache
def _tree(kind: Kind, name: str) -> ast.Module:
    return ast.parse((home / kind / f"{name}.py").read_text(encoding="utf-8"))

"""What can be plugged in: names without importing, a description cheaply, one loaded when it is needed.

A plug-in is a file in the folder of its kind (a leading underscore hides a helper), or an entry point of an installed
distribution in the group ``pqd_workbench.<kind>``; a file of ours hides an entry point of the same name. Listing and
describing read file names, metadata and docstrings, so neither torch nor a broken plug-in can spoil a start.
"""

import ast
import functools
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pipeline.errors import BrokenPlugin, MissingDependency, UnknownPlugin
from pipeline.options import quoted, suggest
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
    """List what stands in the folder of a kind and what is installed for it, sorted."""
    return sorted({*_ours(kind), *_installed(kind)})


def is_external(name: str) -> bool:
    """Tell ``package.module:attribute``, a plug-in from outside, from the name of one of ours."""
    return ":" in name


def is_ours(kind: Kind, name: str) -> bool:
    """Tell a file in the folder of a kind from what was installed or lies outside."""
    return name in _ours(kind)


def check(kind: Kind, name: str) -> None:
    """Refuse an unknown name without importing anything.

    Raises:
        UnknownPlugin: says the nearest and all known names.
    """
    if is_external(name):
        module, _, attribute = name.partition(":")
        if not all(part.isidentifier() for part in [*module.split("."), *attribute.split(".")]):
            raise UnknownPlugin(f"{quoted(name)} is not of the form package.module:attribute.")
    elif name not in names(kind):
        raise UnknownPlugin(f"no {single[kind]} is called {quoted(name)}; {suggest(name, names(kind))}")


@functools.cache
def describe(kind: Kind, name: str) -> str:
    """Give the first line of a plug-in's docstring, read without importing it; where it comes from if it has none."""
    check(kind, name)
    tree = _tree(kind, name)
    docstring = (ast.get_docstring(tree) if tree and not is_external(name) else None) or f"from {_target(kind, name)}"
    return docstring.partition("\n")[0].rstrip(".")


@functools.cache
def constant(kind: Kind, name: str, attribute: str) -> Any:
    """Read a module-level constant (a literal) of a plug-in without importing it; None when it has none."""
    tree = _tree(kind, name)
    for statement in tree.body if tree else []:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        if any(isinstance(target, ast.Name) and target.id == attribute for target in targets):
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            assert statement.value is not None
            return ast.literal_eval(statement.value)
    return None


def source(kind: Kind, name: str) -> Path | None:
    """Find the file of a plug-in without importing it or its package; None when there is none."""
    if is_ours(kind, name):
        return home / kind / f"{name}.py"
    top, *inner = _target(kind, name).partition(":")[0].split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:  # a module in memory that came from no file
        return None
    path = Path(spec.origin) if spec is not None and spec.origin else None
    if path is not None and inner:
        path = path.parent.joinpath(*inner)
        path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path if path is not None and path.suffix == ".py" and path.is_file() else None


def missing(kind: Kind, name: str) -> list[str]:
    """List the packages that a plug-in needs and that are not installed."""
    required = constant(kind, name, "REQUIRES") or ()
    return [package for package in required if importlib.util.find_spec(package) is None]


def load(kind: Kind, name: str) -> Any:
    """Import one plug-in: a class for a stage or a dataset, else the module (or the attribute that is named).

    Raises:
        UnknownPlugin: no plug-in has that name.
        MissingDependency: a package that it needs is not installed.
        BrokenPlugin: its module failed to import, or is not what the kind asks for; the cause is attached.
    """
    check(kind, name)
    absent = missing(kind, name)
    if absent:
        raise MissingDependency(
            f"the {single[kind]} {name!r} needs {', '.join(absent)}: install with 'uv pip install {' '.join(absent)}'."
        )
    module_name, _, attribute = _target(kind, name).partition(":")
    try:
        module = importlib.import_module(module_name)
        found = functools.reduce(getattr, attribute.split("."), module) if attribute else module
    except Exception as error:
        raise BrokenPlugin(
            f"the {single[kind]} {name!r} cannot be imported: {type(error).__name__}: {error}."
        ) from error
    if kind not in ("stages", "datasets"):
        return found
    record = _declared_class(found, kind)
    if not is_external(name) and record.__name__.lower() != name:
        raise BrokenPlugin(f"the {single[kind]} {name!r} is a class {record.__name__}; the two names must be alike.")
    return record


def _declared_class(found: Any, kind: Kind) -> type[Stage] | type[Dataset]:
    base = Stage if kind == "stages" else Dataset
    candidates = vars(found).values() if isinstance(found, ModuleType) else [found]
    for value in candidates:
        is_own = not isinstance(found, ModuleType) or getattr(value, "__module__", None) == found.__name__
        if is_own and isinstance(value, type) and issubclass(value, base):
            return value
    if isinstance(found, ModuleType):
        raise BrokenPlugin(f"{found.__name__} declares no {base.__name__}.")
    raise BrokenPlugin(f"{getattr(found, '__qualname__', found)} is no subclass of pipeline.protocols.{base.__name__}.")


def _ours(kind: Kind) -> list[str]:
    return [path.stem for path in (home / kind).glob("*.py") if not path.stem.startswith("_")]


@functools.cache
def _installed(kind: Kind) -> dict[str, str]:
    """Give the entry points of a kind: ``package.module`` or ``package.module:attribute``, by name."""
    from importlib import metadata

    return {entry.name: entry.value for entry in metadata.entry_points(group=f"pqd_workbench.{kind}")}


def _target(kind: Kind, name: str) -> str:
    """Say where a plug-in lies: ``package.module`` or ``package.module:attribute``."""
    if is_external(name):
        return name
    return f"pipeline.{kind}.{name}" if is_ours(kind, name) else _installed(kind)[name]


@functools.cache
def _tree(kind: Kind, name: str) -> ast.Module | None:
    """Parse the file of a plug-in; None where there is none, or it is not valid Python."""
    path = source(kind, name)
    try:
        return ast.parse(path.read_bytes()) if path else None
    except (OSError, SyntaxError, ValueError):
        return None

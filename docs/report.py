"""Write docs/report.md from the declarations: every field of report.json, its type, its unit, what None means.

uv run python docs/report.py
"""

import ast
import inspect
import typing
from pathlib import Path
from types import UnionType
from typing import Any

from msgspec import Struct

from pipeline import files
from pipeline.runs.description import FORMAT, Description

page = Path(__file__).with_suffix(".md")
head = f"""# report.json

Written by `docs/report.py` from the declarations that the program itself reads.

`pqd-workbench show RUN --json` and `run --json` print this document, an exported run holds it as `report.json`, and
`pipeline.runs.description.load(path)` reads it. Its `format` is {FORMAT}. The promise: as long as it is, fields are
only ever added, and none changes its name, type, unit or meaning. A reader ignores what it does not know. A number
that is not finite is null.
"""


def text() -> str:
    """Give the page."""
    return "\n".join([head, *map(_section, _records(Description))])


def _records(record: type[Struct]) -> list[type[Struct]]:
    """List a record and those that its fields hold, each once, in the order in which a reader meets them."""
    found = [record]
    for one in found:
        inner = (part for hint in typing.get_type_hints(one).values() for part in _parts(hint))
        found += [part for part in dict.fromkeys(inner) if part not in found]
    return found


def _parts(hint: Any) -> list[type[Struct]]:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return [hint]
    return [part for argument in typing.get_args(hint) for part in _parts(argument)]


def _section(record: type[Struct]) -> str:
    words, hints = _docstrings(record), typing.get_type_hints(record)
    rows = [f"| `{name}` | {_type(hints[name])} | {words.get(name, '')} |" for name in record.__struct_fields__]
    about = (record.__doc__ or "").partition("\n")[0]
    return "\n".join(
        [f"## {_title(record)}", "", about, "", "| field | type | what it is |", "|---|---|---|", *rows, ""]
    )


def _docstrings(record: type[Struct]) -> dict[str, str]:
    """Read what stands below each field or property, in the class and in those that it extends."""
    found: dict[str, str] = {}
    for one in reversed(record.__mro__):
        if one in (Struct, object) or not issubclass(one, Struct):
            continue
        (tree,) = ast.parse(inspect.getsource(one)).body
        assert isinstance(tree, ast.ClassDef)
        for field, below in zip(tree.body, tree.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
                words = " ".join(str(ast.literal_eval(below.value)).split())
                found[field.target.id] = words.replace("``", "`").replace("None", "null")
    return found


def _type(hint: Any) -> str:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return f"[{_title(hint)}](#{_title(hint).lower()})"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is UnionType:
        return " or ".join(_type(argument) for argument in arguments)
    if origin is dict:
        return f"table of {_type(arguments[1])}"
    if origin is tuple:
        count = "" if arguments[-1] is ... else f"{len(arguments)} of "
        return f"list of {count}{_type(arguments[0])}"
    plain = {int: "integer", float: "number", bool: "true or false", type(None): "null", Any: "anything"}
    return plain.get(hint, "text")


def _title(record: type[Struct]) -> str:
    return record.__name__.removesuffix("Numbers") or "Numbers"


if __name__ == "__main__":
    files.write_text(page, text())

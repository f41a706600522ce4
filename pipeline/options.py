"""What a declared option is: its type, bounds, default and help, read from the record that declares it.

A stage, a dataset or a section of the recipe is a frozen ``msgspec.Struct``. Its fields are its options.
The TOML key, the form field and the documentation row all come from that one declaration.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta, Struct, inspect

from pipeline import decoding
from pipeline.errors import RecipeError

R = TypeVar("R", bound=Struct)

Kind = Literal["int", "float", "bool", "str", "choice", "list", "table"]
"""What a value is; ``choice`` is one of several texts, ``table`` maps names to values of any kind."""

type_names = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "table": "a table like { name = value }",
}
lists = {"int": "a list of whole numbers", "float": "a list of numbers", "str": "a list of texts"}
LARGEST = 2**53
"""No whole number may be larger: none that arithmetic cannot hold exactly."""
LONGEST_VALUE = 80
"""Letters of a value that a message quotes."""


class Option(Struct, frozen=True, kw_only=True):
    """One option of a stage, a dataset or a section of the recipe."""

    name: str
    """The TOML key."""
    kind: Kind
    """What a value is; ``choice`` is one of ``choices``."""
    default: Any
    """The value when the recipe is silent; None may mean 'not set' (see ``optional``)."""
    required: bool
    """There is no default: the recipe must give a value."""
    optional: bool
    """None is a legal value."""
    minimum: float | None = None
    """Smallest legal value, of each item where there are several; None when unbounded."""
    maximum: float | None = None
    """Largest legal value, of each item where there are several; None when unbounded."""
    open_minimum: bool = False
    """The minimum itself is not legal."""
    open_maximum: bool = False
    """The maximum itself is not legal."""
    items: Literal["int", "float", "str"] = "str"
    """What each member of a ``list`` is."""
    choices: tuple[str, ...] = ()
    """Every legal value of a ``choice``."""
    help: str = ""
    """One phrase for a person."""
    unit: str = ""
    """Unit of the value; empty for a pure number."""
    is_path: bool = False
    """The value is a path; a relative one is resolved against the recipe's folder."""

    def allowed(self) -> str:
        """Say in words which values are legal."""
        if self.kind == "choice":
            words = "one of " + ", ".join(self.choices)
        else:
            words = lists[self.items] if self.kind == "list" else type_names[self.kind]
            low = None if self.minimum is None else f"{'above' if self.open_minimum else 'at least'} {self.minimum:g}"
            high = None if self.maximum is None else f"{'below' if self.open_maximum else 'at most'} {self.maximum:g}"
            bounds = " and ".join(bound for bound in (low, high) if bound)
            words = f"{words} {bounds}".rstrip()
        return f"{words}, or nothing" if self.optional else words

    def parse(self, text: str) -> Any:
        """Read a value that a person typed into a form field or on the command line.

        Raises:
            RecipeError: the text is not a legal value; says what is.
        """
        text = text.strip()
        if not text and self.optional:
            return None
        try:
            match self.kind:
                case "int":
                    value: Any = int(text)
                case "float":
                    value = float(text)
                case "bool":
                    value = {
                        "true": True,
                        "yes": True,
                        "on": True,
                        "false": False,
                        "no": False,
                        "off": False,
                    }[text.lower()]
                case "list":
                    parts = [part.strip(" \"'") for part in text.strip("[]").split(",")]
                    read: Callable[[str], Any] = {"int": int, "float": float, "str": str}[self.items]
                    value = [read(part) for part in parts if part]
                case "table":
                    import tomli

                    value = tomli.loads(f"value = {text or '{}'}")["value"]
                case _:
                    value = text
        except (ValueError, KeyError):
            raise RecipeError(f"{self.name} is {quoted(text)}; it must be {self.allowed()}.") from None
        self.check(value)
        return value

    def check(self, value: Any) -> None:
        """Refuse a value outside the bounds or the choices.

        Raises:
            RecipeError: says what was found and what is allowed.
        """
        if value is None and self.optional:
            return
        legal = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, int | float) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "str": isinstance(value, str),
            "choice": value in self.choices,
            "list": isinstance(value, list | tuple) and all(self._is_item(item) for item in value),
            "table": isinstance(value, Mapping),
        }[self.kind]
        if legal and self.kind in ("int", "float"):
            legal = self._within_bounds(value)
        if not legal:
            raise RecipeError(f"{self.name} is {quoted(value)}; it must be {self.allowed()}.")

    def _is_item(self, item: Any) -> bool:
        if self.items == "str":
            return isinstance(item, str)
        numbers = int if self.items == "int" else int | float
        return isinstance(item, numbers) and not isinstance(item, bool) and self._within_bounds(item)

    def _within_bounds(self, value: float) -> bool:
        low, high = self.minimum, self.maximum
        above = low is None or (value > low if self.open_minimum else value >= low)
        below = high is None or (value < high if self.open_maximum else value <= high)
        in_range = math.isfinite(value) if isinstance(value, float) else abs(value) <= LARGEST
        return in_range and above and below


def options_of(record: type[Struct]) -> tuple[Option, ...]:
    """List the options that a record declares, in the order of declaration; tables stand last, as in TOML."""
    info = inspect.type_info(record)
    assert isinstance(info, inspect.StructType)
    hints = get_type_hints(record, include_extras=True)
    found = (_option(field, _literals(hints[field.name])) for field in info.fields)
    return tuple(sorted(found, key=lambda option: option.kind == "table"))


def build(record: type[R], values: Mapping[str, Any], *, where: str) -> R:
    """Make a record from decoded TOML.

    Args:
        record: the declaring class.
        values: decoded keys and values.
        where: key path of the table, for messages (``stages[1]``); empty for the top level.

    Raises:
        RecipeError: an unknown key (with the nearest name), a value out of bounds or a missing one.
    """
    options = {option.name: option for option in options_of(record)}
    for key, value in values.items():
        if key not in options:
            raise RecipeError(f"{_path(where, key[:LONGEST_VALUE])} is not an option here; {suggest(key, options)}")
        try:
            options[key].check(value)
        except RecipeError as error:
            prefix = f"{where}." if where else ""
            raise RecipeError(f"{prefix}{error}") from None
    for name, option in options.items():
        if option.required and name not in values:
            raise RecipeError(f"{_path(where, name)} is missing; it must be {option.allowed()}.")
    try:
        return msgspec.convert(dict(values), record)
    except msgspec.ValidationError as error:
        raise RecipeError(f"{where or 'the recipe'}: {decoding.cut(str(error))}.") from None


def quoted(value: Any) -> str:
    """Write a value into a message, shortened; whoever wrote it may have made it of any size."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"a number of {value.bit_length():,} bits"
    try:
        text = repr(value)
    except (RecursionError, ValueError):
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def absolute(value: str, folder: Path) -> str:
    """Resolve a path against a folder, its ``~`` being the home of whoever asks.

    From wherever a file is named, it comes out the same: what is on one path is told by comparing texts.

    Raises:
        RecipeError: no path can be written so.
    """
    try:
        if "\0" in value:
            raise RuntimeError("it holds the letter NUL")
        path = Path(value).expanduser()
        while path.parts[:1] == ("..",):
            path, folder = Path(*path.parts[1:]), folder.resolve().parent
        return str(folder / path)
    except RuntimeError as error:
        raise RecipeError(f"the path {quoted(value)} cannot be used: {str(error).rstrip('.')}.") from None


def resolve(record: type[Struct], values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Give values of a record with the paths among them resolved against a folder.

    Raises:
        RecipeError: no path can be written so.
    """
    paths = {option.name for option in options_of(record) if option.is_path}
    return {
        key: absolute(value, folder) if key in paths and isinstance(value, str) else value
        for key, value in values.items()
    }


def suggest(name: str, known: Iterable[str]) -> str:
    """Name the nearest known word, or all of them: the end of a sentence about an unknown one."""
    import difflib

    known = list(known)
    near = difflib.get_close_matches(name[:LONGEST_VALUE], known, n=1, cutoff=0.6)
    listed = ", ".join(known) if known else "nothing"
    return f"did you mean {near[0]!r}? Known: {listed}." if near else f"known: {listed}."


def _path(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _literals(hint: Any) -> tuple[str, ...]:
    """Find the values of a ``Literal`` inside a type, in the order in which they were declared."""
    if get_origin(hint) is Literal:
        return tuple(str(value) for value in get_args(hint))
    return tuple(value for part in get_args(hint) if not isinstance(part, Meta) for value in _literals(part))


_items: dict[Literal["int", "float"], type[inspect.Type]] = {"int": inspect.IntType, "float": inspect.FloatType}


def _option(field: inspect.Field, choices: tuple[str, ...]) -> Option:
    kind, meta, optional = field.type, {}, False
    if isinstance(kind, inspect.Metadata):
        meta, kind = _meta(kind), kind.type
    if isinstance(kind, inspect.UnionType):
        optional = any(isinstance(part, inspect.NoneType) for part in kind.types)
        (kind,) = [part for part in kind.types if not isinstance(part, inspect.NoneType)]
        if isinstance(kind, inspect.Metadata):
            meta, kind = meta | _meta(kind), kind.type
    bounded = getattr(kind, "item_type", kind)
    low, open_low = _bound(bounded, "ge", "gt")
    high, open_high = _bound(bounded, "le", "lt")
    default = field.default
    if field.default_factory is not NODEFAULT:
        default = field.default_factory()
    return Option(
        name=field.encode_name,
        kind=_kind(kind),
        default=None if default is NODEFAULT else default,
        required=field.required,
        optional=optional,
        minimum=low,
        maximum=high,
        open_minimum=open_low,
        open_maximum=open_high,
        items=next((name for name, kind_of in _items.items() if isinstance(bounded, kind_of)), "str"),
        choices=choices,
        help=meta.get("description", ""),
        unit=meta.get("unit", ""),
        is_path=meta.get("path", False),
    )


def _meta(kind: inspect.Metadata) -> dict[str, Any]:
    return {**(kind.extra_json_schema or {}), **(kind.extra or {})}


def _bound(kind: inspect.Type, closed: str, opened: str) -> tuple[float | None, bool]:
    if getattr(kind, opened, None) is not None:
        return getattr(kind, opened), True
    return getattr(kind, closed, None), False


def _kind(kind: inspect.Type) -> Kind:
    match kind:
        case inspect.LiteralType():
            return "choice"
        case inspect.BoolType():
            return "bool"
        case inspect.IntType():
            return "int"
        case inspect.FloatType():
            return "float"
        case inspect.ListType() | inspect.VarTupleType():
            return "list"
        case inspect.DictType():
            return "table"
        case _:
            return "str"

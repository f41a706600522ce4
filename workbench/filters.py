"""The filter of the tables and plots of runs: ``top1>90 size<2MiB tag:int8 !failed | pinned``.

Terms side by side all have to hold; ``or`` (or ``|``) parts alternatives. A term is a comparison of a column
(``workbench.columns``), ``key:text``, ``pinned``, or a word that is looked for in the name, the stages, the state, the
backbone, the dataset and the tags. ``!`` in front turns a term round; double quotes hold words together. Letters may be
large or small. A run whose number is not known passes no comparison of it.
"""

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from pipeline.errors import FilterError
from pipeline.options import suggest
from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from workbench.columns import Column, columns, named

__all__ = ["Filter", "FilterError", "hint", "parse", "prepare"]

Term = Callable[[Row], bool]

_token = re.compile(r'\||(?:[^\s"|]|"[^"]*")+|"[^"]*')
_comparison = re.compile(r"([^\W\d]\w*)(>=|<=|!=|==|=|>|<|:)(.*)", re.DOTALL)
_quantity = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*([a-z%]*)")
_operators: dict[str, Callable[[Any, Any], bool]] = {
    ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le, "=": operator.eq, "==": operator.eq,
    "!=": operator.ne,
}  # fmt: skip
_searched = ("run", "stages", "state", "backbone", "dataset", "tag")
_texts: dict[str, tuple[Row, str]] = {}
"""By id: the row as it was when it was last searched, and its words."""
_flags: dict[str, Term] = {"pinned": lambda row: row.pinned}
_states = (*(status.value for status in Status), "unreadable")


class Filter(Struct, frozen=True):
    """A filter that was understood."""

    text: str
    """As it was typed."""
    alternatives: tuple[tuple[Term, ...], ...] = ((),)
    """A run passes where all terms of one of them hold."""

    def matches(self, row: Row) -> bool:
        """Tell whether a run passes."""
        return any(all(term(row) for term in terms) for terms in self.alternatives)

    def among(self, rows: Iterable[Row]) -> list[Row]:
        """List the runs that pass, in their order; at each letter of thousands, so one term after the other."""
        if len(self.alternatives) > 1:
            return [row for row in rows if self.matches(row)]
        found = [*rows]
        for term in self.alternatives[0]:
            found = [row for row in found if term(row)]
        return found


def parse(text: str) -> Filter:
    """Understand a filter; an empty one lets every run pass.

    Raises:
        FilterError: says which term, and what is allowed.
    """
    if text.count('"') % 2:
        raise FilterError(f"a quote is not closed: {text[text.rindex(chr(34)) :]}; end it with a double quote.")
    alternatives: list[list[Term]] = [[]]
    tokens = _token.findall(text)
    for token in tokens:
        if token == "|" or token.casefold() == "or":
            alternatives.append([])
        else:
            alternatives[-1].append(_term(token))
    if len(alternatives) > 1 and not all(alternatives):
        raise FilterError("a term is missing beside 'or'; write one on both sides of it, as in: failed or lost.")
    return Filter(text, tuple(tuple(terms) for terms in alternatives))


def hint(text: str) -> str:
    """Say how the word at the end of a filter could go on: keys that begin so, or values that its key takes."""
    word = re.split(r"[\s|]", text)[-1].lstrip("!").casefold()
    compared = _comparison.fullmatch(word)
    if compared is not None:
        column = named(compared[1])
        if column is None or compared[3]:
            return ""
        if column.key == "state":
            return " ".join(_states)
        return f"{column.help}{', in ' + ', '.join(column.units) if column.units else ''}"
    if not word:
        return 'top1>90  size<2MiB  tag:word  !failed  name  "two words"  pinned  a or b'
    column = named(word)
    if column is not None:
        return f"{column.help}; go on with {'> < >= <= or =' if column.is_number else ': or ='}"
    return "  ".join(key for key in (*columns, *_flags) if key.startswith(word) and key != word)


def _term(token: str) -> Term:
    bare = token.lstrip("!")
    if not bare:
        raise FilterError(f"{token!r} stands alone; write what has to be absent right after it, as in !failed.")
    term = _positive(bare)
    return (lambda row: not term(row)) if (len(token) - len(bare)) % 2 else term


def _positive(word: str) -> Term:
    compared = None if word.startswith('"') else _comparison.fullmatch(word)
    if compared is None:
        flag = _flags.get(word.casefold())
        return flag or _containing(_plain(word))
    key, sign, value = compared.groups()
    column = named(key)
    if column is None:
        raise FilterError(f"{word!r}: there is no {key!r}; {suggest(key.casefold(), columns)}")
    value = _plain(value)
    if not value:
        what = "a number" if column.is_number else "a word"
        raise FilterError(f"{word!r} needs {what} after the {sign!r}.")
    return _number(column, sign, value, word) if column.is_number else _text(column, sign, value, word)


def _plain(text: str) -> str:
    return text.replace('"', "").casefold()


def prepare(rows: Iterable[Row]) -> None:
    """Gather what bare words are looked for in, so that the first letter of a filter takes no longer than the next."""
    for row in rows:
        _searched_text(row)


def _containing(word: str) -> Term:
    return lambda row: word in _searched_text(row)


def _searched_text(row: Row) -> str:
    """Give what a bare word is looked for in; kept, since each letter of a filter asks it of every run."""
    known = _texts.get(row.id)
    if known is None or known[0] is not row:
        found = "\n".join(str(columns[key].value(row)) for key in _searched).casefold()
        known = _texts[row.id] = row, found
    return known[1]


def _number(column: Column, sign: str, text: str, word: str) -> Term:
    found = _quantity.fullmatch(text)
    units = ", ".join(column.units)
    allowed = f"a number{f', alone or with one of {units}' if units else ' without a unit'}"
    if found is None:
        raise FilterError(f"{word!r}: {text!r} is not a number; {column.key} takes {allowed}.")
    if found[2] and found[2] not in column.units:
        raise FilterError(f"{word!r}: {found[2]!r} is not a unit of {column.key}; it takes {allowed}.")
    factor = column.units[found[2]] if found[2] else 1.0
    wanted = float(found[1]) * factor
    if sign in (">", "<", ">=", "<="):
        return _compared(column, _operators[sign], wanted)
    # What is read off the table is rounded: 94.1 stands for everything that is written so.
    half = 0.5 * factor * 10.0 ** -len(found[1].partition(".")[2]) if "e" not in found[1] else 0.0
    is_wanted = sign != "!="
    return _compared(column, lambda value, other: (abs(value - other) <= half) == is_wanted, wanted)


def _compared(column: Column, compare: Callable[[float, float], bool], wanted: float) -> Term:
    def holds(row: Row) -> bool:
        value = column.value(row)
        return value is not None and not isinstance(value, str) and compare(value, wanted)

    return holds


def _text(column: Column, sign: str, wanted: str, word: str) -> Term:
    if column.key == "state" and not any(wanted in state for state in _states):
        raise FilterError(f"{word!r}: no state is called {wanted!r}; {suggest(wanted, _states)}")
    if sign == ":":
        return lambda row: wanted in str(column.value(row)).casefold()
    if column.key == "tag" and sign in ("=", "==", "!="):
        return lambda row: (wanted in (tag.casefold() for tag in row.tags)) == (sign != "!=")
    compare = _operators[sign]
    return lambda row: compare(str(column.value(row)).casefold(), wanted)

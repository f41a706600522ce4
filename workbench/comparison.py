"""Runs side by side: where their recipes differ, what each stage gave, what came of it, layer by layer."""

import csv
import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from pipeline.recipe import Recipe
from pipeline.report import TensorSize
from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from pipeline.runs.wording import value as value_words
from workbench.columns import columns
from workbench.widgets import scatter, standing, words

NONE = "-"
"""Stands where a run has no such thing."""


class Side(Struct, frozen=True, kw_only=True):
    """What is known of one of the runs."""

    row: Row
    recipe: Recipe | None = None
    """None where it cannot be read, or is not there yet."""
    state: RunState = RunState()


class Line(Struct, frozen=True, kw_only=True):
    """One thing in all runs."""

    section: str
    """``numbers``, ``recipe``, ``stages`` or ``layers``."""
    name: str
    """A quantity, a key path, a stage or a layer."""
    values: tuple[str, ...]
    """In the order of the runs."""
    changes: tuple[str, ...] = ()
    """Against the reference, as in ``-0.5 pt``; empty for none, and for the reference."""

    @property
    def is_equal(self) -> bool:
        """All runs have the same."""
        return len(set(self.values)) <= 1


def compare(sides: Sequence[Side], reference: int = 0) -> list[Line]:
    """Set runs side by side.

    Args:
        sides: the runs.
        reference: which of them the others are compared with.
    """
    return [*_numbers(sides, reference), *_recipe(sides), *_stages(sides), *_layers(sides)]


def _numbers(sides: Sequence[Side], reference: int) -> Iterable[Line]:
    for column in columns.values():
        if not column.is_number or column.key == "seed":
            continue
        axis = scatter.axis(column.key, is_log=False)
        found = [axis.value(side.row) for side in sides]
        if all(math.isnan(value) for value in found):
            continue
        base, texts = found[reference], tuple(column.text(side.row).strip() for side in sides)
        changes = tuple(
            "" if text == texts[reference] or math.isnan(value) or math.isnan(base) else axis.change(base, value)
            for text, value in zip(texts, found, strict=True)
        )
        yield Line(section="numbers", name=column.title, values=texts, changes=changes)
        if column.key == "points":
            significance = tuple(standing.significance(side.row) or NONE for side in sides)
            yield Line(section="numbers", name="to its baseline", values=significance)
    measured = tuple(f"{side.row.condition}, {side.row.cpu}" if side.row.condition else NONE for side in sides)
    if any(text != NONE for text in measured):
        yield Line(section="numbers", name="measured in", values=measured)


def _recipe(sides: Sequence[Side]) -> Iterable[Line]:
    flat = [dict(_flat(side.recipe.document())) if side.recipe is not None else {} for side in sides]
    return [
        Line(section="recipe", name=key, values=tuple(one.get(key, NONE) for one in flat))
        for key in _merged(flat)
        if key != "name"
    ]


def _flat(document: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, str]]:
    for key, found in document.items():
        here = f"{path}.{key}" if path else key
        if isinstance(found, Mapping):
            yield from _flat(found, here)
        elif key == "stages" and not path:
            yield from _flat_stages(found)
        else:
            yield here, value_words(found)


def _flat_stages(stages: Sequence[Mapping[str, Any]]) -> Iterable[tuple[str, str]]:
    """File options under the stage's name, so that the same stage in another place is no difference of them."""
    names = [str(stage.get("stage", "?")) for stage in stages]
    yield "order", " ".join(names) or "no stages"
    for place, stage in enumerate(stages):
        again = names[: place + 1].count(names[place])
        options = {key: found for key, found in stage.items() if key != "stage"}
        yield from _flat(options, names[place] + (f" {again}" if again > 1 else ""))


def _merged(flat: Sequence[Mapping[str, object]]) -> list[str]:
    """List the keys of all, those that only later ones have after their neighbours."""
    order: list[str] = []
    for one in flat:
        at = 0
        for key in one:
            if key in order:
                at = order.index(key) + 1
            else:
                order.insert(at, key)
                at += 1
    return order


def _stages(sides: Sequence[Side]) -> Iterable[Line]:
    for place in range(max((len(side.state.stages) for side in sides), default=0)):
        entries = [side.state.stages[place] if place < len(side.state.stages) else None for side in sides]
        name = f"{place} " if place else ""
        names = {entry.stage for entry in entries if entry is not None}
        what = next(iter(names)) if len(names) == 1 else "stage"
        quantities: tuple[tuple[str, Callable[[Any], str]], ...] = (
            ("", lambda entry: f"{entry.stage}, {'reused' if entry.reused else entry.status}"),
            (" top1 %", lambda entry: words.number(entry.top1)),
            (" zeros %", lambda entry: _percent(entry.metrics.get("sparsity"))),
            (" time", lambda entry: words.duration(entry.seconds)),
        )
        for title, write in quantities:
            values = tuple(NONE if entry is None else write(entry) for entry in entries)
            if any(value != NONE for value in values):
                yield Line(section="stages", name=f"{name}{what}{title}", values=values)


def _layers(sides: Sequence[Side]) -> Iterable[Line]:
    zeros = [side.state.stages[-1].layer_sparsity if side.state.stages else {} for side in sides]
    sizes = [
        {tensor.name: tensor for tensor in side.state.deployed.size.tensors} if side.state.deployed.size else {}
        for side in sides
    ]
    weights = [
        {name: tensor for name, tensor in one.items() if name.endswith(".weight") and len(tensor.shape) > 1}
        for one in sizes
    ]
    named: list[dict[str, object]] = [
        dict.fromkeys([*one, *(_layer(name) for name in other if _layer(name) not in one)])
        for one, other in zip(zeros, weights, strict=True)
    ]
    for name in _merged(named):
        values = tuple(
            _layer_words(one.get(name), other.get(f"{name}.weight")) for one, other in zip(zeros, weights, strict=True)
        )
        yield Line(section="layers", name=name, values=values)


def _layer(name: str) -> str:
    return name.removesuffix(".weight")


def _layer_words(sparsity: float | None, tensor: TensorSize | None) -> str:
    """Write zeros in percent, type and coded bits a weight: ``50.0 % int8 4.34 b``."""
    if tensor is not None and tensor.num_values:
        zeros = 100 * (1 - tensor.num_nonzero / tensor.num_values)
        return f"{zeros:.1f} % {tensor.dtype} {8 * tensor.coded_bytes / tensor.num_values:.2f} b"
    return NONE if sparsity is None else f"{100 * sparsity:.1f} %"


def _percent(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.1f}"


def as_csv(sides: Sequence[Side], lines: Sequence[Line]) -> bytes:
    """Write the table with a header, a change beside its value."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["section", "name", *(cell for side in sides for cell in (side.row.id, "change"))])
    for line in lines:
        changes = line.changes or ("",) * len(line.values)
        cells = (cell for pair in zip(line.values, changes, strict=True) for cell in pair)
        writer.writerow([line.section, line.name, *cells])
    return text.getvalue().encode()


def as_text(sides: Sequence[Side], lines: Sequence[Line]) -> bytes:
    """Write the table as plain text, as wide as it needs."""
    table = [("", *(side.row.name for side in sides))]
    section = ""
    for line in lines:
        if line.section != section:
            section = line.section
            table.append((section.upper(), *("" for _ in sides)))
        table.append((line.name, *cells(line)))
    widths = [max(len(row[place]) for row in table) for place in range(len(sides) + 1)]
    written = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table)
    return ("\n".join(written) + "\n").encode()


formats = {".csv": as_csv, ".txt": as_text}
"""By the ending of the file."""


def cells(line: Line) -> tuple[str, ...]:
    """Write values with their changes: ``94.1 (-0.5 pt)``."""
    changes = line.changes or ("",) * len(line.values)
    return tuple(f"{v} ({c})" if c else v for v, c in zip(line.values, changes, strict=True))

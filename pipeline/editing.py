"""Change a recipe in its TOML text: comments, order and everything that is not changed stay as a person wrote them.

A text is cut into blocks: what stands before the first table, and each table with the comment lines right above its
header. A stage is the block of its ``[[stages]]`` with the blocks of the tables inside it (``[stages.training]``); it
moves and goes with its comments. A comment that blank lines set apart belongs to no table and stays where it is.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import tomli
import tomlkit
from msgspec import Struct
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from pipeline import decoding
from pipeline.errors import PipelineError

Path = tuple[str | int, ...]
"""Where a value stands: ``("stages", 1, "sparsity")``."""

MOST_TABLES = 300
"""Of a text of which messages name a line."""

_header = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_bare = re.compile(r"[A-Za-z0-9_-]+")


class _Block(Struct):
    """A table as it is written."""

    path: Path
    """Of the table; empty before the first header."""
    text: str
    """Comments above the header, the header, the keys; ends with a line break unless it is empty."""
    gap: str = ""
    """Blank lines after it, and comments that they set apart."""


def put(text: str, path: Path, value: Any) -> str:
    """Give the text with one value changed, added, or removed.

    Args:
        text: valid TOML.
        path: of the value; tables on the way are made.
        value: None removes it; a table takes the place of the one that is there, key by key.
    """
    expected = decoding.toml(text)
    found = _at(expected, path)
    if found == value and type(found) is type(value):
        return text
    if path[0] == "dataset" and len(path) > 1 and isinstance(expected.get("dataset"), str):
        return put(text, ("dataset",), {"name": expected["dataset"], str(path[1]): value})
    _change(expected, path, value)
    return _sure(lambda: _put_into(text, path, value, found), expected)


def move_stage(text: str, place: int, to: int) -> str:
    """Give the text with a stage at another place; the stages between make room."""
    return _rearranged(text, lambda stages, _: stages.insert(to, stages.pop(place)))


def remove_stage(text: str, place: int) -> str:
    """Give the text without a stage and its comments."""
    return _rearranged(text, lambda stages, _: stages.pop(place))


def add_stage(text: str, place: int, values: Mapping[str, Any]) -> str:
    """Give the text with a new stage before the one at a place; at the end where the place is their number."""
    return _rearranged(text, lambda stages, new: stages.insert(place, new), new=values)


def copy_stage(text: str, place: int) -> str:
    """Give the text with a stage, its comments included, a second time right below itself."""
    return _rearranged(text, lambda stages, _: stages.insert(place, stages[place]))


def line_of(text: str, path: Path) -> int | None:
    """Tell in which line, counted from 1, a value is written; the line of its table where it is not; None without one.

    Args:
        text: valid TOML.
        path: of the value.
    """
    best: tuple[int, int] | None = None
    line = 1
    for block in _blocks(text):
        for depth in range(len(path), 0, -1):
            inside = path[: len(block.path)] == block.path and len(block.path) <= depth
            found = _line_in(block, path[len(block.path) : depth]) if inside else None
            if found is not None and (best is None or depth > best[0]):
                best = depth, line + found
        line += block.text.count("\n") + block.gap.count("\n")
    return best[1] if best else None


def located(message: str, text: str) -> str:
    """Begin a message about a recipe with the line that it is about, where it names a key path that stands there."""
    path = path_in(message)
    # Cutting a text costs the square of its tables; no person wrote so many.
    line = line_of(text, path) if path and text.count("\n[") < MOST_TABLES else None
    return message if line is None else f"line {line}: {message}"


def path_in(message: str) -> Path:
    """Give the key path with which a message about a recipe begins; empty when it begins with another word."""
    found = re.match(r"[A-Za-z_][\w-]*(?:\[\d+\]|\.[\w-]+)*", message)
    parts = re.findall(r"[\w-]+", found[0]) if found else []
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _put_into(text: str, path: Path, value: Any, found: Any) -> str:
    blocks = _blocks(text)
    if isinstance(found, Mapping) and isinstance(value, Mapping) and any(block.path == path for block in blocks):
        for key in [*found, *value]:
            text = put(text, (*path, key), value.get(key))
        return text
    if value is None or (isinstance(value, str) and isinstance(found, Mapping)):
        blocks = [block for block in blocks if block.path[: len(path)] != path]
    is_there = _at(decoding.toml(_joined(blocks)), path) is not None
    if value is not None or is_there:
        _put(blocks, path, value, is_there=is_there)
    return _joined(blocks)


def _change(document: dict[str, Any], path: Path, value: Any) -> None:
    """Change a decoded document as ``put`` changes the text."""
    place: Any = document
    for part in path[:-1]:
        place = place[part] if isinstance(part, int) else place.setdefault(part, {})
    if value is None:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = tomlkit.item(_item(value)).unwrap()


def _sure(edit: Callable[[], str], expected: dict[str, Any]) -> str:
    """Edit a text; where it is laid out in a way that this fails for, write it anew: the values are right always."""
    try:
        text = edit()
        if decoding.toml(text) == expected:
            return text
    except (PipelineError, TOMLKitError, LookupError, TypeError, ValueError):
        pass
    return tomlkit.dumps(expected)


def _line_in(block: _Block, rest: Path) -> int | None:
    lines = block.text.split("\n")
    if not rest:
        return next((at for at, line in enumerate(lines) if _header.match(line)), None)
    dotted = r"\s*\.\s*".join(rf"[\"']?{re.escape(str(part))}[\"']?" for part in rest)
    key = re.compile(rf"\s*{dotted}\s*[=.]")
    return next((at for at, line in enumerate(lines) if key.match(line)), None)


def _at(place: Any, path: Path) -> Any:
    for part in path:
        try:
            place = place[part]
        except (KeyError, IndexError, TypeError):
            return None
    return place


def _blocks(text: str) -> list[_Block]:
    """Cut a text; a line within a value of several lines is no header, since what stands before it is not whole."""
    lines = text.splitlines(keepends=True)
    starts: list[tuple[int, Path]] = [(0, ())]
    stages = -1
    for at, line in enumerate(lines):
        match = _header.match(line)
        if match is None or not _is_whole("".join(lines[:at])):
            continue
        path: Path = tuple(_names(match[1]))
        stages += path == ("stages",)
        if path[:1] == ("stages",):
            path = ("stages", stages, *path[1:])
        starts.append((_with_comments(lines, at), path))
    ends = [start for start, _ in starts[1:]] + [len(lines)]
    return [_block(lines[start:end], path) for (start, path), end in zip(starts, ends, strict=True)]


def _block(lines: Sequence[str], path: Path) -> _Block:
    text, gap = list(lines), list[str]()
    kept = len(text)
    while kept and (not text[kept - 1].strip() or text[kept - 1].lstrip().startswith("#")):
        kept -= 1
    if kept:
        # Comments right below the last key are the table's own.
        while kept < len(text) and text[kept].strip():
            kept += 1
    text, gap = text[:kept], text[kept:]
    if text and not text[-1].endswith("\n"):
        text[-1] += "\n"
    return _Block(path, "".join(text), "".join(gap))


def _with_comments(lines: Sequence[str], at: int) -> int:
    while at and lines[at - 1].lstrip().startswith("#"):
        at -= 1
    return at


def _is_whole(text: str) -> bool:
    try:
        tomli.loads(text)
    except ValueError:
        return False
    return True


def _names(header: str) -> Iterator[str]:
    """Read the names of ``a."b c"``."""
    place: Any = tomli.loads(f"[{header}]")
    while place:
        ((name, place),) = place.items()
        yield name


def _joined(blocks: Sequence[_Block]) -> str:
    return "".join(block.text + block.gap for block in blocks)


def _put(blocks: list[_Block], path: Path, value: Any, *, is_there: bool) -> None:
    """Change the block that holds the value, else the one that shall."""
    for depth in range(len(path) - 1, -1, -1):
        for block in blocks:
            if block.path == path[:depth] and (not is_there or _at(_inside(block), path[depth:]) is not None):
                if not is_there and depth == 0 and len(path) > 1 and _at(_inside(block), path[:1]) is None:
                    continue
                _write(block, path[depth:], value)
                return
    _add_section(blocks, path, value)


def _inside(block: _Block) -> Any:
    return _table(tomlkit.parse(block.text), block.path)


def _table(document: Any, path: Path) -> Any:
    """Find the table in a block that was decoded alone: of a list of tables it holds one."""
    for part in path:
        if not isinstance(part, int):
            document = document[part]
        elif isinstance(document, list):
            document = document[0]
    return document


def _write(block: _Block, path: Path, value: Any) -> None:
    document = tomlkit.parse(block.text)
    place = _table(document, block.path)
    for part in path[:-1]:
        if not isinstance(part, int) and part not in place:
            place[part] = tomlkit.inline_table()
        place = place[part]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = _item(value)
    block.text = tomlkit.dumps(document)
    if block.text and not block.text.endswith("\n"):
        block.text += "\n"


def _item(value: Any) -> Any:
    if isinstance(value, Mapping):
        table: InlineTable = tomlkit.inline_table()
        table.update({key: _item(each) for key, each in value.items() if each is not None})
        return table
    return list(value) if isinstance(value, tuple) else value


def _add_section(blocks: list[_Block], path: Path, value: Any) -> None:
    """Write a table that is not there yet: before the stages, or at the end."""
    assert len(path) > 1
    section = str(path[0])
    text = tomlkit.dumps({section: {str(path[1]): _item(value)}})
    place = len(blocks)
    if section != "measure":
        place = next((at for at, block in enumerate(blocks) if block.path[:1] == ("stages",)), place)
    before = blocks[place - 1]
    if not before.gap.endswith("\n") and (before.text or before.gap):
        before.gap += "\n"
    blocks.insert(place, _Block((section,), text, "\n" if place < len(blocks) else ""))


Change = Callable[[list[Any], Any], object]
"""Rearranges a list of stages, decoded or as they are written; gets a new one of the same kind."""


def _rearranged(text: str, change: Change, new: Mapping[str, Any] | None = None) -> str:
    """Let a change be done to the stages, both as they are decoded and as they are written."""
    expected = decoding.toml(text)
    expected.setdefault("stages", [])
    change(expected["stages"], dict(new or {}))
    written = tomlkit.dumps({"stages": [dict(new or {})]})
    return _sure(lambda: _moved(text, change, written), {key: value for key, value in expected.items() if value != []})


def _moved(text: str, change: Change, new: str) -> str:
    """Let a change be done to the texts of the stages; what stands between them stays."""
    blocks = _blocks(text)
    if isinstance(decoding.toml(text).get("stages"), list) and not any(
        block.path[:1] == ("stages",) for block in blocks
    ):
        blocks = _blocks(_unfolded(text))
    stages: list[str] = []
    gaps: list[str] = []
    rest: list[_Block] = []
    first = None
    for block in blocks:
        if block.path[:1] != ("stages",):
            rest.append(block)
            continue
        first = len(rest) if first is None else first
        if block.path[2:]:
            stages[-1] += gaps[-1] + block.text
            gaps[-1] = block.gap
        else:
            stages.append(block.text)
            gaps.append(block.gap)
    change(stages, new)
    return _assembled(rest, len(rest) if first is None else first, stages, gaps)


def _assembled(rest: list[_Block], first: int, stages: list[str], gaps: list[str]) -> str:
    before, after = _joined(rest[:first]), _joined(rest[first:])
    # A comment that stood alone outlives the stage above it.
    lost = "".join(gap for gap in gaps[len(stages) :] if gap.strip())
    gaps = gaps[: len(stages)]
    for at in range(len(stages)):
        if at >= len(gaps):
            gaps.append("")
        if not gaps[at].strip() and at < len(stages) - 1:
            gaps[at] = gaps[at] or "\n"
    if stages and before.strip() and not before.endswith("\n\n"):
        before += "\n"
    if stages and after and not gaps[-1]:
        gaps[-1] = "\n"
    text = before + "".join(stage + gap for stage, gap in zip(stages, gaps, strict=True)) + lost + after
    return text.rstrip("\n") + "\n" if not after else text


def _unfolded(text: str) -> str:
    """Write stages that stand in one list as tables of their own."""
    document = tomlkit.parse(text)
    tables = msgspec.to_builtins(document.unwrap()["stages"])
    del document["stages"]
    blocks = _blocks(tomlkit.dumps(document))
    written = tomlkit.dumps({"stages": tables}) if tables else ""
    return _joined(blocks).rstrip("\n") + "\n\n" + written

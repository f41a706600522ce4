"""The keys that a person chose: a preset for moving, and other keys by the id of a binding.

Which ids there are is read from the bindings of the screens, dialogs and widgets themselves.
"""

import functools
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping

from msgspec import Struct
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

VIM: tuple[Binding, ...] = (
    Binding("j", "app.press('down')", "down", show=False, id="vim-down", tooltip="As the arrow down"),
    Binding("k", "app.press('up')", "up", show=False, id="vim-up", tooltip="As the arrow up"),
    Binding("h", "app.press('left')", "left", show=False, id="vim-left", tooltip="As the arrow left"),
    Binding("l", "app.press('right')", "right", show=False, id="vim-right", tooltip="As the arrow right"),
    Binding(
        "g", "app.top", "top", show=False, id="vim-top", key_display="gg", tooltip="The first line (press it twice)"
    ),
    Binding("G,shift+g", "app.end", "end", show=False, id="vim-end", key_display="G", tooltip="The last line"),
)
"""Keys of the preset ``vim``; a screen's own keys win over them."""
VIM_INSTEAD = {"group": "b", "live-log": "L", "live-log-axes": "ctrl+l", "log": "ctrl+l", "live-outliers": "H"}
"""Other keys, by id, for what would keep the letters from the preset ``vim``."""

named = {
    "up", "down", "left", "right", "enter", "escape", "space", "tab", "home", "end", "pageup", "pagedown", "insert",
    "delete", "backspace",
}  # fmt: skip
taken = {
    "i": "tab", "j": "enter", "m": "enter", "h": "backspace", "[": "escape", "s": "flow control", "q": "flow control",
    "z": "suspending", "c": "copying", "b": "tmux",
}  # fmt: skip
"""With ctrl, keys that terminals or what runs in them use; and for what."""


class Known(Struct, frozen=True, kw_only=True):
    """One binding that can have other keys."""

    id: str
    keys: tuple[str, ...]
    """What it has without any setting."""
    action: str
    tooltip: str
    owner: str
    """Name of the class that declares it."""


def bindings_of(owner: type) -> Iterator[Binding]:
    """List the bindings that a class itself declares and that have an id."""
    declared: list[BindingType] = vars(owner).get("BINDINGS", [])
    yield from (binding for binding in declared if isinstance(binding, Binding) and binding.id)


def known() -> dict[str, list[Known]]:
    """List every binding of the workbench by its id; imports every screen, dialog and widget."""
    found: dict[str, list[Known]] = {}
    for owner in _owners():
        declared = (*bindings_of(owner), *(VIM if owner.__name__ == "Workbench" else ()))
        for each in declared:
            entry = Known(
                id=each.id or "",
                keys=tuple(key.strip() for key in each.key.split(",")),
                action=each.action,
                tooltip=each.tooltip,
                owner=owner.__name__,
            )
            found.setdefault(entry.id, []).append(entry)
    return found


def _owners() -> list[type]:
    packages = [importlib.import_module(f"workbench.{name}") for name in ("screens", "modals", "widgets")]
    names = ["workbench.app"]
    for package in packages:
        names += [f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__)]
    owners: list[type] = []
    for name in names:
        try:
            module = importlib.import_module(name)
        except ImportError:
            # What cannot be opened needs no keys; opening it says why.
            continue
        own = (value for value in vars(module).values() if getattr(value, "__module__", "") == name)
        owners += [value for value in own if isinstance(value, type) and issubclass(value, DOMNode)]
    return owners


def problems(chosen: Mapping[str, str], preset: str = "default") -> list[tuple[str, str]]:
    """Say what is wrong with chosen keys: unknown ids, keys that no terminal sends, two meanings of one key.

    Returns:
        The id and a sentence for each.
    """
    from pipeline.options import suggest

    if not chosen:
        return []
    everything = known()
    found = []
    for name, keys in chosen.items():
        if name not in everything:
            near, known_too, _ = suggest(name, everything).partition(" Known:")
            hint = f" {near}" if known_too else ""
            found.append((name, f"keys.{name}: nothing has this id;{hint} 'pqd-workbench config keys' lists all."))
        for key in split(keys) or [""]:
            wrong = _refused(key)
            if wrong:
                found.append((name, f"keys.{name}: {key!r} {wrong}."))
    return found + list(_clashes(chosen, everything, preset))


def split(keys: str) -> list[str]:
    """Take a list of keys apart."""
    return [key.strip() for key in keys.split(",") if key.strip()]


def keymap(chosen: Mapping[str, str], preset: str = "default") -> dict[str, str]:
    """Give what Textual takes: only the keys that a terminal can send, those of the preset among them."""
    wanted = (VIM_INSTEAD if preset == "vim" else {}) | dict(chosen)
    good = {name: [key for key in split(keys) if not _refused(key)] for name, keys in wanted.items()}
    return {name: ",".join(normal(key) for key in keys) for name, keys in good.items() if keys}


def normal(key: str) -> str:
    """Write a key as Textual does: ``?`` is ``question_mark``, ``shift+x`` the capital letter."""
    from textual.keys import _character_to_key

    if re.fullmatch(r"shift\+[a-z]", key):
        key = key[-1].upper()
    return _character_to_key(key) if len(key) == 1 else key.lower()


@functools.cache
def letter(key: str) -> str | None:
    """Give what a key writes into a field; None where it writes nothing."""
    from textual.keys import KEY_NAME_REPLACEMENTS, key_to_character

    names = {short: name for name, short in KEY_NAME_REPLACEMENTS.items()}
    return key_to_character(names.get(key, key))


def _refused(key: str) -> str:
    """Say why a key cannot be used; empty when it can."""
    from textual.keys import KEY_NAME_REPLACEMENTS, key_to_character

    *modifiers, last = key.split("+") if len(key) > 1 else [key]
    if not key:
        return "names no key"
    if set(modifiers) - {"ctrl", "shift"}:
        return "cannot be told apart by every terminal; letters, digits, f1 to f10, arrows, ctrl and shift can"
    if len(last) == 1 and last.isprintable() and not last.isspace():
        if "ctrl" in modifiers and last.lower() in taken:
            return f"is taken by terminals for {taken[last.lower()]}"
        return ""
    names = {*named, *KEY_NAME_REPLACEMENTS.values()}
    if last.lower() in names or re.fullmatch(r"f([1-9]|10)", last.lower()) or key_to_character(last):
        return ""
    return "is no key; a letter, a digit, f1 to f10, up, down, left, right, enter, space or tab is, and ctrl or shift+"


def _clashes(
    chosen: Mapping[str, str], everything: Mapping[str, list[Known]], preset: str
) -> Iterator[tuple[str, str]]:
    """Find keys that a choice gives to two things that are at work together; what is so by default is meant so."""
    new, met = keymap(chosen, preset), {owner.__name__: _met_by(owner) for owner in _owners()}

    def keys_of(entry: Known) -> set[str]:
        return {normal(key) for key in split(new.get(entry.id, "")) or entry.keys}

    told = set()
    for name in new.keys() & chosen.keys():
        for mine in everything.get(name, []):
            for other in (each for entries in everything.values() for each in entries):
                if other.id == name or (other.id.startswith("vim-") and preset != "vim"):
                    continue
                if mine.owner not in met[other.owner] and other.owner not in met[mine.owner]:
                    continue
                shared = (keys_of(mine) & keys_of(other)) - (set(mine.keys) & set(other.keys))
                pair = frozenset((name, other.id))
                if shared and pair not in told:
                    told.add(pair)
                    where = "everywhere" if other.owner == "Workbench" else f"in {other.owner}"
                    yield name, f"keys.{name}: {min(shared)!r} also means {other.id} {where}; give one another key."


def _met_by(owner: type) -> set[str]:
    """Name the classes whose keys work beside those of a class: what it is built on, and each widget it may hold.

    What a module imports or declares it may hold.
    """
    found, ahead = {"Workbench"}, [owner]
    while ahead:
        for each in ahead.pop().__mro__:
            if each.__module__.startswith("workbench.") and each.__name__ not in found:
                found.add(each.__name__)
                held = (value for value in vars(sys.modules[each.__module__]).values() if isinstance(value, type))
                ahead += [value for value in held if issubclass(value, Widget) and not issubclass(value, Screen)]
    return found

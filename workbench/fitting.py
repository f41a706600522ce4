"""What is drawn is what the terminal can show: without colours where it has none, in signs that its font has."""

import unicodedata
from functools import lru_cache

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

from workbench.terminal import Signs, is_utf8

OUTSTANDING = 0.12
"""Difference in brightness, of 1, from which a ground is there to be seen, as that of a cursor; panels lie below."""


class Colorless(LineFilter):
    """Sends no colour: a ground that stands out becomes reversed letters, the rest of a style stays."""

    def __init__(self, app: App[None]) -> None:
        super().__init__()
        self._app = app

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Take the colours away."""
        ground = Color.parse(self._app.theme_variables["background"])
        return [
            Segment(text, None if style is None else _without_color(style, ground), control)
            for text, style, control in segments
        ]


@lru_cache(4096)
def _without_color(style: Style, ground: Color) -> Style:
    behind = style.color if style.reverse else style.bgcolor
    if behind is None or behind.triplet is None:
        return style.without_color
    stands_out = abs(Color.from_rich_color(behind).brightness - ground.brightness) > OUTSTANDING
    return style.without_color + Style(reverse=stands_out)


class Signage(LineFilter):
    """Puts signs that the font has in the place of those that it lacks; each takes as many cells."""

    def __init__(self, signs: Signs, encoding: str | None = None) -> None:
        """Take up what the font has.

        Args:
            signs: what it has.
            encoding: of what is sent; None for the locale's.
        """
        super().__init__(enabled=signs != "all")
        self._signs = signs
        self._has_all_letters = is_utf8(encoding)

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Replace signs; a row of plain letters stays the same object."""
        if all(segment.text.isascii() for segment in segments):
            return segments
        return [Segment(self.fit(text), style, control) for text, style, control in segments]

    def fit(self, text: str) -> str:
        """Replace the signs of a text."""
        if self._signs == "all" or text.isascii():
            return text
        found = text.translate(_console if self._signs == "console" else _ascii)
        return found if self._has_all_letters else "".join(map(_letter, found))

    def spell(self, keys: str) -> str:
        """Write keys by their names where the font lacks their signs: ``enter``, ``left/right``."""
        lacking = {"all": "", "console": "⏎␣⌫", "ascii": "".join(_key_names)}[self._signs]
        if not any(sign in lacking for sign in keys):
            return keys
        return "/".join(_key_names.get(sign, sign) for sign in keys) if all(k in _key_names for k in keys) else keys


_key_names = {
    "⏎": "enter", "␣": "space", "⌫": "backspace", "↑": "up", "↓": "down", "←": "left", "→": "right", "↹": "tab",
}  # fmt: skip


def _letter(letter: str) -> str:
    """Write a letter without what is around it, ``?`` where nothing is left; as many cells as before."""
    if letter.isascii():
        return letter
    bare = unicodedata.normalize("NFKD", letter)[0]
    return bare if bare.isascii() and cell_len(letter) == 1 else "?" * cell_len(letter)


def _table(*pairs: tuple[str, str]) -> dict[int, str]:
    return {ord(sign): instead for signs, instead in pairs for sign in signs}


def _span(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


# Later pairs win over earlier ones.
_ascii = _table(
    (_span(0x2500, 0x257F), "+"),
    ("─━┄┅┈┉╌╍═╴╶╸╺╼╾", "-"),
    ("│┃┆┇┊┋╎╏║╵╷╹╻╽╿", "|"),
    (_span(0x2580, 0x259F), "#"),
    ("▀▔", "-"),
    ("▁▂▃▄", "_"),
    ("▏▎▍▌▋▊▉▐▕", "|"),
    (_span(0x25A0, 0x25FF), "*"),
    (_span(0x2800, 0x28FF), ":"),
    ("\u2800", " "),
    ("▸▶►▹→", ">"),
    ("◂◀◄←⏎⌫↹", "<"),
    ("▾▼▿↓", "v"),
    ("▴▲▵↑", "^"),
    ("◉", "@"),
    ("○◇◯", "o"),
    ("⋄·…", "."),
    ("•✓✔", "*"),
    ("×✗✘", "x"),
    ("±", "~"),
    ("␣", "_"),
    ("🔎", "/ "),
    ("–—−", "-"),
    ("‘’", "'"),
    ("“”", '"'),
)
_console = _table(
    ("╭┏", "┌"),
    ("╮┓", "┐"),
    ("╰┗", "└"),
    ("╯┛", "┘"),
    ("━┄┅┈┉╌╍╴╶╸╺╼╾▔▁", "─"),
    ("┃┆┇┊┋╎╏╵╷╹╻╽╿▏▎▍▋▊▉▕", "│"),
    ("▖▗▂▃", "▄"),
    ("▘▝", "▀"),
    ("▙▚▛▜▞▟▅▆▇", "█"),
    (_span(0x2801, 0x28FF), "·"),
    ("\u2800", " "),
    ("▸▶", "►"),
    ("◂◀", "◄"),
    ("▾", "▼"),
    ("▴", "▲"),
    ("◆", "♦"),
    ("◇◉", "○"),
    ("●", "•"),
    ("⋄…", "."),
    ("⏎⌫↹", "<"),
    ("␣", "_"),
    ("🔎", "/ "),
    ("–—−", "-"),
)

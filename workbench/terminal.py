"""What a terminal can show, as far as the environment tells: how many colours, and which signs.

Imports nothing heavy, since it decides before the app is imported.
"""

import locale
import re
from collections.abc import Mapping
from typing import Literal

from workbench.settings import Marker

Colors = Literal["none", "standard", "256", "truecolor"]
"""Colours of a terminal, in the toolkit's words: ``standard`` are 16."""
Signs = Literal["all", "console", "ascii"]
"""Signs of a terminal's font: ``console`` are those of the Linux console, which has lines and blocks, but not all."""

_forcible: tuple[Colors, ...] = ("standard", "256", "truecolor")
_plain = re.compile(r"|dumb|unknown|vt\d.*|.*-m(ono)?")
"""Names of terminals without colours, whose font is not known to have more than letters."""
_of_256 = re.compile(r".*(256|kitty|alacritty|ghostty|foot|wezterm).*")


def colors(environment: Mapping[str, str]) -> Colors:
    """Tell how many colours are sent."""
    if environment.get("NO_COLOR"):
        return "none"
    forced = environment.get("TEXTUAL_COLOR_SYSTEM", "").lower()
    if forced in _forcible:
        return _forcible[_forcible.index(forced)]
    term = _term(environment)
    if _plain.fullmatch(term):
        return "none"
    if environment.get("COLORTERM", "").lower() in ("truecolor", "24bit") or term.endswith("-direct"):
        return "truecolor"
    return "256" if _of_256.fullmatch(term) else "standard"


def marker(environment: Mapping[str, str], encoding: str | None = None) -> Marker:
    """Tell what curves are drawn with where nobody chose.

    Args:
        environment: variables.
        encoding: of the letters that are sent; None for the locale's.
    """
    if "TEXTUAL_DRIVER" in environment:
        # A browser, whatever the terminal is from which it is served.
        return "braille"
    if _plain.fullmatch(_term(environment)) or not is_utf8(encoding):
        return "ascii"
    return "block" if _term(environment) == "linux" else "braille"


def signs(chosen: Marker, environment: Mapping[str, str], encoding: str | None = None) -> Signs:
    """Tell which signs borders, axes and keys may be drawn with beside curves of a marker."""
    is_served = "TEXTUAL_DRIVER" in environment
    if chosen == "ascii" or not (is_served or is_utf8(encoding)):
        return "ascii"
    return "console" if _term(environment) == "linux" and not is_served else "all"


def memory_name(environment: Mapping[str, str]) -> str:
    """Name what is remembered of the marker: it was chosen for one kind of terminal."""
    return f"marker.{_term(environment)}"


def is_utf8(encoding: str | None = None) -> bool:
    """Tell whether every letter can be sent; None asks for the locale's encoding."""
    return (encoding or locale.getpreferredencoding(False)).lower().replace("-", "") == "utf8"


def _term(environment: Mapping[str, str]) -> str:
    return environment.get("TERM", "").lower()

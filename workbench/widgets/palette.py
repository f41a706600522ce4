"""Colours by name, for what is drawn without CSS: plots and styled text."""

from collections.abc import Sequence

from rich.style import Style
from textual.app import App
from textual.color import Color

blends = {"dim": 0.55, "rule": 0.25}
"""Shades between the theme's background and foreground."""
grey = Color(128, 128, 128)
series = {
    True: ("#5fafaf", "#d7af5f", "#af87d7", "#87af5f", "#d78787", "#5f87d7"),
    False: ("#005f87", "#875f00", "#5f00af", "#005f00", "#af0000", "#5f5f5f"),
}
"""Colours of ``series-1`` to ``series-6`` in themes that name none, dark ones and light ones."""
SERIES = len(series[True])
"""Runs that can be drawn beside each other: one for each colour."""
ansi_series = ("ansi_cyan", "ansi_yellow", "ansi_magenta", "ansi_green", "ansi_red", "ansi_blue")
"""The same in themes that leave the colours to the terminal."""


class Identities:
    """What a run is known by on charts, the same on every screen: a letter, and a colour."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def give(self, ids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """Give letter and colour of at most ``SERIES`` runs; each keeps its own as long as no other needs them.

        A run that comes takes what is free, else what a run that is not drawn now had.
        """
        for run_id in ids:
            if run_id not in self._numbers:
                free = [number for number in range(1, SERIES + 1) if number not in self._numbers.values()]
                gone = next((other for other in self._numbers if other not in ids), "")
                self._numbers[run_id] = free[0] if free else self._numbers.pop(gone)
        return {
            run_id: (chr(ord("A") + self._numbers[run_id] - 1), f"series-{self._numbers[run_id]}") for run_id in ids
        }


def color(app: App[object], name: str) -> Color:
    """Give a colour of the theme by its variable's name (``primary``), or one of the shades ``dim`` and ``rule``."""
    variables = app.theme_variables
    if name.startswith("series-") and name not in variables:
        place = int(name.removeprefix("series-")) - 1
        ansi = Color.parse(variables["background"]).ansi is not None
        return Color.parse((ansi_series if ansi else series[app.current_theme.dark])[place])
    if name not in blends:
        return Color.parse(variables[name])
    ground, foreground = Color.parse(variables["background"]), Color.parse(variables["foreground"])
    # The themes that leave the colours to the terminal do not tell them, so there is nothing to blend.
    return grey if ground.ansi is not None else ground.blend(foreground, blends[name])


def style(app: App[object], name: str, *, bold: bool = False, reverse: bool = False) -> Style:
    """Give a style for ``rich.text.Text`` in a colour of the theme; an empty name is the ordinary colour."""
    return Style(color=color(app, name).rich_color if name else None, bold=bold or None, reverse=reverse or None)

"""The colours of the workbench: four themes of its own, and the choice among these and Textual's.

Every colour is one of xterm's 256, which is what a terminal behind SSH usually has. None carries a meaning alone.
"""

import os

from textual.theme import Theme

from workbench import background

calm = Theme(
    name="calm",
    primary="#5fafaf",
    secondary="#87afaf",
    accent="#5fafaf",
    success="#87af87",
    warning="#d7af5f",
    error="#d75f5f",
    foreground="#d0d0d0",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={
        "footer-key-foreground": "#5fafaf",
        "footer-background": "#121212",
        "border": "#5fafaf",
        "series-1": "#5fafaf",
        "series-2": "#d7af5f",
        "series-3": "#af87d7",
        "series-4": "#87af5f",
        "series-5": "#d78787",
        "series-6": "#5f87d7",
    },
)
light = Theme(
    name="calm-light",
    primary="#005f87",
    secondary="#005f5f",
    accent="#005f87",
    success="#005f00",
    warning="#875f00",
    error="#af0000",
    foreground="#262626",
    background="#eeeeee",
    surface="#eeeeee",
    panel="#d0d0d0",
    dark=False,
    variables={
        "footer-key-foreground": "#005f87",
        "footer-background": "#eeeeee",
        "border": "#005f87",
        "series-1": "#005f87",
        "series-2": "#875f00",
        "series-3": "#5f00af",
        "series-4": "#005f00",
        "series-5": "#af0000",
        "series-6": "#5f5f5f",
    },
)
high_contrast = Theme(
    name="high-contrast",
    primary="#ffff00",
    secondary="#00ffff",
    accent="#ffff00",
    success="#00ff00",
    warning="#ffaf00",
    error="#ff8787",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#303030",
    dark=True,
    variables={
        "footer-key-foreground": "#ffff00",
        "footer-background": "#000000",
        "border": "#ffffff",
        "text-muted": "#e4e4e4",
        "series-1": "#ffff00",
        "series-2": "#00ffff",
        "series-3": "#ff87ff",
        "series-4": "#00ff00",
        "series-5": "#ffaf00",
        "series-6": "#ffffff",
    },
)
# The six lie far apart for people without red, green or blue cones, in hue and in brightness.
colour_blind = Theme(
    name="colour-blind",
    primary="#5fafff",
    secondary="#5fafff",
    accent="#5fafff",
    success="#5fd7ff",
    warning="#ffd75f",
    error="#ff8700",
    foreground="#d0d0d0",
    background="#121212",
    surface="#121212",
    panel="#262626",
    dark=True,
    variables={
        "footer-key-foreground": "#5fafff",
        "footer-background": "#121212",
        "border": "#5fafff",
        "series-1": "#5fafff",
        "series-2": "#ffaf00",
        "series-3": "#ffff87",
        "series-4": "#00875f",
        "series-5": "#d75f00",
        "series-6": "#d787af",
    },
)

ours = (calm, light, high_contrast, colour_blind)
"""The themes of the workbench."""
words = {"dark": calm.name, "light": light.name, "ansi": "ansi-dark"}
"""What a setting may say instead of the name of a theme."""


def known() -> list[str]:
    """List every legal value of the setting, ours first."""
    from textual.theme import BUILTIN_THEMES

    return ["auto", *words, *(theme.name for theme in ours), *sorted(BUILTIN_THEMES)]


def resolve(name: str, question: background.Question | None = None) -> str:
    """Give the name of the theme that a setting means; ``auto`` is for the terminal to say, before the app has it.

    Args:
        name: what the setting says.
        question: what the terminal was asked already; None asks it now.

    Raises:
        PipelineError: there is no such theme; the nearest name.
    """
    if name == "auto":
        dark = background.is_dark(question or background.ask(os.environ), os.environ)
        return light.name if dark is False else calm.name
    if name in words:
        return words[name]
    if name not in known():
        from pipeline.errors import PipelineError
        from pipeline.options import suggest

        raise PipelineError(f"there is no theme {name!r}; {suggest(name, known())}")
    return name

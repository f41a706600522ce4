"""The colours of the workbench: four themes of its own, and the choice among these and Textual's.

Every colour is one of xterm's 256, which is what a terminal behind SSH usually has. None carries a meaning alone.
"""

import os
import re
import sys
from collections.abc import Mapping

from textual.theme import Theme

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

ASK_S = 0.1
"""Seconds to wait for a terminal to tell its background."""
ASK_FAR_S = 0.4
"""The same over SSH, where the answer travels. Terminals that cannot tell say so as quickly."""
_background = re.compile(rb"\x1b\]11;rgba?:([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})/([0-9a-fA-F]{1,4})")
_attributes = re.compile(rb"\x1b\[\?[0-9;]*c")


def known() -> list[str]:
    """List every legal value of the setting, ours first."""
    from textual.theme import BUILTIN_THEMES

    return ["auto", *words, *(theme.name for theme in ours), *sorted(BUILTIN_THEMES)]


def resolve(name: str, environment: Mapping[str, str] | None = None) -> str:
    """Give the name of the theme that a setting means; ``auto`` asks the terminal, and must be asked before the app.

    Raises:
        PipelineError: there is no such theme; the nearest name.
    """
    if name == "auto":
        dark = is_dark(os.environ if environment is None else environment)
        return light.name if dark is False else calm.name
    if name in words:
        return words[name]
    if name not in known():
        from pipeline.errors import PipelineError
        from pipeline.options import suggest

        raise PipelineError(f"there is no theme {name!r}; {suggest(name, known())}")
    return name


def is_dark(environment: Mapping[str, str]) -> bool | None:
    """Tell whether the terminal's background is dark; None where it does not tell."""
    term = environment.get("TERM", "")
    if term not in ("", "dumb", "linux") and not term.startswith("screen") and sys.stdin.isatty():
        far = "SSH_CONNECTION" in environment or "SSH_TTY" in environment
        answered = ask_terminal(sys.stdin.fileno(), ASK_FAR_S if far else ASK_S)
        if answered is not None:
            return answered
    # Written by some terminals as foreground;background, in numbers of their sixteen colours.
    ground = environment.get("COLORFGBG", "").rpartition(";")[2]
    if ground.isdecimal():
        return int(ground) not in (7, *range(9, 16))
    return None


def ask_terminal(terminal: int, seconds: float) -> bool | None:
    """Ask a terminal for the colour of its background; None where no answer comes in time.

    Args:
        terminal: descriptor that is read and written.
        seconds: how long to wait.
    """
    import select
    import termios
    import time
    import tty

    try:
        before = termios.tcgetattr(terminal)
    except termios.error:
        return None
    answer, end = b"", time.monotonic() + seconds
    try:
        tty.setcbreak(terminal, termios.TCSANOW)
        # The second question is one that every terminal answers: its answer says that no other will come.
        os.write(terminal, b"\x1b]11;?\x1b\\\x1b[c")
        while not _attributes.search(answer) and (rest := end - time.monotonic()) > 0:
            if not select.select([terminal], [], [], rest)[0]:
                break
            got = os.read(terminal, 4096)
            if not got:
                break
            answer += got
    except OSError:
        return None
    finally:
        # What comes too late must not be taken for keys.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    found = _background.search(answer)
    if found is None:
        return None
    red, green, blue = (int(part, 16) / (16 ** len(part) - 1) for part in found.groups())
    return bool(0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.5)

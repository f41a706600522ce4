"""What F1 says: the option that a field edits, or what the focused widget and its screen are for."""

import inspect

from textual.screen import Screen

from pipeline.options import Option
from workbench.modals.help import keys


def explain(screen: Screen[object]) -> tuple[str, str]:
    """Give a title and a text about what has the focus.

    A widget around fields tells about them by ``option_of(widget)``; any other by its ``HELP`` or its docstring.
    """
    focused = screen.focused
    nodes = list(focused.ancestors_with_self) if focused is not None else [screen]
    for node in nodes:
        option_of = getattr(node, "option_of", None)
        option = option_of(focused) if option_of is not None else None
        if isinstance(option, Option):
            return option.name, describe(option)
    for node in nodes:
        said = _said(node)
        if said:
            title = "this screen" if isinstance(node, Screen) else "what has the focus"
            return title, f"{said}\n\n{_keys(screen)}".strip()
    return "this screen", _keys(screen)


def describe(option: Option) -> str:
    """Say all that is declared of an option."""
    default = "none, it must be given" if option.required else "not set" if option.default is None else option.default
    lines = [
        (option.help[:1].upper() + option.help[1:] + ".") if option.help else "",
        f"It must be {option.allowed()}" + (f", in {option.unit}." if option.unit else "."),
        f"Default: {default}",
    ]
    return "\n\n".join(line for line in lines if line)


def _said(node: object) -> str:
    own = getattr(type(node), "HELP", None)
    if isinstance(own, str):
        return inspect.cleandoc(own)
    # The docstrings of the toolkit's widgets are about programming.
    ours = type(node).__module__.startswith("workbench.")
    return inspect.cleandoc(type(node).__doc__ or "") if ours else ""


def _keys(screen: Screen[object]) -> str:
    """List the keys of what has the focus and of what holds it; without a focus those of the screen."""
    place = "here" if screen.focused is not None else "this screen"
    return "\n".join(f"{key.keys:>10}  {key.tooltip}" for key in keys(screen) if key.place == place)

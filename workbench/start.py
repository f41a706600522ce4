"""Opening the app: settings, colours and memory before it, and what the shell is told after it."""

import gc
import os
import sys
from typing import Any

from msgspec.structs import replace

from workbench import background, locations, settings, terminal
from workbench.memory import Memory, path_of

FLAGS = ("read_only", "low_bandwidth", "fps", "theme")
"""Settings that are flags of the command line, too."""


def open_app(store: str | None, flags: dict[str, Any], *, forget_view: bool = False) -> int:
    """Open the app and stay until it is left; returns the exit code.

    Args:
        store: folder of the runs as the command line gives it.
        flags: settings that the command line gives; None for the others.
        forget_view: begin as at first.
    """
    # What is imported stays: looking for garbage in it would hold up the first frame, after which the app goes on so.
    gc.disable()
    loaded = settings.load(flags)
    prepare_toolkit(loaded.settings)
    folder = locations.store_folder(store)
    memory, everywhere = Memory(path_of(folder)), Memory(path_of(None))
    if forget_view:
        memory.forget()
        everywhere.forget()
    with ask_terminal(loaded, everywhere) as question:
        # The terminal answers while these are imported.
        from pipeline.runs.store import RunStore
        from workbench.app import Workbench

        chosen, problems = choose_theme(loaded, everywhere, question)
        chosen = choose_marker(chosen, everywhere)

    app = Workbench(RunStore(folder), locations.presets_folder(), chosen, memory)
    app.everywhere = everywhere
    app.problems[:0] = [*loaded.problems, *problems]
    try:
        app.run()
    except Exception as error:
        from workbench import failures

        app.last_words = app.last_words or failures.sentence(error, failures.record(error))
    finally:
        memory.write()
        everywhere.write()
    for line in (app.last_words, app.farewell()):
        if line:
            print(f"pqd-workbench: {line}" if line == app.last_words else line, file=sys.stderr)
    return 1 if app.last_words else app.return_code or 0


def prepare_toolkit(chosen: settings.Settings) -> None:
    """Tell Textual, which reads the environment when it is imported, what the settings and the terminal ask for."""
    if chosen.low_bandwidth:
        os.environ |= {"TEXTUAL_ANIMATIONS": "none", "TEXTUAL_SMOOTH_SCROLL": "0"}
    if chosen.fps != settings.Settings().fps:
        os.environ["TEXTUAL_FPS"] = str(chosen.fps)
    if "TEXTUAL_DRIVER" not in os.environ:
        # They would hold the app at the size that the terminal once had.
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
    colors = terminal.colors(os.environ)
    if colors == "none":
        os.environ["NO_COLOR"] = "1"
    else:
        # Empty it asks for nothing, which Textual does not know.
        os.environ.pop("NO_COLOR", None)
        os.environ["TEXTUAL_COLOR_SYSTEM"] = colors


def choose_marker(chosen: settings.Settings, everywhere: Memory) -> settings.Settings:
    """Put a marker into the settings: what they say, else what was chosen on such a terminal, else what it can show."""
    if chosen.marker != "auto":
        return chosen
    left = everywhere.get(terminal.memory_name(os.environ), "")
    found = next((marker for marker in settings.markers if marker == left), None)
    return replace(chosen, marker=found or terminal.marker(os.environ))


def wanted_theme(loaded: settings.Loaded, everywhere: Memory) -> str:
    """Give what is to decide on the theme: the settings, else what was chosen in the app, else the terminal."""
    wanted = loaded.settings.theme
    return wanted if "theme" in loaded.sources else everywhere.get("theme", wanted)


def ask_terminal(loaded: settings.Loaded, everywhere: Memory) -> background.Question:
    """Ask the terminal what it is like, where that decides; else nobody."""
    has_colors = terminal.colors(os.environ) != "none"
    if wanted_theme(loaded, everywhere) != "auto" or "TEXTUAL_THEME" in os.environ or not has_colors:
        return background.Question(None, 0.0)
    return background.ask(os.environ)


def choose_theme(
    loaded: settings.Loaded, everywhere: Memory, question: background.Question | None = None
) -> tuple[settings.Settings, list[str]]:
    """Put a theme into the settings; gives these, and what was wrong with them.

    Args:
        loaded: the settings.
        everywhere: what was chosen in the app.
        question: what the terminal was asked; None asks it where it is to decide.
    """
    from pipeline.errors import PipelineError
    from workbench import themes

    problems: list[str] = []
    if terminal.colors(os.environ) == "none":
        # What stands out is told by its brightness in this one.
        return replace(loaded.settings, theme=themes.calm.name), problems
    wanted = wanted_theme(loaded, everywhere)
    if wanted == "auto" and "TEXTUAL_THEME" in os.environ:
        return loaded.settings, problems
    try:
        found = themes.resolve(wanted, question)
    except PipelineError as error:
        source = loaded.sources.get("theme")
        problems += [f"{source}: theme: {error}"] if source else []
        found = themes.resolve("auto")
    return replace(loaded.settings, theme=found), problems

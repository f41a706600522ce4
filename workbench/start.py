"""Opening the app: settings, colours and memory before it, and what the shell is told after it."""

import gc
import os
import sys
from typing import Any

from msgspec.structs import replace

from workbench import background, locations, settings
from workbench.memory import Memory, path_of

FLAGS = ("read_only", "low_bandwidth", "theme")
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
    if loaded.settings.low_bandwidth:
        # Textual reads these when it is imported.
        for name, value in (("FPS", settings.SLOW_FPS), ("ANIMATIONS", "none"), ("SMOOTH_SCROLL", "0")):
            os.environ.setdefault(f"TEXTUAL_{name}", value)
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


def wanted_theme(loaded: settings.Loaded, everywhere: Memory) -> str:
    """Give what is to decide on the theme: the settings, else what was chosen in the app, else the terminal."""
    wanted = loaded.settings.theme
    return wanted if "theme" in loaded.sources else everywhere.get("theme", wanted)


def ask_terminal(loaded: settings.Loaded, everywhere: Memory) -> background.Question:
    """Ask the terminal what it is like, where that decides; else nobody."""
    if wanted_theme(loaded, everywhere) != "auto" or "TEXTUAL_THEME" in os.environ:
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

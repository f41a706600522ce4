"""What a person may set about the workbench itself: one record, read from ``config.toml``, the environment and flags.

A flag wins over a variable of the environment (``PQD_`` and the name in capitals), that over the file, and that over
the default. Whatever is wrong is told and left out; it never keeps the workbench from opening.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from workbench import locations

Marker = Literal["braille", "block", "ascii"]
"""What curves are drawn with: braille dots, half blocks, or plain letters for fonts that have neither."""

markers: tuple[Marker, ...] = ("braille", "block", "ascii")

Seconds = Annotated[float, Meta(ge=0.0, le=60.0)]

FILE = "config.toml"
"""Name of the file in the folder of the settings."""
PREFIX = "PQD_"
"""Begins the environment variable of each setting."""
SLOW_REDRAW_S = 2.0
"""Least seconds between two drawings over a slow line."""
SLOW_FPS = 4
"""Frames a second at most over a slow line, unless others are asked for."""


def _help(text: str) -> Meta:
    return Meta(description=text)


class Settings(Struct, frozen=True, kw_only=True):
    """Settings of one session of the workbench."""

    theme: Annotated[str, _help("auto, dark, light, high-contrast, colour-blind, ansi, or a theme of Textual")] = "auto"
    """Name of the colours; ``auto`` follows the terminal."""
    marker: Annotated[Literal["auto", Marker], _help("what curves are drawn with; ascii keeps to plain letters")] = (
        "auto"
    )
    """What curves are drawn with; ``auto`` is what the terminal can show (see ``terminal.marker``)."""
    poll_s: Annotated[Annotated[float, Meta(ge=0.02, le=60.0)], _help("seconds between two looks at the store")] = 0.5
    """Seconds between two looks at the store."""
    redraw_s: Annotated[
        Seconds, _help("seconds between two drawings of what goes on; up to 3 times that on a slow processor")
    ] = 1.0
    """Seconds between two drawings of what goes on, curves and logs; see ``workbench.pace``."""
    log_lines: Annotated[Annotated[int, Meta(ge=100, le=100_000)], _help("most lines of a log that Live keeps")] = 5000
    """Most lines of a log that Live keeps; earlier ones are in the file."""
    fps: Annotated[Annotated[int, Meta(ge=1, le=60)], _help("frames a second at most")] = 60
    """Frames a second at most; what changes in between is sent together."""
    low_bandwidth: Annotated[bool, _help("for a slow line: no animation, 4 frames a second, curves every 2 s")] = False
    """Nothing is animated, and little is drawn."""
    bell: Annotated[bool, _help("ring the terminal's bell once when a run ends")] = True
    """The bell rings when a run ends."""
    title: Annotated[bool, _help("show in the title of the terminal how many runs go on")] = True
    """The terminal's title says how many runs go on."""
    notify: Annotated[bool, _help("say in a corner how a run ended")] = True
    """A run that ends is told in a corner."""
    read_only: Annotated[bool, _help("change nothing in the store: no launch, no stop, no deletion, no notes")] = False
    """Nothing in the store is changed: no launch, no stop, no deletion, no notes."""
    export_folder: Annotated[Path, _help("where exports are offered to go; from the folder of the start on")] = Path(
        "exports"
    )
    """Where exports are offered to go; a relative path counts from the folder in which the workbench was started."""
    export_name: Annotated[str, _help("name of the folder of each exported run, with fields such as {id}")] = "{id}"
    """Template of the name of the folder of each exported run."""
    key_preset: Annotated[Literal["default", "vim"], _help("vim adds h j k l, gg and G")] = "default"
    """Keys to move with beside the arrows."""
    keys: Annotated[dict[str, str], _help('other keys by the id of what they do, as in stop = "x,f8"')] = {}
    """Keys, separated by commas, by the id of a binding."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read what the environment says alone; what is wrong is passed over."""
        return load(environment=environment, path=Path(os.devnull)).settings


class Loaded(Struct, frozen=True, kw_only=True):
    """Settings, where they come from, and what was wrong."""

    settings: Settings
    problems: tuple[str, ...] = ()
    """One sentence for each value that was left out."""
    sources: dict[str, str] = {}
    """By name of a setting that is not the default: ``flag``, the variable's name, or the file."""


def config_path() -> Path:
    """Give the file of the settings; it need not exist."""
    return locations.config_folder() / FILE


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    path: Path | None = None,
) -> Loaded:
    """Read all sources.

    Args:
        flags: settings by name, as the command line gives them; None leaves one to the other sources.
        environment: variables; None for those of the process.
        path: the file; None for the person's own.
    """
    path = path or config_path()
    variables = os.environ if environment is None else environment
    values, problems = read(path)
    sources = dict.fromkeys(values, str(path))
    for name in Settings.__struct_fields__:
        variable = f"{PREFIX}{name.upper()}"
        if name != "keys" and variables.get(variable):
            found, problem = _parse(name, variables[variable], variable)
            if problem:
                problems.append(problem)
            else:
                values[name], sources[name] = found, variable
    for name, value in (flags or {}).items():
        if value is not None:
            values[name], sources[name] = value, "flag"
    if values.get("low_bandwidth"):
        values["redraw_s"] = max(SLOW_REDRAW_S, values.get("redraw_s", 0.0))
        values.setdefault("fps", SLOW_FPS)
    return Loaded(settings=_convert(values), problems=tuple(problems), sources=sources)


def read(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Read the file; gives what is right in it, and a sentence for each thing that is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}, []
    except UnicodeDecodeError:
        return {}, [f"{path} is not UTF-8 text; none of it is used."]
    except OSError as error:
        return {}, [f"{path} cannot be read ({error.strerror}); none of it is used."]
    if not text.strip():
        return {}, []
    import tomli

    try:
        document = tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        return {}, [f"{path} is not TOML: {error}; none of it is used."]
    return _checked(document, text, path)


def _checked(document: dict[str, Any], text: str, path: Path) -> tuple[dict[str, Any], list[str]]:
    from pipeline import options
    from pipeline.errors import RecipeError

    known = {option.name: option for option in options.options_of(Settings)}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in document.items():
        place = f"{path}, line {line_of(text, name)}"
        if name not in known:
            problems.append(f"{place}: {options.quoted(name)} is no setting; {options.suggest(name, known)}")
            continue
        try:
            known[name].check(value)
        except RecipeError as error:
            problems.append(f"{place}: {error}")
            continue
        if name == "keys":
            for key, wanted in value.items():
                if not isinstance(wanted, str):
                    where = f"{path}, line {line_of(text, key, 'keys')}"
                    problems.append(f"{where}: keys.{key} is {options.quoted(wanted)}; it must be a text.")
            value = {key: wanted for key, wanted in value.items() if isinstance(wanted, str)}
        values[name] = value
    return values, problems


def line_of(text: str, key: str, table: str = "") -> int:
    """Find the line that gives a key its value, or that opens a table of its name; 1 where neither is found.

    Args:
        text: the document.
        key: name of the key.
        table: header below which it stands; empty for the beginning of the document.
    """
    names = rf"[\"']?{re.escape(key)}[\"']?"
    here = ""
    for count, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[+\s*([^]\s]+)\s*\]+", line)
        if header:
            here = header[1].strip("\"'")
            if not table and here == key:
                return count
        inline = rf"\s*{table}\s*=.*\b{names}\s*=" if table else rf"\s*{names}\s*[.=]"
        if here == table and re.match(rf"\s*{names}\s*=", line):
            return count
        if not here and re.match(inline, line):
            return count
    return 1


def _parse(name: str, text: str, variable: str) -> tuple[Any, str]:
    """Read a value of the environment; gives it and an empty text, or None and what is wrong."""
    from pipeline import options
    from pipeline.errors import RecipeError

    option = next(option for option in options.options_of(Settings) if option.name == name)
    try:
        return option.parse({"1": "true", "0": "false"}.get(text, text) if option.kind == "bool" else text), ""
    except RecipeError as error:
        return None, f"{variable} of the environment: {error}"


def _convert(values: Mapping[str, Any]) -> Settings:
    if not values:
        return Settings()
    import msgspec

    def decode(kind: type, value: Any) -> Any:
        return kind(value).expanduser() if kind is Path else value

    return msgspec.convert(dict(values), Settings, dec_hook=decode)


def plain(settings: Settings) -> dict[str, Any]:
    """Give the settings as what TOML and JSON can hold."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name in Settings.__struct_fields__
        for value in [getattr(settings, name)]
    }

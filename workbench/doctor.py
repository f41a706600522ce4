"""A look at this machine, the store and the terminal: each fact with what would mend it.

What needs torch is looked at by a process of its own, and told as soon as it is known.
"""

import locale
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path

import msgspec

from pipeline.facts import Fact
from workbench import terminal

LITTLE_BYTES = 2 * 1024**3
"""Free bytes below which a store may fill up: the files and states of a few runs."""
NARROW = (80, 24)
"""Columns and rows of the smallest terminal that everything is made for."""
marks = {"ok": "ok", "warn": "! ", "bad": "x "}
"""Glyph of each outcome."""


def facts(store: Path, environment: Mapping[str, str] | None = None) -> Generator[Fact]:
    """Look at everything, the quick things first.

    Args:
        store: folder of the runs; it need not exist.
        environment: variables; None for those of the process.
    """
    yield from of_store(store)
    yield from of_terminal(os.environ if environment is None else environment)
    yield from of_machine()


def line(fact: Fact) -> str:
    """Write a fact as plain text, what to do below it."""
    fix = f"\n{'':26}{fact.fix}" if fact.fix else ""
    return f"{marks[fact.outcome]}  {fact.about:<20}  {fact.text}{fix}"


def of_store(store: Path) -> Iterator[Fact]:
    """Look at the folder of the runs."""
    existing = next(folder for folder in (store, *store.absolute().parents) if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        fix = "Name another folder by --store, or ask whoever owns it."
        yield Fact(about="store", outcome="bad", text=f"{store} cannot be written: {error.strerror}", fix=fix)
    else:
        yield Fact(about="store", outcome="ok", text=str(store) + ("" if store.exists() else ", not yet made"))
    free = shutil.disk_usage(existing).free
    text = f"{free / 1024**3:,.1f} GiB free"
    if free < LITTLE_BYTES:
        fix = "Delete runs that nobody needs, or name a folder on another disk by --store."
        yield Fact(about="disk", outcome="warn", text=text, fix=fix)
    else:
        yield Fact(about="disk", outcome="ok", text=text)


def of_terminal(environment: Mapping[str, str]) -> Iterator[Fact]:
    """Look at the terminal."""
    yield _size()
    yield _colours(environment)
    yield _letters(environment)
    if "TMUX" in environment:
        yield _tmux()
    if "SSH_CONNECTION" in environment or "SSH_TTY" in environment:
        text = "over SSH; ssh -C makes what is drawn over twenty times smaller, --low-bandwidth draws less"
        yield Fact(about="line", outcome="ok", text=text)


def _size() -> Fact:
    found = shutil.get_terminal_size()
    text = f"{found.columns} x {found.lines}"
    if found.columns < NARROW[0] or found.lines < NARROW[1]:
        fix = f"Make it {NARROW[0]} x {NARROW[1]} at least; smaller ones cut what they show."
        return Fact(about="terminal", outcome="warn", text=text, fix=fix)
    return Fact(about="terminal", outcome="ok", text=text)


def _colours(environment: Mapping[str, str]) -> Fact:
    about, term = "colours", environment.get("TERM", "")
    colors = terminal.colors(environment)
    if environment.get("NO_COLOR"):
        return Fact(about=about, outcome="ok", text="none, as NO_COLOR asks")
    if colors == "none":
        fix = "If it has more, set TERM=xterm-256color; the verbs need nothing: pqd-workbench list, show, watch."
        return Fact(about=about, outcome="warn", text=f"none ({_named(term)})", fix=fix)
    if colors == "standard":
        fix = "If it can do more, set TERM=xterm-256color; themes high-contrast and ansi suit 16 colours."
        return Fact(about=about, outcome="warn", text=f"16 (TERM={term})", fix=fix)
    many = {"256": "256", "truecolor": "16 million"}[colors]
    return Fact(about=about, outcome="ok", text=f"{many} (TERM={term})")


def _letters(environment: Mapping[str, str]) -> Fact:
    """Say what the app draws with, and why (see ``terminal.marker``)."""
    marker = terminal.marker(environment)
    if not terminal.is_utf8():
        encoding = locale.getpreferredencoding(False)
        text, fix = f"the locale's encoding is {encoding}", "Set LANG to a locale with UTF-8, such as C.UTF-8."
    elif marker == "ascii":
        text, fix = (
            _named(environment.get("TERM", "")),
            "If it can show more, set marker or PQD_MARKER.",
        )
    elif marker == "block":
        text, fix = "the console's font has no braille", "With another font: marker, or PQD_MARKER=braille."
    else:
        return Fact(about="letters", outcome="ok", text='UTF-8; if curves look torn, press m or set marker = "block"')
    return Fact(about="letters", outcome="warn", text=f"{text}: curves are drawn with marker {marker}", fix=fix)


def _named(term: str) -> str:
    return f"TERM={term}" if term else "TERM is not set"


def _tmux() -> Fact:
    try:
        asked = [
            subprocess.run(
                ["tmux", "show", *flags], capture_output=True, text=True, timeout=2, check=False
            ).stdout.strip()
            for flags in (("-sv", "set-clipboard"), ("-Agv", "allow-passthrough"))
        ]
    except (OSError, subprocess.TimeoutExpired):
        return Fact(
            about="clipboard", outcome="warn", text="tmux does not answer", fix="Copied texts lie in a file, too."
        )
    clipboard, passthrough = asked
    text = f"tmux: set-clipboard {clipboard or 'unknown'}, allow-passthrough {passthrough or 'off'}"
    if clipboard == "on" or passthrough in ("on", "all"):
        return Fact(about="clipboard", outcome="ok", text=text)
    return Fact(about="clipboard", outcome="warn", text=text, fix="To copy out of tmux: tmux set -s set-clipboard on")


def of_machine() -> Iterator[Fact]:
    """Ask a process of its own for what needs torch."""
    command = [sys.executable, "-m", "pipeline", "doctor"]
    decoder = msgspec.json.Decoder(Fact)
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            for line in process.stdout:
                yield decoder.decode(line)
        except GeneratorExit:
            process.kill()
            raise
        said = process.stderr.read().strip().rpartition("\n")[2]
    if process.returncode:
        fix = "Install the workbench's packages again: pip install --force-reinstall pqd-workbench"
        text = f"the process that looks ended with {process.returncode}: {said}"
        yield Fact(about="pipeline", outcome="bad", text=text, fix=fix)

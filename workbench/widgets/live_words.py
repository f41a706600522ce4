"""What the live screen says in words: the run, its state, how long it took, its newest numbers."""

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.app import App

from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from workbench.widgets import details, palette, words
from workbench.widgets.axis import Shown

NAME = 16
"""Cells of a run's name at least."""


def head(app: App[object], row: Row, now_s: float, width: int) -> Text:
    """Name the run, say where it is, how much of all its epochs is done, and how long it has taken.

    What does not fit is left out whole: the device first, then the seed, then the time.
    """
    glyph, color = words.marks[row.status]
    state = "?? unreadable" if row.problem else f"{glyph} {row.status.value}"
    if row.is_running and row.index is not None and row.index < len(row.steps):
        state = f"{glyph} {row.steps[row.index].stage}, {row.index + 1} of {len(row.steps)}"
    elif row.is_running and row.activity:
        state = f"{glyph} {row.activity}"
    about = [f"{row.backbone} on {row.dataset}"] if row.letters != "?" else []
    seeded = [f"{known}, seed {row.seed}" for known in about]
    times, device = _times(row, now_s), [row.device] if row.device else []
    name = min(Text(row.name).cell_len, NAME)
    for before, after in ((seeded, times + device), (seeded, times), (about, times), (about, _done(row)), ([], [])):
        taken = sum(len(part) + 2 for part in [*before, *after]) + len(state) + 4
        if name + taken <= width:
            break
    text = Text.assemble(" ", (words.cut(row.name, max(NAME, width - taken)), "bold"), no_wrap=True)
    text.append("".join(f"  {part}" for part in before), style="dim")
    text.append(f"   {state}", style=palette.style(app, "error" if row.problem else color, bold=True))
    return text.append("".join(f"  {part}" for part in after), style="dim")


def _done(row: Row) -> list[str]:
    """Say how much of the training is done, all stages together; nothing where all of it is."""
    return [f"{int(100 * row.progress)} % of all"] if row.steps and row.progress < 1.0 else []


def _times(row: Row, now_s: float) -> list[str]:
    """Say the same with how long the run has gone on, or went on."""
    done, end_s = _done(row), now_s if row.is_running else row.ended_s or row.updated_s
    if row.started_s is None or end_s is None:
        return done
    seconds = end_s - row.started_s
    if not row.is_running:
        return [*done, f"took {words.duration(seconds)}"]
    return [f"{done[0]} in {_minutes(seconds)}"] if done else [f"{_minutes(seconds)} elapsed"]


def _minutes(seconds: float) -> str:
    """Write how long something has gone on, without a part that changes every second."""
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def numbers(row: Row, state: RunState | None, now_s: float) -> list[str]:
    """Say the newest numbers, or what came out, what matters most first."""
    if row.is_finished:
        deployed = f"deployed  top1 {words.number(row.top1)} % ({words.number(row.points, signed=True)} pt)"
        return [deployed, f"{words.mib(row.size_bytes)} MiB", f"{words.milliseconds(row.median_ms)} ms"]
    if not row.is_running or row.index is None or row.activity:
        return [details.outcome(row, now_s).plain]
    if state is None or state.index is None:
        return []
    stage = state.stages[state.index]
    found = [f"step {stage.step:,}/{stage.steps:,}"]
    for key, write in _written.items():
        value = stage.metrics.get(key)
        if value is not None:
            found.append(write(value))
    return found


_written: dict[str, Callable[[float], str]] = {
    "top1": lambda value: f"top1 {words.compact(value)} %",
    "loss": lambda value: f"loss {words.compact(value)}",
    "learning_rate": lambda value: f"lr {words.compact(value)}",
    "images_per_s": lambda value: f"{words.number(value, 0)} images/s",
    "sparsity": lambda value: f"sparsity {words.compact(100 * value)} %",
}


def fitting(parts: Sequence[str], room: int) -> str:
    """Join as many parts, from the first on, as fit whole; the first one is cut where it alone does not fit."""
    text = words.cut(parts[0], room) if parts else ""
    for part in parts[1:]:
        if len(text) + 2 + len(part) > room:
            break
        text += f"  {part}"
    return text


def legend(app: App[object], runs: Sequence[Shown], names: Sequence[str], left_out: int, width: int) -> Text:
    """Name the runs beside each other, all of them with as much of their names as fits, and say how many are left out.

    Args:
        app: has the colours.
        runs: what is drawn.
        names: theirs; equal ones are told apart by the ends of the runs' ids.
        left_out: how many runs were to be drawn and are not.
        width: cells of the line.
    """
    full = [
        f"{name} {run.detail.id[-4:]}" if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)
    ]
    tail = f"{left_out} not drawn" if left_out else ""
    room = width - len(tail) - 1 - len(runs) * len("A    ")
    if sum(map(len, full)) > room:
        full = [words.cut(name, room // len(runs)) for name in full]
    text = Text(" ", no_wrap=True)
    for run, name in zip(runs, full, strict=True):
        text.append(f"{run.letter} ", style=palette.style(app, run.color, bold=True)).append(f"{name}   ")
    return text.append(tail, style="dim")

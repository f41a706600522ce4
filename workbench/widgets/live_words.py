"""What the live screen says in words: the run, its state, how long it took, its newest numbers."""

from rich.text import Text
from textual.app import App

from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from workbench.widgets import details, palette, words


def head(app: App[object], row: Row, now_s: float, width: int) -> Text:
    """Name the run, say where it is, and how long it has taken."""
    glyph, color = words.marks[row.status]
    state = "?? unreadable" if row.problem else f"{glyph} {row.status.value}"
    parts = [state]
    if row.is_running and row.index is not None and row.index < len(row.steps):
        parts[0] = f"{glyph} {row.steps[row.index].stage}, {row.index + 1} of {len(row.steps)}"
    elif row.is_running and row.activity:
        parts[0] = f"{glyph} {row.activity}"
    end_s = now_s if row.is_running else row.ended_s or row.updated_s
    if row.started_s is not None and end_s is not None:
        seconds = end_s - row.started_s
        parts.append(f"{_minutes(seconds)} elapsed" if row.is_running else f"took {words.duration(seconds)}")
    if row.device:
        parts.append(row.device)
    right = "  ".join(parts)
    text = details.head(row, max(16, width - len(right) - 4))
    text = Text.assemble(" ", text, "   ", no_wrap=True)
    text.append(parts[0], style=palette.style(app, "error" if row.problem else color, bold=True))
    return text.append("".join(f"  {part}" for part in parts[1:]), style="not bold dim")


def _minutes(seconds: float) -> str:
    """Write how long something has gone on, without a part that changes every second."""
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def numbers(row: Row, state: RunState | None, now_s: float) -> str:
    """Say the newest numbers, or what came out."""
    if row.is_finished:
        deployed = f"deployed  top1 {words.number(row.top1)} % ({words.number(row.points, signed=True)} pt)"
        return f"{deployed}  {words.mib(row.size_bytes)} MiB  {words.milliseconds(row.median_ms)} ms"
    if not row.is_running or row.index is None or row.activity:
        return details.outcome(row, now_s).plain
    if state is None or state.index is None:
        return ""
    stage = state.stages[state.index]
    newest = stage.metrics
    parts = [f"step {stage.step:,}/{stage.steps:,}"]
    named = (("top1", "top1", " %"), ("loss", "loss", ""), ("learning_rate", "lr", ""))
    for key, name, unit in named:
        if newest.get(key) is not None:
            parts.append(f"{name} {words.compact(newest[key])}{unit}")
    if newest.get("sparsity") is not None:
        parts.append(f"sparsity {words.compact(100 * (newest['sparsity'] or 0.0))} %")
    if newest.get("images_per_s") is not None:
        parts.append(f"{words.number(newest['images_per_s'], 0)} images/s")
    return "  ".join(parts)

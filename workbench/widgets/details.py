"""Everything about one run in a few lines: its numbers beside the baseline's, what each stage gave, what went wrong."""

from rich.text import Text

from pipeline.report import Report
from pipeline.runs.state import RunState, StageState
from workbench.messages import RunView
from workbench.widgets import words


def head(view: RunView, width: int) -> Text:
    """Say what the run is: name, backbone, dataset, seed."""
    recipe = view.recipe
    about = "" if recipe is None else f"  {recipe.backbone} on {recipe.dataset.name}, seed {recipe.seed}"
    text = Text(words.cut(view.name, max(12, width - len(about))), style="bold", no_wrap=True)
    text.append(about, style="not bold dim")
    return text


def comparison(state: RunState, *, short: bool = False) -> Text:
    """Set the deployed network beside the baseline, three lines with one header."""
    better = state.deployed.versus(state.baseline)
    text = Text(no_wrap=True)
    text.append(f"{'':9}{'top1 %':>8}{'MiB':>9}{'ms':>9}\n", style="dim")
    text.append(f"{'baseline':9}{_row(state.baseline)}\n", style="dim")
    text.append(f"{'deployed':9}{_row(state.deployed)}\n", style="bold")
    fastest = state.deployed.fastest
    speedup = better.speedup.get(fastest.condition) if fastest else None
    text.append(f"{'':9}{words.number(better.top1_points, signed=True):>8}")
    text.append(f"{_times(better.size_ratio):>9}{_times(speedup):>9}")
    if fastest is not None and not short:
        text.append(f"  {fastest.runtime}{', contended' if fastest.contended else ''}", style="dim")
    return text


def _row(report: Report) -> str:
    top1 = words.number(words.top1(report))
    return f"{top1:>8}{words.mib(words.size_bytes(report)):>9}{words.milliseconds(words.median_ms(report)):>9}"


def _times(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1f}x"


def stages(view: RunView, width: int) -> Text:
    """Say what each stage gave: ``baseline 94.6 | prune 94.4 reused | quantize 12/20``; wrapped to the width."""
    text = Text()
    for place, stage in enumerate(view.state.stages):
        if place:
            text.append(" | ", style="dim")
        text.append(f"{stage.stage} ")
        text.append(*_stage_result(stage))
    if not view.state.stages and view.recipe is not None:
        text.append(" | ".join(stage.name for stage in view.recipe.stages) or "baseline only", style="dim")
    return text


def _stage_result(stage: StageState) -> tuple[str, str]:
    result = words.number(stage.top1)
    if stage.reused:
        return f"{result} reused", ""
    if stage.is_over:
        return f"{result} ok", ""
    if stage.status == "running":
        return f"> {stage.epoch}/{stage.epochs}", "bold"
    return "waits", "dim"


def outcome(view: RunView, now_s: float) -> Text:
    """Say what matters most now: the failure, the problem, the time that is left, or the newest note."""
    state = view.state
    if view.problem:
        return Text(f"?? {view.problem}", style="bold")
    if state.failure:
        return Text(f"x {state.failure}", style="bold")
    if state.status.value == "lost":
        return Text("!! Its process died without a word; log.txt in its folder may tell why.")
    if view.is_running:
        return Text(f"> {running_words(state, now_s)}")
    if state.notes:
        return Text(f"note: {state.notes[-1]}", style="dim")
    return Text(f"took {words.duration(_seconds(state))}" if _seconds(state) is not None else "", style="dim")


def running_words(state: RunState, now_s: float) -> str:
    """Say how long a run still takes and how fast it goes."""
    if state.index is None or state.activity:
        return state.activity or ("waiting for its process" if not state.stages else "between two stages")
    stage = state.stages[state.index]
    stage_eta, eta = state.stage_eta_s(now_s), state.eta_s(now_s)
    words_of = [f"{words.stage_words(stage)}, {words.duration(stage_eta)} left", f"run {words.duration(eta)} left"]
    speed = stage.metrics.get("images_per_s")
    if speed is not None:
        words_of.append(f"{words.number(speed, 0)} images/s")
    if state.device:
        words_of.append(state.device)
    return ", ".join(words_of)


def _seconds(state: RunState) -> float | None:
    return None if state.started_s is None or state.ended_s is None else state.ended_s - state.started_s

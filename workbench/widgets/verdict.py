"""What a draft amounts to: is it legal, what would it cost, why this order."""

import itertools
from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

from pipeline.recipe import Recipe
from workbench.plans import Plan, count
from workbench.widgets import words

_reasons = {
    ("prune", "quantize"): "zeros first, ranges fit what stays",
    ("quantize", "prune"): "INT8 first, zeros fit what is rounded",
    ("quantize", "distill"): "distill trains what is deployed",
    ("distill", "quantize"): "the teacher helps before rounding",
    ("prune", "distill"): "distill wins back what zeros cost",
    ("distill", "prune"): "pruning starts from a better network",
}
"""What it means that one stage stands before another."""


def why(stages: Sequence[str]) -> str:
    """Say in one line what the order of the stages means; empty where there is nothing to say."""
    pairs = [pair for pair in itertools.pairwise(stages) if pair in _reasons]
    return "; ".join(_reasons[pair] for pair in dict.fromkeys(pairs))


class Verdict(Static):
    """Three lines below the form."""

    DEFAULT_CSS = """
    Verdict { height: 4; padding: 0 1; border-top: solid $panel; }
    Verdict.-wrong { color: $text-error; }
    """

    def __init__(self) -> None:
        super().__init__(markup=False)
        self._shown = ""

    def refuse(self, problem: str) -> None:
        """Say why it cannot be launched."""
        self._write(f"! {problem}\nL goes there.", is_wrong=True)

    def accept(self, recipe: Recipe, plan: Plan | None) -> None:
        """Say what it amounts to.

        Args:
            recipe: what would be launched.
            plan: None while it is being found out.
        """
        epochs = sum(entry.epochs or 0 for entry in recipe.plan)
        stages = " > ".join(entry.name for entry in recipe.plan)
        device = f" on {plan.device}" if plan is not None and plan.device != "auto" else ""
        left = f"{plan.epochs} of " if plan is not None and plan.reused and plan.epochs <= epochs else ""
        lines = [f"ok {stages}: {left}{count(epochs, 'epoch')}{' left' if left else ''}{device}"]
        if plan is not None:
            lines += [_cost(plan), *(f"! {told}" for told in _told(plan)[:1])]
        lines += [_reason(recipe)] if len(lines) < 3 else []
        width = max(20, self.size.width - 2)
        self._write("\n".join(words.cut(line, width) for line in lines), is_wrong=False)

    def _write(self, text: str, *, is_wrong: bool) -> None:
        if text != self._shown:
            self._shown = text
            self.update(Content(text))
            self.set_class(is_wrong, "-wrong")


def _cost(plan: Plan) -> str:
    left = f"{plan.reused} of {len(plan.entries)} reused" if plan.reused else ""
    disk = plan.disk_words()
    return "   ".join(filter(None, (left, plan.time_words(), f"disk {disk}" if disk else "")))


def _told(plan: Plan) -> list[str]:
    absent = "" if plan.will_download else plan.absent
    return [told for told in (plan.problem, absent, *plan.warnings) if told]


def _reason(recipe: Recipe) -> str:
    reason = why([stage.name for stage in recipe.stages])
    return f"why: {reason}" if reason else ""

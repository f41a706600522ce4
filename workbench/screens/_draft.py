"""What Compose shows: a draft as outline, form or text, and what it amounts to; its keys are in ``compose``."""

from typing import Any

from textual import on, work
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import DescendantFocus
from textual.timer import Timer
from textual.widgets import OptionList, Static

from pipeline import editing
from pipeline.recipe import Recipe
from workbench.estimates import Estimator
from workbench.plans import Plan
from workbench.screens import Entry
from workbench.screens._base import WorkbenchScreen
from workbench.screens._sheets import Sheets
from workbench.widgets.draft import Problem
from workbench.widgets.form import Form
from workbench.widgets.outline import Outline
from workbench.widgets.parts import Part
from workbench.widgets.recipe_text import RecipeText
from workbench.widgets.verdict import Verdict

SETTLED_S = 0.3
"""Seconds without a change after which it is found out what a launch would do."""


class DraftScreen(WorkbenchScreen):
    """The screen without its keys and actions."""

    AUTO_FOCUS = "Outline"
    DEFAULT_CSS = """
    DraftScreen {
        #origin { height: 1; padding: 0 1; color: $text-muted; }
        #hint { height: 1; padding: 0 1; color: $text-muted; }
        &.-wide Outline { width: 48; }
        &.-text Form { display: none; }
        &.-text.-narrow Outline { display: none; }
    }
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry)
        self.plan: Plan | None = None
        """What a launch would do, as of a moment ago; None before it is known."""
        self._judged: Recipe | Problem | None = None
        self._settling: Timer | None = None
        self._finished = -1

    def compose_body(self) -> ComposeResult:
        """Build the outline and the form."""
        self.sheets = Sheets(self.workbench.memory, self.workbench.saved)
        self.draft = self.sheets.open()
        self.estimator = Estimator(self.workbench.store)
        yield Static(id="origin")
        with Horizontal(id="body"):
            yield Outline()
            yield Form()
        yield Verdict()
        yield Static(id="hint")

    def on_mount(self) -> None:
        """Show the draft."""
        self.call_after_refresh(self.show_all, 0)

    def show_shelf(self) -> None:
        """Estimate anew once other runs are over."""
        finished = sum(row.is_finished for row in (self.shelf.rows or {}).values())
        if finished != self._finished:
            self._finished = finished
            self._estimate_soon()
        self._hint()

    @property
    def place(self) -> int:
        """Of the part under the cursor of the outline."""
        return min(self.query_one(Outline).highlighted or 0, len(self.draft.parts) - 1)

    @property
    def part(self) -> Part:
        """The part under the cursor of the outline."""
        return self.draft.parts[self.place]

    @property
    def is_editing(self) -> bool:
        """A field or the text has the focus."""
        return self.focused is not None and not isinstance(self.focused, Outline)

    async def show_all(self, place: int | None = None) -> None:
        """Draw the draft, standing on a place of the outline."""
        place = self.place if place is None else place
        self.query_one(Outline).show(self.draft, place, self._remarks())
        self._judge()
        await self.query_one(Form).show(self.part)
        self._hint()
        for pane in self.query(RecipeText):
            pane.replace(self.sheets.pending or self.draft.text)

    def on_resize(self) -> None:
        """Write the outline and the verdict at the new width."""
        self.call_after_refresh(self._draw)

    def _judge(self) -> None:
        """Say whether the recipe is legal, and find out what it amounts to."""
        self._judged = self.draft.judge()
        self.sheets.remember(self.draft)
        self._draw()
        self._estimate_soon()

    def _draw(self) -> None:
        """Draw what may have changed: the title, the marks of the parts, the remarks below fields, the verdict."""
        star = " *" if self.draft.sheet.is_changed else ""
        is_kept = self.sheets.pending is not None and not self.has_class("-text")
        kept = "   ! a text with an error is kept: t shows it" if is_kept else ""
        self._write("#origin", f"{self.draft.sheet.origin}{star}{kept}")
        self.query_one(Outline).show(self.draft, self.place, self._remarks())
        self.query_one(Form).show_remarks()
        verdict = self.query_one(Verdict)
        if self.sheets.pending is not None or isinstance(self._judged, Problem):
            verdict.refuse(self._text_problem())
        elif self._judged is not None:
            verdict.accept(self._judged, self.plan)

    def _remarks(self) -> dict[int, str]:
        """Say of parts what the plan says of them, by their place; the plan may be of a moment ago."""
        plan, judged = self.plan, self._judged
        if plan is None or not isinstance(judged, Recipe):
            return {}
        found = {}
        if judged.dataset.name == plan.dataset:
            found[1] = "downloaded first" if plan.will_download else "absent" if plan.absent else "here"
        entries = [entry for entry in plan.entries if entry.stage != "teacher"]
        if [entry.stage for entry in entries[1:]] == [stage.name for stage in judged.stages]:
            found |= {2 + place: "reused" for place, entry in enumerate(entries) if entry.is_reused}
        return found

    def _estimate_soon(self) -> None:
        if self._settling is not None:
            self._settling.stop()
        self._settling = self.set_timer(SETTLED_S, self._estimate)

    def _estimate(self) -> None:
        if isinstance(self._judged, Recipe):
            self._find_out(self._judged, list((self.shelf.rows or {}).values()))

    @work(thread=True, exit_on_error=False, exclusive=True, group="plan")
    def _find_out(self, recipe: Recipe, rows: list[Any]) -> None:
        plan = self.estimator.plan(recipe, rows)
        self.app.call_from_thread(self._take_plan, recipe, plan)

    def _take_plan(self, recipe: Recipe, plan: Plan) -> None:
        if self._judged is recipe and self.is_mounted:
            self.plan = plan
            self._draw()

    @on(OptionList.OptionHighlighted)
    async def show_part(self) -> None:
        """Draw the fields of the part under the cursor."""
        form = self.query_one(Form)
        if form.part is not self.part:
            await form.show(self.part)
        self._hint()
        for pane in self.query(RecipeText):
            pane.show_line(self._line())

    @on(Form.Changed)
    def take_change(self, event: Form.Changed) -> None:
        """Take over what was typed."""
        if event.part in self.draft.parts:
            self.draft.take(event.part, event.option)
            self._judge()

    @on(Form.Swapped)
    async def take_dataset(self, event: Form.Swapped) -> None:
        """Show the fields of another dataset."""
        with self.workbench.telling_errors():
            self.draft.take_dataset(event.name)
        await self.show_all()
        self.query_one(Form).focus_field("dataset")

    @on(DescendantFocus)
    def _hint(self) -> None:
        self._write("#hint", self._hint_words())

    def _write(self, line: str, text: str) -> None:
        shown = self.query_one(line, Static)
        if str(shown.content) != text:
            shown.update(Content(text))

    def _hint_words(self) -> str:
        if self.has_class("-text"):
            return "What is typed becomes the recipe as soon as it is one."
        option = self.query_one(Form).option_of(self.focused)
        if isinstance(self.focused, Outline):
            if self.shelf.rows is not None and not self.shelf.rows and self.draft.sheet.is_first:
                return "First time? L launches this: a minute, no download. p lists more presets."
            on_stage = "J/K move   x remove   d double   " if self.part.kind == "stage" else ""
            return f"{on_stage}a adds a stage   E $EDITOR   U redo"
        if option is None:
            return "where the images come from" if self.query_one(Form).has_focus_within else ""
        folder = f", relative to {self.draft.sheet.folder}" if option.is_path else ""
        return (f"{option.help}: " if option.help else "") + option.allowed() + folder

    async def _show_text(self, line: int | None = None) -> None:
        if not self.query(RecipeText):
            await self.query_one("#body").mount(RecipeText(self.sheets.pending or self.draft.text))
        self.add_class("-text")
        pane = self.query_one(RecipeText)
        pane.remark(self._text_problem())
        pane.focus_text(self._line() if line is None else line)

    def _line(self) -> int | None:
        """Give the line of the text that is wrong, else that of the part under the cursor."""
        if self.sheets.pending is not None:
            return self.sheets.line
        return editing.line_of(self.draft.text, self.part.path) if self.part.path else None

    async def _show_form(self) -> None:
        if self.has_class("-text"):
            self.remove_class("-text")
            await self.query(RecipeText).remove()
            await self.show_all()

    @on(RecipeText.Changed)
    def take_text(self, event: RecipeText.Changed) -> None:
        """Let the form follow a text that is a recipe; keep one that is none."""
        self.sheets.take_text(self.draft, event.text)
        self._after_text()

    def _after_text(self) -> None:
        self._judge()
        for pane in self.query(RecipeText):
            pane.remark(self._text_problem())

    def _text_problem(self) -> str:
        return self.sheets.problem or (self._judged.text if isinstance(self._judged, Problem) else "")

"""2 Compose: what will run, what does it cost, is it legal?"""

from collections.abc import Callable
from typing import Any, ClassVar

from textual import on, work
from textual.app import SuspendNotSupported
from textual.binding import Binding, BindingType
from textual.widgets import OptionList

from pipeline import catalog
from pipeline.errors import PipelineError
from pipeline.runs import process
from pipeline.runs.store import Run
from workbench import editor
from workbench.modals.choose import Choice, ChooseModal
from workbench.modals.launch import Answer, LaunchModal
from workbench.screens._draft import DraftScreen
from workbench.widgets.draft import Problem
from workbench.widgets.form import Form
from workbench.widgets.outline import Outline
from workbench.widgets.recipe_text import RecipeText

ON_OUTLINE = frozenset(
    {"add", "remove", "move", "copy", "take_back", "do_again", "presets", "save", "launch", "text", "edit_outside"}
)
"""Actions whose keys are letters: off while something is typed."""


class ComposeScreen(DraftScreen):
    """Compose: what will run, what does it cost, is it legal?"""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add", id="add", show=False, tooltip="Add a stage below this one"),
        Binding("x", "remove", "remove", id="remove", show=False, tooltip="Remove this stage"),
        Binding("d", "copy", "double", id="copy-stage", show=False, tooltip="Put a copy of this stage below it"),
        Binding(
            "J,shift+j,shift+down",
            "move(1)",
            "down",
            id="move-down",
            show=False,
            tooltip="Move this stage down",
        ),
        Binding("K,shift+k,shift+up", "move(-1)", "up", id="move-up", show=False, tooltip="Move this stage up"),
        Binding("t", "text", "toml", id="text", tooltip="The recipe as TOML text, and back to the form"),
        Binding("E,shift+e", "edit_outside", "editor", id="editor", show=False, tooltip="Edit the text in $EDITOR"),
        Binding("u", "take_back", "undo", id="take-back", tooltip="Take the last change back"),
        Binding("U,shift+u", "do_again", "redo", id="do-again", show=False, tooltip="Do again what was taken back"),
        Binding("p", "presets", "preset", id="presets", tooltip="Start from a preset"),
        Binding("w", "save", "save", id="save", tooltip="Save as a preset of your own"),
        Binding("L,shift+l", "launch", "launch", id="launch", key_display="L", tooltip="Show the plan, then launch"),
    ]

    @on(OptionList.OptionSelected)
    async def edit_part(self) -> None:
        """Go into the fields."""
        await self._show_form()
        self.query_one(Form).focus_field()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switch the keys of the outline off while a field is edited."""
        return not (action in ON_OUTLINE and self.is_editing)

    def action_back(self) -> None:
        """Leave the fields or the text first, then the screen."""
        if self.has_class("-text"):
            self.call_later(self._leave_text)
        elif self.query_one(Outline).has_focus:
            super().action_back()
        else:
            self.query_one(Outline).focus()

    async def _leave_text(self) -> None:
        await self._show_form()
        self.query_one(Outline).focus()

    def _stage(self, what: str) -> int | None:
        """Give the place of the stage under the cursor; says so when it is none."""
        if self.part.kind == "stage":
            return self.draft.place(self.part)
        self.workbench.say(f"Only a stage can be {what}.", is_error=True)
        return None

    async def action_move(self, by: int) -> None:
        """Move the stage under the cursor."""
        stage = self._stage("moved")
        if stage is not None and 0 <= stage + by < len(self.draft.stages):
            self.draft.move(stage, stage + by)
            await self.show_all(self.place + by)

    async def action_remove(self) -> None:
        """Remove the stage under the cursor."""
        stage = self._stage("removed")
        if stage is not None:
            self.draft.remove(stage)
            await self.show_all()

    async def action_copy(self) -> None:
        """Put a copy of the stage under the cursor below it."""
        stage = self._stage("doubled")
        if stage is None:
            return
        if refused := self.draft.can_add(self.part.name):
            self.workbench.say(f"{self.part.name} cannot be doubled: {refused}.", is_error=True)
            return
        self.draft.copy(stage)
        await self.show_all(self.place + 1)

    async def action_take_back(self) -> None:
        """Take the last change back."""
        if self.draft.undo():
            await self.show_all()
        else:
            self.workbench.say("There is nothing to take back.")

    async def action_do_again(self) -> None:
        """Do again what was taken back."""
        if self.draft.redo():
            await self.show_all()
        else:
            self.workbench.say("There is nothing to do again.")

    def action_add(self) -> None:
        """Choose a stage and add it below the one under the cursor."""
        choices = [
            Choice(name=name, about=catalog.describe("stages", name), refused=self.draft.can_add(name))
            for name in catalog.names("stages")
        ]

        async def add(name: str | None) -> None:
            if name is None:
                return
            place = self.draft.place(self.part) + 1 if self.part.kind == "stage" else len(self.draft.stages)
            self.draft.add(name, place)
            await self.show_all(self.draft.parts.index(self.draft.stages[place]))

        self.app.push_screen(ChooseModal("add a stage", choices, is_short=True), add)

    async def action_text(self) -> None:
        """Show the recipe as text, or the form again."""
        if self.has_class("-text"):
            await self._leave_text()
        else:
            await self._show_text()

    async def action_revert(self) -> None:
        """Give up a text that is no recipe."""
        self.sheets.take_text(self.draft, self.draft.text)
        self.query_one(RecipeText).replace(self.draft.text)
        self._after_text()

    async def action_edit_outside(self) -> None:
        """Edit the text in a person's own editor."""
        await self.action_editor()

    async def action_editor(self) -> None:
        """Edit the text in a person's own editor; what comes back is taken over, or shown with its error."""
        try:
            words = editor.command()
            with self.app.suspend():
                text = editor.edit(self.sheets.pending or self.draft.text, words)
        except SuspendNotSupported:
            self.workbench.say("This terminal cannot be lent to an editor; t edits the text right here.", is_error=True)
            return
        except (PipelineError, OSError) as error:
            self.workbench.say(f"Not edited: {error}", is_error=True)
            return
        self.refresh(layout=True)
        self.sheets.take_text(self.draft, text)
        await self.show_all()
        if self.sheets.pending is not None or self.has_class("-text"):
            await self._show_text()

    def action_presets(self) -> None:
        """Choose a preset and take it over; a broken one is shown as text."""
        from workbench.modals.presets import PresetsModal

        async def take(name: str | None) -> None:
            if name is not None:
                await self.load_preset(name)

        self.app.push_screen(PresetsModal(self.workbench.saved), take)

    async def load_preset(self, name: str) -> None:
        """Begin with a preset; undo leads back. One that is broken is shown as text."""
        await self._begin(lambda: self.sheets.load(self.draft, name))

    async def load_run(self, run: Run, name: str) -> None:
        """Begin with the recipe of a run of that name; undo leads back. One that is broken is shown as text."""
        await self._begin(lambda: self.sheets.load_run(self.draft, run, name))

    async def _begin(self, load: Callable[[], None]) -> None:
        with self.workbench.telling_errors("Not opened: "):
            load()
        await self.show_all(0)
        if self.sheets.pending is not None:
            await self._show_text()

    def action_save(self) -> None:
        """Ask for a name and save the text as a preset."""
        from workbench.modals.ask import AskModal

        if self._is_refused("Not saved"):
            return

        def save(name: str | None) -> None:
            if name is not None:
                with self.workbench.telling_errors("Not saved: "):
                    path = self.sheets.save(self.draft, name)
                    self.workbench.say(f"Saved as {path}.")
                    self._judge()

        suggested = self.sheets.suggested(self.draft)
        self.app.push_screen(AskModal("save as a preset", suggested, remark=self.sheets.remark), save)

    def _is_refused(self, before: str) -> bool:
        """Tell whether the draft is no recipe; says so, and goes to where it is not."""
        if self.sheets.pending is not None:
            self.workbench.say(f"{before}: {self.sheets.problem}", is_error=True)
            self.call_later(self._show_text)
            return True
        found = self.draft.judge()
        if isinstance(found, Problem):
            self.workbench.say(f"{before}: {found.text}", is_error=True)
            self.call_later(self._go_to, found)
            return True
        return False

    async def _go_to(self, problem: Problem) -> None:
        if problem.part in self.draft.parts:
            await self._show_form()
            await self.show_all(self.draft.parts.index(problem.part))
            self.query_one(Form).focus_field(problem.option or None)

    def action_launch(self) -> None:
        """Check the recipe, show the plan, launch."""
        if self._is_refused("Not launched"):
            return

        def launch(answer: Answer | None) -> None:
            if answer is not None:
                self._launch(answer)

        self.app.push_screen(LaunchModal(self.draft.recipe(), self.estimator), launch)

    @work(thread=True, exit_on_error=False, group="launch")
    def _launch(self, answer: Answer) -> None:
        how: dict[str, Any] = {"queue": True} if answer.is_queued else {}
        try:
            run = process.launch(self.workbench.store, answer.recipe, **how)
        except (PipelineError, OSError) as error:
            self.app.call_from_thread(self.workbench.say, f"Not launched: {error}", is_error=True)
            return
        self.app.call_from_thread(self.workbench.watch_launched, run.id)

"""2 Compose: what will run, is it legal?"""

import re
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import DescendantFocus
from textual.widgets import OptionList, Static

from pipeline import catalog, presets, recipe
from pipeline.errors import PipelineError, RecipeError
from pipeline.recipe import Recipe
from pipeline.runs import process
from workbench.modals.ask import AskModal
from workbench.modals.choose import Choice, ChooseModal
from workbench.modals.launch import LaunchModal
from workbench.screens._base import WorkbenchScreen
from workbench.widgets.draft import Draft, Part, dataset_part, stage_part
from workbench.widgets.form import Form
from workbench.widgets.outline import Outline

FIRST = "quickstart"
"""The preset with which a newcomer begins: it needs no download and takes a minute."""


class ComposeScreen(WorkbenchScreen):
    """Compose: what will run, is it legal?"""

    AUTO_FOCUS = "Outline"
    DEFAULT_CSS = """
    ComposeScreen {
        #origin { height: 1; padding: 0 1; color: $text-muted; }
        #hint { height: 1; padding: 0 1; color: $text-muted; border-top: none; }
        #verdict { height: 3; padding: 0 1; border-top: solid $panel; }
        #verdict.-wrong { color: $text-error; }
        &.-wide Outline { width: 48; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("a", "add", "add", id="add", tooltip="Add a stage below this one"),
        Binding("x", "remove", "remove", id="remove", tooltip="Remove this stage"),
        Binding(
            "J,shift+j,shift+down",
            "move(1)",
            "move",
            id="move-down",
            key_display="J/K",
            tooltip="Move this stage down (J) or up (K)",
        ),
        Binding("K,shift+k,shift+up", "move(-1)", "move up", id="move-up", show=False, tooltip="Move this stage up"),
        Binding("p", "presets", "preset", id="presets", tooltip="Start from a preset"),
        Binding("w", "save", "save", id="save", tooltip="Save as a preset"),
        Binding("L,shift+l", "launch", "launch", id="launch", key_display="L", tooltip="Show the plan, then launch"),
    ]

    def compose_body(self) -> ComposeResult:
        """Build the outline and the form."""
        self.draft = Draft(recipe.load(presets.find(FIRST)))
        self.origin = f"preset {FIRST}"
        self._is_changed = False
        yield Static(id="origin")
        with Horizontal():
            yield Outline()
            yield Form()
        yield Static(id="verdict")
        yield Static(id="hint")

    def on_mount(self) -> None:
        """Show the draft."""
        super().on_mount()
        self.call_after_refresh(self._show_all, 0)

    @property
    def part(self) -> Part:
        """The part under the cursor of the outline."""
        return self.draft.parts[self.query_one(Outline).highlighted or 0]

    @property
    def is_editing(self) -> bool:
        """A field has the focus."""
        return self.focused is not None and not isinstance(self.focused, Outline)

    async def _show_all(self, place: int) -> None:
        outline = self.query_one(Outline)
        outline.show(self.draft, place)
        await self.query_one(Form).show(self.part)
        self._judge()

    def on_resize(self) -> None:
        """Write the outline at the new width."""
        self.call_after_refresh(
            lambda: self.query_one(Outline).show(self.draft, self.query_one(Outline).highlighted or 0)
        )

    def _judge(self) -> None:
        """Say whether the recipe is legal, and what it amounts to."""
        verdict = self.query_one("#verdict", Static)
        star = " *" if self._is_changed else ""
        self.query_one("#origin", Static).update(Content(f"{self.origin}{star}"))
        try:
            found = self.draft.recipe()
        except RecipeError as error:
            verdict.update(Content(f"! {error}"))
            verdict.set_class(True, "-wrong")
            return
        verdict.set_class(False, "-wrong")
        epochs = sum(entry.epochs or 0 for entry in found.plan)
        stages = " > ".join(entry.name for entry in found.plan)
        verdict.update(Content(f"ok {stages}: {epochs} epochs in all"))

    @on(OptionList.OptionHighlighted)
    async def show_part(self) -> None:
        """Draw the fields of the part under the cursor."""
        form = self.query_one(Form)
        if form.part is not self.part:
            await form.show(self.part)
        self._hint()

    @on(OptionList.OptionSelected)
    def edit_part(self) -> None:
        """Go into the fields."""
        self.query_one(Form).focus_field()

    @on(Form.Changed)
    def take_change(self, event: Form.Changed) -> None:
        """Judge the draft anew."""
        self._is_changed = True
        if event.part in self.draft.parts:
            self.query_one(Outline).relabel(self.draft, self.draft.parts.index(event.part))
        self._judge()

    @on(Form.Swapped)
    async def take_dataset(self, event: Form.Swapped) -> None:
        """Show the fields of another dataset."""
        try:
            self.draft.dataset = dataset_part(event.name)
        except PipelineError as error:
            self.workbench.say(str(error), is_error=True)
        self._is_changed = True
        await self._show_all(self.draft.parts.index(self.draft.dataset))
        self.query_one(Form).focus_field("dataset")

    @on(DescendantFocus)
    def _hint(self) -> None:
        form = self.query_one(Form)
        option = form.option_of(self.focused)
        hint = "" if option is None else f"{option.help}: {option.allowed()}" if option.help else option.allowed()
        if not self.is_editing:
            hint = "enter edits, a adds a stage, esc leaves; stages run from top to bottom"
        elif option is None:
            hint = "where the images come from"
        self.query_one("#hint", Static).update(Content(hint))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Switch the keys of the outline off while a field is edited."""
        mine = ("add", "remove", "move", "presets", "save", "launch")
        return not (action in mine and self.is_editing)

    def action_back(self) -> None:
        """Leave the fields first, then the screen."""
        if self.query_one(Outline).has_focus:
            super().action_back()
        else:
            self.query_one(Outline).focus()

    async def action_move(self, by: int) -> None:
        """Move the stage under the cursor."""
        stages, part = self.draft.stages, self.part
        if part not in stages:
            self.workbench.say("Only a stage can be moved.", is_error=True)
            return
        place = stages.index(part)
        if 0 <= place + by < len(stages):
            stages[place], stages[place + by] = stages[place + by], stages[place]
            self._is_changed = True
            await self._show_all(self.draft.parts.index(part))

    async def action_remove(self) -> None:
        """Remove the stage under the cursor."""
        part = self.part
        if part not in self.draft.stages:
            self.workbench.say("Only a stage can be removed.", is_error=True)
            return
        place = self.draft.parts.index(part)
        self.draft.stages.remove(part)
        self._is_changed = True
        await self._show_all(place)

    def action_add(self) -> None:
        """Choose a stage and add it below the one under the cursor."""
        choices = [
            Choice(name=name, about=catalog.describe("stages", name), refused=self.draft.can_add(name))
            for name in catalog.names("stages")
        ]

        async def add(name: str | None) -> None:
            if name is None:
                return
            part, current = stage_part(name), self.part
            stages = self.draft.stages
            stages.insert(stages.index(current) + 1 if current in stages else len(stages), part)
            self._is_changed = True
            await self._show_all(self.draft.parts.index(part))

        self.app.push_screen(ChooseModal("add a stage", choices, is_short=True), add)

    def action_presets(self) -> None:
        """Choose a preset and take it over."""
        found = presets.presets(self.workbench.saved)
        if not found:
            self.workbench.say("There are no presets yet; w saves this recipe as one.")
            return

        async def take(name: str | None) -> None:
            if name is not None:
                self.draft = Draft(recipe.load(found[name]))
                self.origin = f"preset {name}"
                self._is_changed = False
                await self._show_all(0)

        self.app.push_screen(
            ChooseModal("start from a preset", [_preset(name, path) for name, path in found.items()]), take
        )

    def action_save(self) -> None:
        """Ask for a name and save the recipe as a preset."""
        try:
            found = self.draft.recipe()
        except RecipeError as error:
            self.workbench.say(f"Not saved: {error}", is_error=True)
            return
        folder = self.workbench.saved

        def remark(text: str) -> tuple[bool, str]:
            if not presets.is_name(text.strip()):
                return False, "Use letters, digits, dots, dashes and underscores."
            path = folder / f"{text.strip()}.toml"
            return True, f"replaces {path}" if path.exists() else f"writes {path}"

        def save(name: str | None) -> None:
            if name is None:
                return
            try:
                path = presets.save(found, name, folder)
            except (PipelineError, OSError) as error:
                self.workbench.say(f"Not saved: {error}", is_error=True)
                return
            self.origin, self._is_changed = f"preset {name}", False
            self._judge()
            self.workbench.say(f"Saved as {path}.")

        suggested = re.sub(r"[^A-Za-z0-9._-]+", "-", found.name).strip("-.") or FIRST
        self.app.push_screen(AskModal("save as a preset", suggested, remark=remark), save)

    async def action_launch(self) -> None:
        """Check the recipe, show the plan, launch."""
        try:
            found = self.draft.recipe()
        except RecipeError as error:
            self.workbench.say(f"Not launched: {error}", is_error=True)
            wrong = next((part for part in self.draft.parts if part.has_problem), None)
            if wrong is not None:
                await self._show_all(self.draft.parts.index(wrong))
                self.query_one(Form).focus_field()
            return

        def launch(chosen: Recipe | None) -> None:
            if chosen is not None:
                self._launch(chosen)

        self.app.push_screen(LaunchModal(found), launch)

    @work(thread=True, exit_on_error=False, group="launch")
    def _launch(self, chosen: Recipe) -> None:
        try:
            run = process.launch(self.workbench.store, chosen)
        except (PipelineError, OSError) as error:
            self.app.call_from_thread(self.workbench.say, f"Not launched: {error}", is_error=True)
            return
        self.app.call_from_thread(self.workbench.watch_launched, run.id)


def _preset(name: str, path: Path) -> Choice:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        recipe.load(path)
    except (PipelineError, OSError) as error:
        return Choice(name=name, refused=str(error))
    return Choice(name=name, about=text.strip())

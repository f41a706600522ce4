"""A recipe that is being composed: one text in TOML, the parts that the form shows of it, and every step back."""

from pathlib import Path

import msgspec
from msgspec import Struct

from pipeline import catalog, decoding, editing, recipe
from pipeline.errors import PipelineError, RecipeError
from pipeline.recipe import Recipe
from workbench.widgets.parts import Part, dataset_part, parts_of

FIRST = "quickstart"
"""The preset with which a newcomer begins: it needs no download and takes a minute."""


class Sheet(Struct, frozen=True, kw_only=True):
    """A draft at one moment: what undo goes back to, and what is remembered from one session to the next."""

    text: str
    """The recipe as TOML; where a field is not legal, what was typed stands as a text."""
    folder: Path
    """Relative paths count from here."""
    origin: str = ""
    """Where it came from, for the title."""
    base: str = ""
    """The text as it was loaded or saved."""

    @property
    def is_changed(self) -> bool:
        """It differs from what was loaded or saved."""
        return self.text != self.base

    @property
    def is_first(self) -> bool:
        """It is what a newcomer begins with, untouched."""
        return self.origin == f"preset {FIRST}" and not self.is_changed


class Problem(Struct, frozen=True, kw_only=True):
    """Why a draft is no recipe."""

    text: str
    """One sentence, which begins with the part."""
    part: Part
    option: str
    """The field that it is about; empty: the whole part."""


class Draft:
    """Everything that Compose edits: one text, shown as parts with fields; every change can be undone."""

    def __init__(self, sheet: Sheet) -> None:
        """Begin with a text.

        Raises:
            RecipeError: it is not TOML, or holds what no field shows.
            PluginError: a stage or the dataset cannot be loaded.
        """
        self.sheet = sheet
        self.parts = parts_of(sheet.text)
        """Everything in the order in which it is shown."""
        self._undo: list[Sheet] = []
        self._redo: list[Sheet] = []
        self._field: tuple[editing.Path, str] | None = None

    @classmethod
    def of(cls, text: str, *, folder: Path, origin: str = "") -> "Draft":
        """Begin with the text of a recipe that was loaded."""
        return cls(Sheet(text=text, folder=folder, origin=origin, base=text))

    @property
    def text(self) -> str:
        """The recipe as TOML."""
        return self.sheet.text

    @property
    def stages(self) -> list[Part]:
        """The stages in their order."""
        return [part for part in self.parts if part.kind == "stage"]

    def recipe(self) -> Recipe:
        """Validate the whole.

        Raises:
            RecipeError: one sentence about the first thing that is wrong.
        """
        found = self.judge()
        if isinstance(found, Problem):
            raise RecipeError(found.text)
        return found

    def judge(self) -> Recipe | Problem:
        """Validate the whole; the parts are told what is wrong with the recipe because of them."""
        for part in self.parts:
            part.told = {}
        for part in self.parts:
            for option in part.options:
                if problem := part.problem(option):
                    return Problem(text=f"{self.title(part)}: {problem}", part=part, option=option.name)
        try:
            return recipe.parse(decoding.toml(self.text), folder=self.sheet.folder)
        except PipelineError as error:
            part, named = self._about(editing.path_in(str(error)))
            part.told = {named: str(error)}
            return Problem(text=str(error), part=part, option=named)

    def _about(self, path: editing.Path) -> tuple[Part, str]:
        fitting = [part for part in self.parts if path[: len(part.path)] == part.path]
        part = max(fitting, key=lambda part: len(part.path))
        rest = path[len(part.path) :]
        named = str(rest[0]) if rest else ""
        return part, named if any(option.name == named for option in part.options) else ""

    def title(self, part: Part) -> str:
        """Name a part for a sentence: ``stage 2, quantize``."""
        return f"stage {int(part.path[1]) + 1}, {part.name}" if part.kind == "stage" else part.kind

    def place(self, part: Part) -> int:
        """Tell where a stage stands among the stages, from 0."""
        return int(part.path[1])

    def take(self, part: Part, name: str) -> None:
        """Take over what was typed into a field; typing on in one field is undone in one step."""
        option = next(option for option in part.options if option.name == name)
        text = self.text
        if part.kind == "baseline" and "baseline" not in decoding.toml(text):
            text = editing.put(text, ("baseline", "epochs"), int(part.texts["epochs"] or 0))
        text = editing.put(text, (*part.path, name), part.value(option))
        self._change(text, field=(part.path, name))

    def take_text(self, text: str) -> None:
        """Take over a whole text that a person edited; typing on is undone in one step.

        Raises:
            RecipeError: it is no recipe; says the line. The draft stays as it was.
        """
        recipe.loads(text, source="the text", folder=self.sheet.folder)
        self.parts = parts_of(text)
        self._change(text, field=((), ""))

    def take_dataset(self, name: str) -> None:
        """Take another dataset, with its defaults.

        Raises:
            PluginError: it cannot be loaded.
        """
        dataset_part(name)
        self._rewrite(editing.put(self.text, ("dataset",), name))

    def can_add(self, name: str) -> str:
        """Say why a stage cannot be added; empty when it can."""
        try:
            record = catalog.load("stages", name)
        except PipelineError as error:
            return str(error)
        if record.at_most_once and any(part.name == name for part in self.stages):
            return "a recipe may hold only one"
        return ""

    def add(self, name: str, place: int) -> None:
        """Add a stage with its defaults before the one at a place."""
        self._rewrite(editing.add_stage(self.text, place, {"stage": name}))

    def move(self, place: int, to: int) -> None:
        """Move a stage."""
        self._rewrite(editing.move_stage(self.text, place, to))

    def remove(self, place: int) -> None:
        """Remove a stage."""
        self._rewrite(editing.remove_stage(self.text, place))

    def copy(self, place: int) -> None:
        """Put a copy of a stage below it."""
        self._rewrite(editing.copy_stage(self.text, place))

    def load(self, sheet: Sheet) -> None:
        """Begin with another recipe; undo leads back.

        Raises:
            PipelineError: no fields can be drawn for it; the draft stays as it was.
        """
        self.parts = parts_of(sheet.text)
        self._remember(sheet)

    def saved_as(self, origin: str, folder: Path, text: str) -> None:
        """Note that the draft lies in a file now."""
        self.sheet = Sheet(text=text, folder=folder, origin=origin, base=text)
        self._field = None

    def undo(self) -> bool:
        """Take the last change back; tells whether there was one."""
        return self._step(self._undo, self._redo)

    def redo(self) -> bool:
        """Do again what was taken back; tells whether there was something."""
        return self._step(self._redo, self._undo)

    def _step(self, source: list[Sheet], target: list[Sheet]) -> bool:
        if not source:
            return False
        target.append(self.sheet)
        self.sheet = source.pop()
        self.parts = parts_of(self.text)
        self._field = None
        return True

    def _rewrite(self, text: str) -> None:
        self._change(text)
        self.parts = parts_of(self.text)

    def _change(self, text: str, field: tuple[editing.Path, str] | None = None) -> None:
        if text == self.text:
            return
        sheet = msgspec.structs.replace(self.sheet, text=text)
        if field is not None and field == self._field:
            self.sheet = sheet
        else:
            self._remember(sheet)
        self._field = field

    def _remember(self, sheet: Sheet) -> None:
        self._undo.append(self.sheet)
        self._redo.clear()
        self.sheet = sheet
        self._field = None

"""Where Compose's draft comes from and goes to: presets, runs, the last session, a text that is no recipe."""

import re
from pathlib import Path

from pipeline import decoding, presets
from pipeline.errors import PipelineError, RecipeError
from pipeline.runs.store import Run
from workbench.memory import Memory
from workbench.widgets import words
from workbench.widgets.draft import FIRST, Draft, Sheet


class Sheets:
    """Opens, keeps and saves drafts; holds at most one text that is no recipe, until it is one or given up."""

    def __init__(self, memory: Memory, saved: Path) -> None:
        self._memory = memory
        self._saved = saved
        self.pending: str | None = None
        """A text that is no recipe: typed, edited elsewhere, or a broken preset; None when there is none."""
        self.problem = ""
        """What is wrong with it, in one sentence."""

    @property
    def line(self) -> int | None:
        """The line that is wrong; None where none is named."""
        found = re.search(r"\bline (\d+)", self.problem)
        return int(found[1]) if found else None

    def open(self) -> Draft:
        """Give the draft of the last session, with its star; without one, the first preset."""
        memory = self._memory
        text = memory.get("compose.draft", "")
        draft = Draft.of(presets.find(FIRST).read_text(encoding="utf-8"), folder=Path.cwd(), origin=f"preset {FIRST}")
        if text:
            folder = Path(memory.get("compose.folder", str(Path.cwd())))
            base = memory.get("compose.base", "")
            try:
                draft = Draft(Sheet(text=text, folder=folder, origin=memory.get("compose.origin", ""), base=base))
            except PipelineError:
                self.take_text(draft, text)
        if pending := memory.get("compose.pending", ""):
            self.take_text(draft, pending)
        return draft

    def remember(self, draft: Draft) -> None:
        """Keep the draft for the next session."""
        put, sheet = self._memory.put, draft.sheet
        put("compose.draft", sheet.text)
        put("compose.folder", str(sheet.folder))
        put("compose.origin", sheet.origin)
        put("compose.base", sheet.base)
        put("compose.pending", self.pending or "")

    def take_text(self, draft: Draft, text: str) -> None:
        """Let the draft become a text; one that is no recipe is kept beside it."""
        self.pending, self.problem = None, ""
        if text == draft.text:
            return
        try:
            draft.take_text(text)
        except PipelineError as error:
            self.pending, self.problem = text, str(error).removeprefix("the text: ")

    def load(self, draft: Draft, name: str) -> None:
        """Begin with a preset; undo leads back. One that is broken is kept as text.

        Raises:
            RecipeError: there is none of that name, or it cannot be read.
        """
        path = presets.find(name, self._saved)
        folder = path.parent if path.parent == self._saved else Path.cwd()
        self._load(draft, path, folder=folder, origin=f"preset {name}")

    def load_run(self, draft: Draft, run: Run, name: str) -> None:
        """Begin with the recipe of a run; undo leads back. One that does not fit this version is kept as text.

        Args:
            draft: becomes that recipe.
            run: stays as it is.
            name: what the run is called.

        Raises:
            RecipeError: it cannot be read.
        """
        # A person does not think of the run's folder when they type a path.
        path, origin = run.folder / "recipe.toml", f"from run {words.cut(name, 40)}"
        self._load(draft, path, folder=Path.cwd(), origin=origin)

    def _load(self, draft: Draft, path: Path, *, folder: Path, origin: str) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise RecipeError(f"the recipe {str(path)!r} cannot be read as UTF-8 text.") from None
        self.pending, self.problem = None, presets.problem(path)
        if self.problem:
            self.pending = text
            return
        text = presets.rebased(text, path.parent, folder)
        draft.load(Sheet(text=text, folder=folder, origin=origin, base=text))

    def save(self, draft: Draft, name: str) -> Path:
        """Save the draft as a preset of a person's own.

        Raises:
            RecipeError: the name is not legal, or the folder cannot be written.
        """
        path = presets.save(draft.text, name, self._saved, folder=draft.sheet.folder)
        draft.saved_as(f"preset {name}", self._saved, path.read_text(encoding="utf-8"))
        return path

    def remark(self, name: str) -> tuple[bool, str]:
        """Say of a name whether a preset may be called so, and what would be written."""
        if not presets.is_name(name.strip()):
            return False, "Use letters, digits, dots, dashes and underscores."
        path = self._saved / f"{name.strip()}.toml"
        return True, f"replaces {path}" if path.exists() else f"writes {path}"

    def suggested(self, draft: Draft) -> str:
        """Propose a name: the preset's own where it is a person's, else one from the recipe's name."""
        named = draft.sheet.origin.removeprefix("preset ")
        if draft.sheet.folder == self._saved and presets.is_name(named):
            return named
        name = str(decoding.toml(draft.text).get("name", ""))
        return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or FIRST

"""Start from a preset: shipped ones and a person's own, with their text; broken ones say what is wrong and where."""

from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from pipeline import presets
from workbench.modals.choose import Choice, ChooseModal
from workbench.modals.confirm import ConfirmModal
from workbench.widgets.draft import FIRST


class PresetsModal(ChooseModal):
    """Gives the name of the preset; a broken one is given, too, to be mended as text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x,delete", "delete", "delete", id="delete-preset", tooltip="Delete this preset of your own"),
    ]

    def __init__(self, saved: Path) -> None:
        super().__init__("start from a preset", choices(saved), hint="enter choose   x delete own   esc back")
        self._saved = saved

    def action_delete(self) -> None:
        """Ask, then delete the preset under the cursor."""
        choice = self.highlighted
        if choice is None:
            return
        if not choice.badge:
            self.workbench.say(f"{choice.name} comes with the workbench and cannot be deleted.", is_error=True)
            return

        def delete(answer: bool | None) -> None:
            if answer:
                with self.workbench.telling_errors():
                    presets.delete(choice.name, self._saved)
                self.put(choices(self._saved))

        detail = f"{self._saved / choice.name}.toml\nThe recipe on the screen stays as it is."
        self.app.push_screen(ConfirmModal("delete this preset?", detail, yes="delete", no="keep"), delete)


def choices(saved: Path) -> list[Choice]:
    """List every preset; a person's own hides a shipped one of its name."""
    return [_choice(name, path, "your own" if path.parent == saved else "") for name, path in _found(saved)]


def _found(saved: Path) -> list[tuple[str, Path]]:
    found = presets.presets(saved).items()
    # Whoever has none of their own is led to what needs no download.
    return sorted(found, key=lambda each: (each[1].parent != saved, each[0] != FIRST, each[0]))


def _choice(name: str, path: Path, badge: str) -> Choice:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        return Choice(name=name, badge=badge, refused=f"{path} cannot be read: {error.strerror}.")
    problem = presets.problem(path)
    if not problem:
        text = f"{path if badge else 'Comes with the workbench.'}\n\n{text}"
    return Choice(name=name, badge=badge, about=text, remark=f"! {problem}" if problem else "")

"""Tags and a note for the chosen runs."""

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input, Static, TextArea

from pipeline.runs.annotations import LONGEST_NOTE, Annotations, problem_of
from pipeline.runs.rows import Row
from workbench.modals.base import Modal
from workbench.widgets import words


class TagsModal(Modal[tuple[frozenset[str], tuple[str, ...]]]):
    """One field of words; gives the tags to take away and those to add.

    Of several runs the field holds the tags that all of them have; what only some have stays as it is.
    """

    DEFAULT_CSS = "TagsModal #about, TagsModal #known { height: auto; color: $text-muted; margin: 1 0 0 0; }"

    def __init__(self, rows: Sequence[Row], known: Counter[str]) -> None:
        """Ask for the tags of runs.

        Args:
            rows: the runs.
            known: all tags of the store, with how many runs have each.
        """
        super().__init__()
        self._rows = rows
        shared = [tag for tag in rows[0].tags if all(tag in row.tags for row in rows)]
        self._shared = tuple(shared)
        self._known = [tag for tag, _ in known.most_common()]

    def compose(self) -> ComposeResult:
        """Build the field."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(f"tags of {_whose(self._rows)}")
            dialog.border_subtitle = "enter save   right completes   esc back"
            text = " ".join([*self._shared, ""]) if self._shared else ""
            yield Input(
                text, placeholder="words, apart by spaces", compact=True, select_on_focus=False,
                suggester=_LastWord(self._known),
            )  # fmt: skip
            yield Static(id="about", markup=False)
            listed = "  ".join(self._known[:24]) or "none yet"
            yield Static(Content(f"tags of other runs: {words.cut(listed, 200)}"), id="known")

    @on(Input.Changed)
    def comment(self, event: Input.Changed) -> None:
        """Say what is not legal."""
        problem = problem_of(Annotations(tags=_tags(event.value)))
        about = self.query_one("#about", Static)
        about.set_class(bool(problem), "error")
        others = len(self._rows) > 1
        about.update(Content(problem or ("Tags that only some of them have stay." if others else " ")))

    @on(Input.Submitted)
    def take(self, event: Input.Submitted) -> None:
        """Give the change back where it is legal."""
        wanted = _tags(event.value)
        if not problem_of(Annotations(tags=wanted)):
            self.dismiss((frozenset(self._shared) - frozenset(wanted), wanted))


class NoteModal(Modal[str]):
    """A text of several lines."""

    DEFAULT_CSS = """
    NoteModal TextArea { height: 10; background: $panel; }
    NoteModal #about { height: auto; color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f2", "save", "save", id="save-note", tooltip="Save the note", priority=True),
    ]

    def __init__(self, rows: Sequence[Row]) -> None:
        """Ask for the note of runs."""
        super().__init__()
        self._rows = rows
        notes = {row.note for row in rows}
        self._note = notes.pop() if len(notes) == 1 else ""
        self._replaces = bool(notes)

    def compose(self) -> ComposeResult:
        """Build the field."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(f"note of {_whose(self._rows)}")
            dialog.border_subtitle = "f2 save   esc back"
            yield TextArea(self._note, soft_wrap=True, tab_behavior="focus", compact=True)
            yield Static(id="about", markup=False)

    def on_mount(self) -> None:
        """Write at the end."""
        area = self.query_one(TextArea)
        area.focus()
        area.move_cursor(area.document.end)
        self.comment()

    @on(TextArea.Changed)
    def comment(self) -> None:
        """Say what would be replaced, and what is too long."""
        text = self.query_one(TextArea).text
        problem = problem_of(Annotations(note=text))
        about = self.query_one("#about", Static)
        about.set_class(bool(problem), "error")
        replaced = "The runs have different notes; this one replaces them all.  " if self._replaces else ""
        about.update(Content(problem or f"{replaced}{len(text):,} of {LONGEST_NOTE:,} letters"))

    def action_save(self) -> None:
        """Give the note back where it is legal."""
        text = self.query_one(TextArea).text.rstrip()
        if not problem_of(Annotations(note=text)):
            self.dismiss(text)


class _LastWord(Suggester):
    """Completes the word at the end of a field of words."""

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._known = known

    async def get_suggestion(self, value: str) -> str | None:
        """Give the whole text with its last word completed; None where no known word begins so."""
        used = value.replace(",", " ").split(" ")
        word = used[-1]
        found = next((tag for tag in self._known if word and tag.startswith(word) and tag not in used), None)
        return None if found is None else value + found[len(word) :]


def _tags(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lstrip("#") for word in text.replace(",", " ").split() if word.lstrip("#")))


def _whose(rows: Sequence[Row]) -> str:
    return words.cut(rows[0].name, 50) if len(rows) == 1 else f"{len(rows)} runs"

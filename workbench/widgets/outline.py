"""The parts of a draft as a list: what will happen, in order; stages are added, removed and moved here."""

from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.widgets import words
from workbench.widgets.draft import Draft, Part


class Outline(OptionList):
    """One line for each part, with what distinguishes it; ``!`` where a field is wrong."""

    DEFAULT_CSS = """
    Outline {
        width: 40; height: 1fr; border: none; padding: 0 0 0 1; background: $background;
        background-tint: transparent; scrollbar-size-vertical: 1;
        border-right: solid $panel;
        &:focus { border: none; border-right: solid $primary; background-tint: transparent; }
        & > .option-list--option-highlighted { background: $panel; color: $foreground; text-style: none; }
        &:focus > .option-list--option-highlighted { background: $primary 35%; color: $foreground; text-style: bold; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter,right",
            "select",
            "edit",
            key_display="⏎",
            id="edit",
            tooltip="Edit the fields of this part (esc comes back)",
        ),
        Binding("j", "cursor_down", "down", id="down", show=False, tooltip="The part below"),
        Binding("k", "cursor_up", "up", id="up", show=False, tooltip="The part above"),
    ]

    def show(self, draft: Draft, place: int) -> None:
        """Write the lines anew, standing on a place."""
        width = max(20, (self.size.width or 40) - 3)
        options = [Option(self._line(draft, part, width), id=str(index)) for index, part in enumerate(draft.parts)]
        with self.prevent(OptionList.OptionHighlighted):
            self.set_options(options)
            self.highlighted = min(place, len(options) - 1)

    def relabel(self, draft: Draft, place: int) -> None:
        """Write one line anew."""
        width = max(20, (self.size.width or 40) - 3)
        self.replace_option_prompt_at_index(place, self._line(draft, draft.parts[place], width))

    def _line(self, draft: Draft, part: Part, width: int) -> Text:
        mark = "!" if part.has_problem else " "
        if part.kind == "stage":
            name = f"{draft.stages.index(part) + 1} {part.name}"
        else:
            name = {"recipe": "Recipe", "dataset": "Dataset"}.get(part.kind, part.kind.capitalize())
        text = Text(no_wrap=True)
        text.append(f"{mark}{'  ' if part.kind == 'stage' else ''}{name}".ljust(15))
        text.append(words.cut(part.summary(), width - 15), style="dim")
        return text

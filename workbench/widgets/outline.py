"""The parts of a draft as a list: what will happen, in order; stages are added, removed and moved here."""

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from workbench.widgets import words
from workbench.widgets.draft import Draft
from workbench.widgets.parts import Part


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

    def show(self, draft: Draft, place: int, remarks: Mapping[int, str]) -> None:
        """Write the lines that changed, standing on a place.

        Args:
            draft: what is composed.
            place: of the part under the cursor.
            remarks: a word about parts, by their place, as ``absent`` or ``reused``.
        """
        width = max(20, (self.size.width or 40) - 3)
        lines = [_line(draft, part, width, remarks.get(at, "")) for at, part in enumerate(draft.parts)]
        with self.prevent(OptionList.OptionHighlighted):
            if len(lines) != self.option_count:
                self.set_options([Option(line) for line in lines])
            else:
                for at, line in enumerate(lines):
                    if self.get_option_at_index(at).prompt != line:
                        self.replace_option_prompt_at_index(at, line)
            self.highlighted = min(place, len(lines) - 1)


def _line(draft: Draft, part: Part, width: int, remark: str) -> Text:
    mark = "!" if part.has_problem or remark == "absent" else " "
    name = f"  {draft.place(part) + 1} {part.name}" if part.kind == "stage" else part.kind.capitalize()
    # What a narrow column cuts off is what the form shows anyway.
    said = (part.summary(), remark) if part.kind == "dataset" else (remark, part.summary())
    summary = ", ".join(filter(None, said))
    text = Text(no_wrap=True)
    text.append(f"{mark}{words.cut(name, 13)}".ljust(15))
    text.append(words.cut(summary, width - 15), style="dim")
    return text

"""Choose one of a list: a stage to add, a preset to load."""

from collections.abc import Sequence
from typing import ClassVar

from msgspec import Struct
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from workbench.modals.base import Modal
from workbench.widgets import words


class Choice(Struct, frozen=True, kw_only=True):
    """One line of the list."""

    name: str
    """What is given back."""
    about: str = ""
    """Shown beside or below the list while the line is highlighted."""
    refused: str = ""
    """Why it cannot be chosen; empty when it can."""
    remark: str = ""
    """What should be known before it is chosen, as that it is broken; empty when nothing."""
    badge: str = ""
    """A word beside the name that tells it from others."""


class ChooseModal(Modal[str]):
    """A list with a preview."""

    DEFAULT_CSS = """
    ChooseModal {
        .dialog { height: auto; }
        #body { height: auto; }
        OptionList {
            width: auto; max-width: 43; height: auto; max-height: 16;
            border: none; background: $background; padding: 0;
        }
        OptionList:focus { border: none; background-tint: transparent; }
        OptionList > .option-list--option-highlighted {
            background: $primary 35%; color: $foreground; text-style: bold;
        }
        #preview { width: 1fr; height: 16; padding: 0 0 0 1; border-left: solid $panel; scrollbar-size-vertical: 1; }
        &.-short #preview { height: 6; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "down", "down", id="down", show=False, tooltip="The line below"),
        Binding("k", "up", "up", id="up", show=False, tooltip="The line above"),
    ]

    def __init__(self, title: str, choices: Sequence[Choice], *, hint: str = "", is_short: bool = False) -> None:
        super().__init__(classes="-short" if is_short else "")
        self._title = title
        self._choices = list(choices)
        self._hint = hint or "enter choose   esc back"

    def compose(self) -> ComposeResult:
        """Build the list and the preview."""
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = Content(self._title)
            dialog.border_subtitle = Content(self._hint)
            dialog.styles.width = 86 if self.has_class("-short") else 110
            with Horizontal(id="body"):
                yield OptionList(*(self._option(choice) for choice in self._choices))
                with VerticalScroll(id="preview", can_focus=False):
                    yield Static(id="about")

    def _option(self, choice: Choice) -> Option:
        name = f"{'! ' if choice.remark else ''}{choice.name}{f', {choice.badge}' if choice.badge else ''}"
        return Option(Text(words.cut(name, 41), style="dim" if choice.refused else "", no_wrap=True))

    @property
    def highlighted(self) -> Choice | None:
        """The line under the cursor; None without lines."""
        place = self.query_one(OptionList).highlighted
        return self._choices[place] if place is not None and place < len(self._choices) else None

    def put(self, choices: Sequence[Choice]) -> None:
        """Show other lines."""
        lines = self.query_one(OptionList)
        place = lines.highlighted or 0
        self._choices = list(choices)
        lines.set_options([self._option(choice) for choice in choices])
        lines.highlighted = min(place, len(choices) - 1) if choices else None

    def on_mount(self) -> None:
        """Stand on the first line."""
        self.query_one(OptionList).focus()

    @on(OptionList.OptionHighlighted)
    def preview(self, event: OptionList.OptionHighlighted) -> None:
        """Show what the line is about."""
        choice = self._choices[event.option_index]
        first = "\n".join(filter(None, (choice.refused, choice.remark)))
        self.query_one("#about", Static).update(Content(f"{first}\n\n{choice.about}" if first else choice.about))

    @on(OptionList.OptionSelected)
    def choose(self, event: OptionList.OptionSelected) -> None:
        """Give the line back, or say why not."""
        choice = self._choices[event.option_index]
        if choice.refused:
            self.workbench.say(choice.refused, is_error=True)
        else:
            self.dismiss(choice.name)

    def action_down(self) -> None:
        """Step down."""
        self.query_one(OptionList).action_cursor_down()

    def action_up(self) -> None:
        """Step up."""
        self.query_one(OptionList).action_cursor_up()

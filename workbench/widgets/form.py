"""The fields of one part of a draft, drawn from its declared options."""

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label, Select, Static

from pipeline import catalog
from pipeline.options import Option
from workbench.widgets.parts import Part


class Form(VerticalScroll, can_focus=False):
    """Edits one part; tells about every change and about the field that has the focus."""

    DEFAULT_CSS = """
    Form { padding: 0 1; scrollbar-size-vertical: 1; }
    Form .row { height: 1; }
    Form .name { width: 19; color: $text-muted; }
    Form .unit { width: auto; margin: 0 0 0 1; color: $text-muted; }
    Form Input { width: 1fr; }
    Form Select { width: 1fr; }
    Form .problem { height: auto; color: $text-error; padding: 0 0 0 2; display: none; }
    Form .problem.-shown { display: block; }
    Form .about { height: auto; color: $text-muted; margin: 0 0 1 0; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.back", "done", key_display="esc", id="leave", tooltip="Back to the list of parts"),
        Binding("tab,down", "step(1)", "next field", id="next-field", tooltip="The next field"),
        Binding(
            "shift+tab,up", "step(-1)", "field before", show=False, id="previous-field", tooltip="The field before"
        ),
    ]

    class Changed(Message):
        """A field holds another text."""

        def __init__(self, part: Part, option: str) -> None:
            super().__init__()
            self.part = part
            self.option = option

    class Swapped(Message):
        """Another dataset was chosen, which has other fields."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self) -> None:
        super().__init__()
        self.part: Part | None = None
        self._is_clearing = False

    async def show(self, part: Part) -> None:
        """Draw the fields of a part."""
        self.part = part
        # What the fields before still have to say is not about this part.
        self._is_clearing = True
        await self.remove_children()
        self._is_clearing = False
        await self.mount_all(self._widgets(part))

    def show_remarks(self) -> None:
        """Say below each field what is wrong with it now."""
        if self.part is None:
            return
        for name, text in [
            ("", self.part.told.get("", "")),
            *((o.name, self.part.remark(o)) for o in self.part.options),
        ]:
            for line in self.query(f"#problem-{name or 'of-all'}").results(Static):
                if str(line.content) != text:
                    line.update(Content(text))
                    line.set_class(bool(text), "-shown")

    def _widgets(self, part: Part) -> Iterable[Widget]:
        yield _problem("of-all", part.told.get("", ""))
        if part.kind == "stage":
            yield Static(Content(catalog.describe("stages", part.name)), classes="about")
        if part.kind == "dataset":
            yield Row("dataset", self._choice("dataset", catalog.names("datasets"), part.name, "datasets"), "")
            yield Static(Content(catalog.describe("datasets", part.name)), classes="about")
        for option in part.options:
            yield Row(option.name, self._field(part, option), option.unit)
            yield _problem(option.name, part.remark(option))
        if part.kind == "baseline":
            yield Static("Give exactly one of epochs and checkpoint.", classes="about", markup=False)
        if part.kind == "recipe" and not catalog.is_external(part.texts["backbone"]):
            yield Static(Content(describe_backbone(part.texts["backbone"])), classes="about", id="about-backbone")

    def _field(self, part: Part, option: Option) -> Widget:
        text = part.texts[option.name]
        if part.kind == "recipe" and option.name == "backbone":
            return self._choice(option.name, catalog.names("backbones"), text, "backbones")
        if option.kind == "choice":
            return self._choice(option.name, option.choices, text)
        if option.kind == "bool":
            return self._choice(option.name, ("true", "false"), text)
        return Input(
            text, id=f"field-{option.name}", compact=True, select_on_focus=True,
            placeholder="not set" if option.optional or option.kind == "list" else "",
        )  # fmt: skip

    def _choice(self, name: str, values: Iterable[str], value: str, kind: catalog.Kind | None = None) -> Select[str]:
        values = list(values)
        if value not in values:
            values.append(value)
        return Select(
            [(Content(_prompt(kind, each)), each) for each in values],
            value=value, allow_blank=False, id=f"field-{name}", compact=True,
        )  # fmt: skip

    def focus_field(self, name: str | None = None) -> None:
        """Go to a field; without a name to the first that is wrong, else to the first."""
        fields = [field for field in self.query("Input, Select").results(Widget) if field.id]
        wrong = [f"field-{o.name}" for o in self.part.options if self.part.remark(o)] if self.part else []
        wanted = f"field-{name}" if name else wrong[0] if wrong else None
        for field in fields:
            if wanted is None or field.id == wanted:
                field.focus()
                return

    def action_step(self, by: int) -> None:
        """Go to the next field or the one before."""
        fields = list(self.query("Input, Select").results(Widget))
        if self.screen.focused in fields:
            place = fields.index(self.screen.focused) + by
            if 0 <= place < len(fields):
                fields[place].focus()

    def option_of(self, widget: Widget | None) -> Option | None:
        """Tell which option a focused widget edits."""
        while widget is not None and widget is not self:
            if widget.id and widget.id.startswith("field-") and self.part is not None:
                name = widget.id.removeprefix("field-")
                return next((option for option in self.part.options if option.name == name), None)
            widget = widget.parent if isinstance(widget.parent, Widget) else None
        return None

    @on(Input.Changed)
    def take_text(self, event: Input.Changed) -> None:
        """Keep what was typed."""
        event.stop()
        self._take(event.input, event.value)

    @on(Input.Submitted)
    def go_on(self, event: Input.Submitted) -> None:
        """Step to the next field."""
        event.stop()
        self.action_step(1)

    @on(Select.Changed)
    def take_choice(self, event: Select.Changed) -> None:
        """Keep what was chosen."""
        event.stop()
        if not isinstance(event.value, str) or self.part is None or self._is_from_before(event.select):
            return
        if event.select.id == "field-dataset" and self.part.kind == "dataset":
            if event.value != self.part.name:
                self.post_message(self.Swapped(event.value))
            return
        self._take(event.select, event.value)

    def _is_from_before(self, field: Widget) -> bool:
        """Tell whether a field edited the part that was shown before."""
        return self._is_clearing or not field.is_attached

    def _take(self, field: Widget, text: str) -> None:
        name = (field.id or "").removeprefix("field-")
        part = self.part
        if part is None or self._is_from_before(field) or part.texts.get(name, text) == text:
            return
        part.texts[name] = text
        if part.kind == "recipe" and name == "backbone":
            for line in self.query("#about-backbone").results(Static):
                line.update(Content(describe_backbone(text)))
        self.post_message(self.Changed(part, name))


class Row(Horizontal):
    """A name, a field and a unit on one line."""

    def __init__(self, name: str, field: Widget, unit: str) -> None:
        super().__init__(classes="row")
        self._label, self._field, self._unit = name, field, unit

    def compose(self) -> ComposeResult:
        """Build the line."""
        yield Label(Content(self._label), classes="name")
        yield self._field
        if self._unit:
            yield Label(Content(self._unit), classes="unit")


def _problem(name: str, text: str) -> Static:
    return Static(Content(text), id=f"problem-{name}", classes="problem -shown" if text else "problem")


def describe_backbone(name: str) -> str:
    """Say what a backbone is and the smallest image that it takes."""
    side = catalog.constant("backbones", name, "MIN_IMAGE_SIDE")
    return catalog.describe("backbones", name) + (f"; images of at least {side}x{side} pixels." if side else ".")


def _prompt(kind: catalog.Kind | None, name: str) -> str:
    missing = catalog.missing(kind, name) if kind and not catalog.is_external(name) else []
    return f"{name} (needs {', '.join(missing)})" if missing else name

"""All that is known of one run: numbers in each runtime, stages, recipe, surroundings, notes, files."""

import io
from collections.abc import Iterator
from typing import ClassVar

from rich.console import Console, RenderableType
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from pipeline.errors import PipelineError
from pipeline.report import Report
from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from pipeline.runs.store import Run, read_environment
from workbench.modals.base import Modal
from workbench.widgets import words


class AboutRunModal(Modal[None]):
    """Scrolls through everything about a run."""

    DEFAULT_CSS = """
    AboutRunModal .dialog { width: 96%; max-width: 120; height: 94%; }
    AboutRunModal VerticalScroll { scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("i,q", "close", "close", id="close-about", tooltip="Close"),
        Binding("j", "scroll(1)", "down", id="down", show=False, tooltip="A line further down"),
        Binding("k", "scroll(-1)", "up", id="up", show=False, tooltip="A line further up"),
    ]

    def __init__(self, row: Row) -> None:
        """Show a run."""
        super().__init__()
        self._row = row

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = Content(words.cut(self._row.name, 60))
            dialog.border_subtitle = "up/down scroll   esc back"
            yield Static("Reading the run...", id="all", markup=False)

    def on_mount(self) -> None:
        """Read the run in a thread."""
        self.query_one(VerticalScroll).focus()
        self.call_after_refresh(lambda: self._read(max(40, self.query_one("#all").size.width)))

    @work(thread=True, exit_on_error=False, group="about")
    def _read(self, width: int) -> None:
        run = self.workbench.store.run(self._row.id)
        text = Text("\n").join(_sections(run, self._row, width))
        self.app.call_from_thread(self.query_one("#all", Static).update, text)

    def action_scroll(self, lines: int) -> None:
        """Scroll by lines."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def _sections(run: Run, row: Row, width: int) -> Iterator[Text]:
    """Give the sections, each with its title; one that cannot be read says why instead."""
    yield Text(f"{words.status_words(row)}   {row.created}\n{run.folder}\n")
    if row.failure or row.problem:
        yield Text(f"{row.failure or row.problem}\n", style="bold")
    if row.tags or row.note:
        yield _titled("yours", "\n".join(filter(None, [" ".join(f"#{tag}" for tag in row.tags), row.note])))
    try:
        state = run.state()
    except PipelineError as error:
        yield _titled("numbers", str(error))
    else:
        yield from _facts(state, width)
    try:
        text = (run.folder / "recipe.toml").read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        text = f"recipe.toml cannot be read: {error.strerror}."
    yield _titled("recipe", text)
    try:
        found = read_environment(run)
        yield _titled("surroundings", "\n".join(_lines(found)) or "The process has not begun.")
    except PipelineError as error:
        yield _titled("surroundings", str(error))


def _facts(state: RunState, width: int) -> Iterator[Text]:
    from workbench.cli import numbers, reporting

    if state.baseline != Report() or state.deployed != Report():
        tables = (_drawn(table, width) for table in numbers.tables(state))
        parts = ["\n".join(reporting.verdict(state)), *tables, "\n".join(reporting.conditions(state))]
        yield _titled("numbers", "\n\n".join(parts))
    if state.stages:
        yield _titled("stages", _drawn(reporting.stages(state), width))
    if state.notes:
        yield _titled("notes", "\n".join(state.notes))
    if state.artifacts:
        files = (f"{a.subject} {a.kind}  {a.path}" for a in state.artifacts)
        yield _titled("files", "\n".join(files))


def _drawn(table: RenderableType, width: int) -> str:
    """Draw a table as plain text: what stands in its cells is taken letter by letter."""
    console = Console(file=io.StringIO(), width=width, markup=False, emoji=False, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(table)
    return capture.get().rstrip()


def _lines(found: object, where: str = "") -> Iterator[str]:
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _lines(value, f"{where}.{name}" if where else str(name))
    else:
        yield f"{where}: {found}"


def _titled(title: str, text: str) -> Text:
    clean = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return Text.assemble((f"{title}\n", "bold"), f"{clean.rstrip()}\n")

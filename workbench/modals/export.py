"""Leave the files of finished runs in a folder: where, which formats, what came of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Checkbox, Input, Static
from textual.worker import get_current_worker

from pipeline import catalog
from pipeline.errors import PipelineError
from pipeline.runs.rows import Row
from workbench.modals.base import Modal
from workbench.widgets import words

if TYPE_CHECKING:
    from workbench.host import Host


class ExportModal(Modal[None]):
    """Exports the marked runs, or the selected one."""

    DEFAULT_CSS = """
    ExportModal {
        #what { height: auto; max-height: 5; }
        .label { color: $text-muted; margin: 1 0 0 0; height: 1; }
        Checkbox { width: 1fr; }
        #problem { height: auto; color: $text-error; }
        #results { height: auto; max-height: 8; }
        #results Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+e", "export", "export", id="export-now", tooltip="Write the files"),
    ]

    def __init__(self, views: Sequence[Row], folder: Path) -> None:
        super().__init__()
        self.views = list(views)
        """What is exported."""
        self._folder = folder
        self._busy = False

    @classmethod
    def open(cls, workbench: "Host") -> None:
        """Open over the present screen for what is marked or selected; say why where nothing can be exported."""
        chosen = workbench.shelf.chosen
        finished = [view for view in chosen if view.is_finished]
        if not chosen:
            workbench.say("There is no run to export.", is_error=True)
        elif not finished:
            names = f"{chosen[0].name} is" if len(chosen) == 1 else "none of the marked runs is"
            workbench.say(f"Only a finished run has files to export; {names} finished.", is_error=True)
        else:
            if len(finished) < len(chosen):
                workbench.say(f"{len(chosen) - len(finished)} of the marked runs are not finished and are left out.")
            workbench.push_screen(cls(finished, workbench.settings.export_folder))

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        with VerticalScroll(classes="dialog") as dialog:
            dialog.border_title = f"export {len(self.views)} run{'s' * (len(self.views) > 1)}"
            yield Static(Content(self._summary()), id="what")
            yield Static("into the folder", classes="label")
            yield Input(str(self._folder), id="folder", compact=True, select_on_focus=False)
            yield Static("as", classes="label")
            for name in catalog.names("exports"):
                yield self._format(name)
            yield Static(id="problem", markup=False)
            with Vertical(id="results"):
                yield from ()
            with Horizontal(classes="buttons"):
                yield Button("export", id="go", compact=True)
                yield Button("close", id="close", compact=True)

    def _summary(self) -> str:
        lines = [
            f"{words.cut(view.name, 40)}  {words.number(view.top1)} %  {words.mib(view.size_bytes)} MiB"
            for view in self.views[:4]
        ]
        return "\n".join(lines + [f"and {len(self.views) - 4} more"] * (len(self.views) > 4))

    def _format(self, name: str) -> Checkbox:
        missing = catalog.missing("exports", name)
        about = catalog.constant("exports", name, "SUMMARY") or catalog.describe("exports", name)
        if missing:
            about = f"needs {', '.join(missing)}: uv pip install {' '.join(missing)}"
        box = Checkbox(Content(f"{name}  {about}"), value=not missing, id=f"format-{name}", compact=True)
        box.disabled = bool(missing)
        return box

    def on_mount(self) -> None:
        """Stand on the button that exports, so that enter is enough."""
        self.query_one("#go").focus()

    @on(Button.Pressed, "#close")
    def close_dialog(self) -> None:
        """Close."""
        self.dismiss(None)

    @on(Button.Pressed, "#go")
    @on(Input.Submitted)
    def action_export(self) -> None:
        """Write the files, in a thread."""
        formats = [box.id.removeprefix("format-") for box in self.query(Checkbox) if box.value and box.id]
        text = self.query_one("#folder", Input).value.strip()
        problem = "" if formats else "Choose at least one format with space."
        problem = problem if text else "Name a folder."
        self.query_one("#problem", Static).update(problem)
        if problem or self._busy:
            return
        self._busy = True
        self.query_one("#go", Button).disabled = True
        self.query_one("#results").remove_children()
        self._export(Path(text).expanduser().absolute(), formats)

    @work(thread=True, exit_on_error=False, group="export")
    def _export(self, folder: Path, formats: list[str]) -> None:
        from pipeline.runs.export import export

        tell = self.app.call_from_thread
        for place, view in enumerate(self.views):
            if get_current_worker().is_cancelled:
                return
            tell(self._say, f"> {place + 1} of {len(self.views)}: {view.name}...", place)
            try:
                made = export(self.workbench.store.run(view.id), folder, formats)
            except (PipelineError, OSError) as error:
                tell(self._say, f"x  {view.name}: {error}", place)
            else:
                tell(self._say, f"ok {made.folder}", place)
        tell(self._end)

    def _say(self, text: str, place: int) -> None:
        results = self.query_one("#results")
        lines = list(results.query(Static))
        if place < len(lines):
            lines[place].update(Content(text))
        else:
            results.mount(Static(Content(text)))

    def _end(self) -> None:
        self._busy = False
        self.query_one("#go", Button).disabled = False
        self.query_one("#close").focus()

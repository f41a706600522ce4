"""Leave the files of finished runs in a folder: which runs, where, under which names, in which formats."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.table import Table
from rich.text import Text
from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Input, OptionList, Static
from textual.worker import get_current_worker

from pipeline import catalog
from pipeline.errors import PipelineError
from pipeline.runs import naming, wording
from pipeline.runs.export import Estimate
from pipeline.runs.rows import Row
from workbench import exporting
from workbench.exporting import Job, Place
from workbench.modals.base import Modal
from workbench.modals.folders import FolderModal, Folders
from workbench.widgets import palette, words

if TYPE_CHECKING:
    from workbench.host import Host

FIELDS = "Fields: " + " ".join(f"{{{name}}}" for name in naming.fields)


class ExportModal(Modal[None]):
    """Exports the marked runs, or the selected one."""

    class Read(Message):
        """The runs were read: what each format of each would take; a format that a run lacks is absent."""

        def __init__(self, sizes: dict[str, dict[str, Estimate | None]]) -> None:
            super().__init__()
            self.sizes = sizes

    class Looked(Message):
        """The folder was looked at."""

        def __init__(self, place: Place) -> None:
            super().__init__()
            self.place = place

    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-short"), (32, "-tall")]  # noqa: RUF012 - not a class variable upstream
    # The app's own rules for dialogs weigh more than DEFAULT_CSS.
    CSS = """
    ExportModal .dialog { width: 78; scrollbar-size-vertical: 1; }
    ExportModal.-wide .dialog { width: 110; }
    """
    DEFAULT_CSS = """
    ExportModal {
        .field { height: 1; }
        .field Static { width: 8; color: $text-muted; }
        .field Input { width: 1fr; }
        #runs, #preview, #total { height: auto; }
        #head { height: 1; color: $text-muted; }
        OptionList { height: auto; max-height: 8; border: none; padding: 0; background: $background; }
        OptionList { scrollbar-size-vertical: 1; }
        OptionList:focus { border: none; background-tint: transparent; }
        OptionList > .option-list--option-highlighted { background: $panel; color: $foreground; }
        OptionList:focus > .option-list--option-highlighted { background: $primary 35%; text-style: bold; }
        #about { height: 2; color: $text-muted; }
        #problem { height: auto; color: $text-error; }
        .buttons { margin: 0; }
        &.-tall #runs, &.-tall #preview, &.-tall #about, &.-tall #total { margin: 0 0 1 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "export", "export", id="export-now", tooltip="Write the files"),
        Binding("space", "choose", "choose", id="choose", tooltip="Choose the format, or leave it out"),
        Binding("a", "all", "all", id="all", tooltip="Choose all formats, or none"),
        Binding("f,f2", "browse", "folder", id="browse", tooltip="Look for the folder, or make one"),
    ]

    def __init__(self, rows: Sequence[Row], folder: Path) -> None:
        super().__init__()
        self.rows = list(rows)
        """What is exported."""
        self._folder = folder
        self._sizes: dict[str, dict[str, Estimate | None]] | None = None
        self._place = Place()
        self._names: list[str] = []
        self._formats = catalog.names("exports")
        self._missing = {name: catalog.missing("exports", name) for name in self._formats}
        self.chosen: set[str] = set()
        """Names of the formats that are written."""

    @classmethod
    def open(cls, workbench: "Host") -> None:
        """Open over the present screen for what is marked or selected; say why where nothing can be exported."""
        chosen = workbench.shelf.chosen
        finished = [row for row in chosen if row.is_finished]
        if not chosen:
            workbench.say("There is no run to export; press 2 to compose one.", is_error=True)
        elif not finished:
            names = f"{chosen[0].name} is not" if len(chosen) == 1 else "none of the marked runs is"
            workbench.say(f"Only a finished run has files to export; {names} finished.", is_error=True)
        else:
            if len(finished) < len(chosen):
                workbench.say(f"{len(chosen) - len(finished)} of the marked runs are not finished and are left out.")
            workbench.push_screen(cls(finished, workbench.settings.export_folder))

    def compose(self) -> ComposeResult:
        """Build the dialog."""
        memory = self.workbench.memory
        folder = memory.get("export.folder", "") or str(self._folder)
        template = memory.get("export.name", "") or self.workbench.settings.export_name
        left_out = memory.get("export.left_out", [""])
        self.chosen = {name for name in self._formats if not self._missing[name] and name not in left_out}
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = f"export {len(self.rows)} run{'s' * (len(self.rows) > 1)}"
            dialog.border_subtitle = "space choose  f folder  enter export  esc back"
            yield Static(id="runs")
            with Horizontal(classes="field"):
                yield Static("folder")
                yield Input(folder, id="folder", compact=True, select_on_focus=False, suggester=Folders())
            with Horizontal(classes="field"):
                yield Static("name")
                yield Input(template, id="name", compact=True, select_on_focus=False)
            yield Static(id="preview")
            yield Static(id="head", markup=False)
            yield OptionList(*("" for _ in self._formats), id="formats", markup=False)
            yield Static(id="about")
            yield Static(id="total")
            yield Static(id="problem")
            with Horizontal(classes="buttons"):
                yield Button("export", id="go", compact=True)
                yield Button("back", id="close", compact=True)

    def on_mount(self) -> None:
        """Stand on the formats, so that enter is enough, and read what the runs have."""
        self.query_one(OptionList).focus()
        self._read()
        self.show_place()
        self.show_formats()

    @on(events.Resize)
    def show_formats(self) -> None:
        """Draw what depends on the chosen formats."""
        listed = self.query_one(OptionList)
        for place, name in enumerate(self._formats):
            listed.replace_option_prompt_at_index(place, self._line(name))
        in_all = " in all" if len(self.rows) > 1 else ""
        self.query_one("#head", Static).update(f"    {'format':<14}{'MiB' + in_all:>13}")
        self._show_runs()
        self._show_preview()
        self._show_total()
        self._show_about()

    @work(thread=True, exit_on_error=False, group="read")
    def _read(self) -> None:
        self.post_message(self.Read({row.id: exporting.sizes(self.workbench.store.run(row.id)) for row in self.rows}))

    @on(Read)
    def take_sizes(self, event: Read) -> None:
        """Draw sizes, and what cannot be exported."""
        self._sizes = event.sizes
        self.show_formats()

    @on(Input.Changed)
    def show_place(self) -> None:
        """Draw the names, and look at the folder."""
        self._complain("")
        try:
            self._names = naming.names(self.query_one("#name", Input).value, self.rows)
            folder = exporting.folder_of(self.query_one("#folder", Input).value)
        except PipelineError as error:
            self._names = []
            self._place = Place(problem=str(error))
            self._show_preview()
        else:
            self._look(folder, self._names)

    @work(thread=True, exit_on_error=False, exclusive=True, group="look")
    def _look(self, folder: Path, names: Sequence[str]) -> None:
        place = exporting.look(folder, names)
        if not get_current_worker().is_cancelled:
            self.post_message(self.Looked(place))

    @on(Looked)
    def take_place(self, event: Looked) -> None:
        """Draw what is there already, and what is free."""
        self._place = event.place
        self._show_preview()
        self._show_total()

    def _show_preview(self) -> None:
        place = self._place
        if place.problem:
            text = Text(f"x {place.problem}", style=palette.style(self.app, "error"))
        else:
            most = 4 if self.has_class("-tall") else 1
            lines = [self._target(name) for name in self._names[:most]]
            more = len(self._names) - most
            lines += [f"   and {more} more"] * (more > 0)
            text = Text("\n".join(lines), palette.style(self.app, "dim"), no_wrap=True, overflow="ellipsis")
            if place.taken:
                count = len(place.taken)
                which = f"{count} of {len(self._names)} exist{'s' * (count == 1)}" if self.rows[1:] else "It exists"
                warning = f"\n!! {which} already; other content than this export's is refused."
                text.append(warning, palette.style(self.app, "warning"))
        self.query_one("#preview", Static).update(text)

    def _target(self, name: str) -> str:
        """Say where a run goes; the name stays whole where the line is too short for all of it."""
        folder = self.query_one("#folder", Input).value.strip().rstrip("/")
        whole = f"-> {folder}/{name}/"
        return whole if len(whole) <= self._width else f"-> .../{name}/"

    @property
    def _width(self) -> int:
        """Cells of a line."""
        return self.query_one("#preview").size.width or 72

    def _show_runs(self) -> None:
        most = 8 if self.has_class("-tall") else 3
        table = Table.grid(padding=(0, 2), expand=True)
        table.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for _ in range(4):
            table.add_column(justify="right", no_wrap=True)
        dim = palette.style(self.app, "dim")
        table.add_row(*(Text(title, dim) for title in ("run", "top1 %", "MiB", "ms", "files MiB")))
        for row in self.rows[:most]:
            numbers = (words.number(row.top1), words.mib(row.size_bytes), words.milliseconds(row.median_ms))
            table.add_row(*map(Text, (row.name, *numbers, self._mib([row], self.chosen))))
        if len(self.rows) > most:
            table.add_row(Text(f"and {len(self.rows) - most} more", dim))
        self.query_one("#runs", Static).update(table)

    def _show_total(self) -> None:
        size = self._sum(self.rows, self.chosen)
        text = Text()
        if size is not None and self.chosen:
            text.append(f"{len(self.rows)} folder{'s' * (len(self.rows) > 1)}, about {wording.bytes_of(size[0])}")
        if self._place.free_bytes is not None:
            text.append(f"  {self._place.free_bytes / 2**30:,.1f} GiB free", palette.style(self.app, "dim"))
            if size is not None and size[0] > self._place.free_bytes:
                text.append("  !! does not fit", palette.style(self.app, "warning"))
        self.query_one("#total", Static).update(text)

    def _line(self, name: str) -> Text:
        able = self._able(name)
        box = "[-]" if not able else "[x]" if name in self.chosen else "[ ]"
        size = self._mib(self.rows, {name})
        line = Text(f"{box} {name:<14}{size:>13}  ", "" if able else palette.style(self.app, "dim"), no_wrap=True)
        # What is cut here stands whole below the list once the line is highlighted.
        rest = self._refusal(name) or self._phrase(name)
        return line.append(words.cut(rest, self._width - line.cell_len - 2), palette.style(self.app, "dim"))

    @on(OptionList.OptionHighlighted)
    def _show_about(self) -> None:
        """Say what the highlighted format is for, whole, or what the field that is typed in takes."""
        focused = self.focused.id if self.focused is not None else None
        place = self.query_one(OptionList).highlighted
        if focused == "name":
            about = FIELDS
        elif focused == "folder":
            about = "The arrow to the right completes. It is made where it does not exist."
        elif place is not None:
            name = self._formats[place]
            refusal = self._refusal(name)
            about = f"{name}: {self._phrase(name)}" + (f"; {refusal}" if refusal else "")
        else:
            about = ""
        self.query_one("#about", Static).update(Content(about))

    def on_descendant_focus(self) -> None:
        """Explain what has the focus."""
        if self.is_mounted:
            self._show_about()

    def _phrase(self, name: str) -> str:
        return str(catalog.constant("exports", name, "SUMMARY") or catalog.describe("exports", name))

    def _able(self, name: str) -> list[Row]:
        """List the runs that can be exported to a format, as far as is known."""
        if self._sizes is None:
            return [] if self._missing[name] else self.rows
        return [row for row in self.rows if name in self._sizes[row.id]]

    def _refusal(self, name: str) -> str:
        """Say what keeps runs from a format; empty where nothing does."""
        if missing := self._missing[name]:
            return f"needs {', '.join(missing)}: uv pip install {' '.join(missing)}"
        able, reads = len(self._able(name)), catalog.constant("exports", name, "READS")
        if able == len(self.rows):
            return ""
        whose = "the run has" if len(self.rows) == 1 else f"{len(self.rows) - able} of {len(self.rows)} runs have"
        return f"{whose} no {reads} file"

    def _sum(self, rows: Iterable[Row], formats: Iterable[str]) -> tuple[int, bool] | None:
        """Add up what formats of runs will take, and whether that is exact; None where nothing is known."""
        if self._sizes is None:
            return None
        wanted = set(formats)
        found = [size for row in rows for name, size in self._sizes[row.id].items() if name in wanted]
        known = [size for size in found if size is not None]
        is_exact = len(known) == len(found) and all(size.is_exact for size in known)
        return (sum(size.bytes for size in known), is_exact) if known else None

    def _mib(self, rows: Iterable[Row], formats: Iterable[str]) -> str:
        size = self._sum(rows, formats)
        return "-" if size is None else f"{'' if size[1] else 'about '}{words.mib(size[0])}"

    def action_choose(self) -> None:
        """Choose the highlighted format, or leave it out."""
        place = self.query_one(OptionList).highlighted
        if place is not None and self._able(self._formats[place]):
            self.chosen ^= {self._formats[place]}
            self._chosen_changed()

    def action_all(self) -> None:
        """Choose all formats that can be written; none if all are chosen."""
        able = {name for name in self._formats if self._able(name)}
        self.chosen = set() if able <= self.chosen else able
        self._chosen_changed()

    def _chosen_changed(self) -> None:
        self._complain("")
        self.show_formats()

    def action_browse(self) -> None:
        """Look for the folder in a tree."""

        def take(folder: Path | None) -> None:
            if folder is not None:
                self.query_one("#folder", Input).value = str(folder)

        try:
            begin = exporting.folder_of(self.query_one("#folder", Input).value)
        except PipelineError:
            begin = Path.cwd()
        self.app.push_screen(FolderModal(begin), take)

    @on(Button.Pressed, "#close")
    def close_dialog(self) -> None:
        """Close."""
        self.dismiss(None)

    @on(Button.Pressed, "#go")
    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def action_export(self) -> None:
        """Write the files."""
        problem = self._place.problem and f"{self._place.problem[0].upper()}{self._place.problem[1:]}"
        if not self.chosen:
            problem = "Choose at least one format with space."
        self._complain(problem)
        if problem or self._sizes is None or len(self._names) != len(self.rows):
            return
        from workbench.modals.exporting import ExportingModal

        folder = self.query_one("#folder", Input).value.strip()
        self._remember(folder)
        jobs = [
            Job(row=row, name=name, formats=tuple(f for f in self._sizes[row.id] if f in self.chosen))
            for row, name in zip(self.rows, self._names, strict=True)
        ]
        self.query_one(".dialog").display = False
        self.app.push_screen(ExportingModal(jobs, exporting.folder_of(folder)), self._after)

    def _complain(self, problem: str) -> None:
        shown = self.query_one("#problem", Static)
        shown.display = bool(problem)
        shown.update(Content(problem))

    def _after(self, is_done: bool | None) -> None:
        """Close when files were written; else the choices can be changed."""
        if is_done:
            self.dismiss(None)
        else:
            self.query_one(".dialog").display = True
            self.query_one(OptionList).focus()
            self.show_place()

    def _remember(self, folder: str) -> None:
        memory = self.workbench.memory
        memory.put("export.folder", folder)
        memory.put("export.name", self.query_one("#name", Input).value)
        memory.put("export.left_out", [n for n in self._formats if self._able(n) and n not in self.chosen])

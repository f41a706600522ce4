"""Exports at work: a line for each format of each run, then what each file answered when it was opened again."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widgets import Static
from textual.worker import get_current_worker

from pipeline.errors import PipelineError
from pipeline.runs import export, wording
from pipeline.runs.export import Exported, Progress
from workbench import exporting
from workbench.exporting import Job
from workbench.modals.base import Modal
from workbench.modals.confirm import ConfirmModal
from workbench.widgets import palette, words

CANCELLED = "cancelled, nothing of it stays"


class Cancelled(Exception):
    """A person does not want the export any more."""


class ExportingModal(Modal[bool]):
    """Exports runs one after the other; closes with whether anything was written."""

    class Told(Message):
        """A run is so far, or is done (``Exported``), or failed (a sentence)."""

        def __init__(self, place: int, outcome: Progress | Exported | str) -> None:
            super().__init__()
            self.place = place
            self.outcome = outcome

    class Ended(Message):
        """All is over."""

    # The app's own rules for dialogs weigh more than DEFAULT_CSS.
    CSS = """
    ExportingModal .dialog { width: 78; }
    ExportingModal.-wide .dialog { width: 110; }
    """
    DEFAULT_CSS = """
    ExportingModal {
        #list { height: auto; max-height: 1fr; scrollbar-size-vertical: 1; }
        #list Static, #into { height: auto; }
        #status { height: 1; margin: 1 0 0 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,space,q", "close", "close", id="close-results", show=False, tooltip="Close when it is over"),
        Binding("c", "copy", "copy", id="copy-path", tooltip="Copy the paths of what was written"),
        Binding("j", "scroll(1)", "down", id="down", show=False, tooltip="Further down"),
        Binding("k", "scroll(-1)", "up", id="up", show=False, tooltip="Further up"),
    ]

    def __init__(self, jobs: Sequence[Job], folder: Path) -> None:
        super().__init__()
        self._jobs = list(jobs)
        self._folder = folder
        self._told: list[dict[str, Progress]] = [{} for _ in jobs]
        self.outcomes: list[Exported | str | None] = [None for _ in jobs]
        """What came of each run: what was written, or why not; None while that is not known."""
        self._is_cancelled = False
        self.is_busy = True
        """Something is still being written."""
        self._began_s = time.monotonic()
        self._took_s = 0.0

    def compose(self) -> ComposeResult:
        """Build the list."""
        with VerticalScroll(classes="dialog", can_focus=False) as dialog:
            dialog.border_title = f"exporting {len(self._jobs)} run{'s' * (len(self._jobs) > 1)}"
            yield Static(Text(f"into {self._folder}", overflow="fold"), id="into")
            with VerticalScroll(id="list"):
                for place in range(len(self._jobs)):
                    yield Static(self._block(place), id=f"run-{place}")
            yield Static(id="status")

    def on_mount(self) -> None:
        """Begin."""
        self.query_one("#list").focus()
        self._show_status()
        self.set_interval(1.0, self._tick)
        self._export()

    def on_unmount(self) -> None:
        """Let the thread end with the dialog."""
        self._is_cancelled = True

    @work(thread=True, exit_on_error=False, group="export")
    def _export(self) -> None:
        worker = get_current_worker()

        def interrupt() -> None:
            if self._is_cancelled or worker.is_cancelled:
                raise Cancelled

        for place, job in enumerate(self._jobs):
            self.post_message(self.Told(place, self._one(place, job, interrupt)))
        self.post_message(self.Ended())

    def _one(self, place: int, job: Job, interrupt: "export.Interrupt") -> Exported | str:
        def tell(progress: Progress) -> None:
            self.post_message(self.Told(place, progress))

        run = self.workbench.store.run(job.row.id)
        try:
            interrupt()
            if not job.formats:
                return "it has no file that any of the chosen formats could start from."
            return export.export(run, self._folder, job.formats, name=job.name, progress=tell, interrupt=interrupt)
        except Cancelled:
            return CANCELLED
        except (PipelineError, OSError) as error:
            return str(error)

    @on(Told)
    def take(self, event: Told) -> None:
        """Draw how far one run is."""
        if isinstance(event.outcome, Progress):
            self._told[event.place][event.outcome.format] = event.outcome
        else:
            self.outcomes[event.place] = event.outcome
        block = self.query_one(f"#run-{event.place}", Static)
        block.update(self._block(event.place))
        if isinstance(event.outcome, Progress) and event.outcome.step == "writing":
            self.call_after_refresh(block.scroll_visible, animate=False)

    @on(Ended)
    def end(self) -> None:
        """Say what came of it."""
        self.is_busy = False
        self._took_s = time.monotonic() - self._began_s
        done = len(self.written)
        self.query_one(".dialog").border_title = f"exported {done} of {len(self._jobs)}"
        self._show_status()

    @property
    def written(self) -> list[Path]:
        """The folders that are there."""
        return [one.folder for one in self.outcomes if isinstance(one, Exported)]

    def _tick(self) -> None:
        if self.is_busy:
            self._show_status()

    def _show_status(self) -> None:
        done = sum(outcome is not None for outcome in self.outcomes)
        took = words.duration(self._took_s if not self.is_busy else time.monotonic() - self._began_s)
        if self.is_busy:
            doing = "cancelling..." if self._is_cancelled else "esc cancel"
            text = f"{done} of {len(self._jobs)} done  {took}  {doing}"
        else:
            failed = len(self._jobs) - len(self.written)
            copied = "c copy path  " if self.written else ""
            text = f"{len(self.written)} exported, {failed} not  {took}  {copied}esc close"
        self.query_one("#status", Static).update(Text(text, palette.style(self.app, "dim")))

    def _block(self, place: int) -> Text:
        """Draw one run."""
        job, outcome = self._jobs[place], self.outcomes[place]
        if isinstance(outcome, Exported):
            return self._made(outcome)
        if outcome is not None:
            glyph, color = ("--", "dim") if outcome == CANCELLED else ("x", "error")
            return Text(f"{glyph:<2} {job.row.name}: {outcome}", palette.style(self.app, color))
        told = self._told[place]
        if not told:
            return Text(f".. {job.name}", palette.style(self.app, "dim"), no_wrap=True, overflow="ellipsis")
        text = Text(f">  {job.name}", no_wrap=True, overflow="ellipsis")
        for name in job.formats:
            glyph, _, size, said = exporting.row(name, told.get(name))
            style = palette.style(self.app, "dim" if glyph == ".." else "success" if glyph == "ok" else "primary")
            text.append(f"\n   {glyph:<2} {name:<12}{size:>13}  ", style)
            text.append(said.partition(" (")[0].replace(" predictions", ""), style)
        return text

    def _made(self, made: Exported) -> Text:
        """Draw what is there: the path, each file with the beginning of its checksum, what it answered."""
        dim, good = palette.style(self.app, "dim"), palette.style(self.app, "success")
        text = Text(overflow="fold")
        text.append("ok ", good)
        text.append(made.folder.name)
        for check, written in exporting.files_of(made):
            if check is None:
                names = ", ".join(one.name for one in written)
                text.append(f"\n   also {names}, SHA256SUMS", dim)
                continue
            for one in written:
                text.append("\n   ok ", good)
                text.append(f"{one.name:<22}{wording.bytes_of(one.bytes):>13}  ")
                text.append(f"sha256 {one.sha256[:12]}", dim)
            text.append(f"{'  ' if self.has_class('-wide') else chr(10) + ' ' * 6}{check.short}")
        return text

    def action_close(self) -> None:
        """Close; while files are being written, ask first."""
        if not self.is_busy:
            self.dismiss(bool(self.written))
        elif not self._is_cancelled:
            detail = "Runs that are exported stay where they are; of the one at work nothing stays."
            self.app.push_screen(ConfirmModal("cancel the export?", detail, yes="cancel it", no="go on"), self._cancel)

    def _cancel(self, answer: bool | None) -> None:
        if answer and self.is_busy:
            self._is_cancelled = True
            self._show_status()

    def action_scroll(self, lines: int) -> None:
        """Scroll the list."""
        self.query_one("#list").scroll_relative(y=lines, animate=False)

    def action_copy(self) -> None:
        """Copy the paths of what was written."""
        if self.written:
            self.app.copy_to_clipboard("\n".join(map(str, self.written)))

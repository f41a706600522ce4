"""What can be done with the chosen runs, whatever the screen: every action acts on the marked runs, else the selected.

A screen binds a key to ``app.<action>``; the command palette finds the same actions.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import msgspec
from textual import work
from textual.actions import parse
from textual.dom import DOMNode

from pipeline.errors import PipelineError
from pipeline.events import StopWhen
from pipeline.runs import process, queue
from pipeline.runs.annotations import Annotations
from pipeline.runs.rows import Row
from pipeline.runs.store import Run
from workbench.host import Host

if TYPE_CHECKING:
    from pipeline.recipe import Recipe
    from workbench.screens.compose import ComposeScreen

CHANGING = frozenset({
    "stop", "delete", "undo", "resume", "pin", "tags", "note", "launch", "queue_up", "queue_down", "start_now",
    "queue_limit",
})  # fmt: skip
"""Actions that change the store: refused where it may only be read (``Settings.read_only``)."""


class RunActions(Host):
    """The part of the app that acts on runs."""

    async def run_action(
        self, action: str | tuple[str, str, tuple[object, ...]], default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:  # fmt: skip
        """Perform an action, unless it would change a store that may only be read."""
        name = parse(action)[1] if isinstance(action, str) else action[1]
        if name in CHANGING and self.settings.read_only:
            what = name.replace("_", " ")
            self.say(
                f"This workbench only reads: nothing in the store is changed, so there is no {what}.", is_error=True
            )
            return True
        return await super().run_action(action, default_namespace, namespaces)

    # -- files

    def ask_to_write(
        self, title: str, name: str, endings: Collection[str], make: Callable[[str], bytes], about: str
    ) -> None:
        """Ask for a file and write it.

        Args:
            title: what is asked.
            name: that is offered.
            endings: of names; one decides what is written.
            make: gives the content for an ending; called in a thread.
            about: said below a name that can be taken.
        """
        from workbench import writing
        from workbench.modals.ask import AskModal

        def remark(text: str) -> tuple[bool, str]:
            problem = writing.problem_of(Path(text.strip()).expanduser(), endings)
            return not problem, problem or about

        def take(text: str | None) -> None:
            if text is not None:
                self._write_file(Path(text).expanduser(), endings, make)

        self.push_screen(AskModal(title, name, remark=remark), take)

    @work(thread=True, exit_on_error=False, group="files")
    def _write_file(self, path: Path, endings: Collection[str], make: Callable[[str], bytes]) -> None:
        from workbench import writing

        try:
            writing.write(path, endings, make)
        except (PipelineError, OSError) as error:
            self.call_from_thread(self.say, f"Not written: {error}", is_error=True)
        else:
            self.call_from_thread(self.say, f"Written: {path.resolve()}")

    def action_metrics(self) -> None:
        """Write every number that the chosen runs recorded."""
        from pipeline.runs import metrics

        rows = self.shelf.chosen
        if not rows:
            return
        runs = [self.store.run(row.id) for row in rows]
        name = f"{Path(rows[0].name).name or 'run'}-metrics.csv" if len(rows) == 1 else "metrics.csv"
        about = f"Every recorded number of {_named(rows)}: a table (.csv) or a document (.json)."

        def make(ending: str) -> bytes:
            return metrics.formats[ending](metrics.records(runs))

        self.ask_to_write("write the metrics as", name, metrics.formats, make, about)

    # -- marks

    def action_mark(self) -> None:
        """Mark the selected run, or take its mark away."""
        if self.shelf.selected is not None:
            self.mark(self.shelf.marked ^ {self.shelf.selected})

    def action_mark_all(self) -> None:
        """Mark every run that passes the filter."""
        self.mark(self.shelf.marked | {row.id for row in self.shelf.visible})

    def action_mark_none(self) -> None:
        """Take all marks away, those of hidden runs as well."""
        self.mark(set())

    def action_mark_invert(self) -> None:
        """Mark the runs that pass the filter and are not marked, and no longer those that were."""
        self.mark(self.shelf.marked ^ {row.id for row in self.shelf.visible})

    def mark(self, run_ids: set[str]) -> None:
        """Make these the marked runs."""
        if run_ids != self.shelf.marked:
            self.shelf.marked = run_ids
            self.shelf_changed.publish(None)

    # -- notes of a person

    def action_pin(self) -> None:
        """Pin the chosen runs above the others; where all are pinned, let them go."""
        rows = self.shelf.chosen
        pinned = not all(row.pinned for row in rows)
        self._annotate(rows, lambda known: msgspec.structs.replace(known, pinned=pinned))

    def action_tags(self) -> None:
        """Ask for the tags of the chosen runs."""
        from workbench.modals.annotate import TagsModal

        rows = self.shelf.chosen
        if not rows:
            return

        def change(answer: tuple[frozenset[str], tuple[str, ...]] | None) -> None:
            if answer is not None:
                gone, wanted = answer
                self._annotate(rows, lambda known: known.tagged(wanted, gone))

        known = Counter(tag for row in (self.shelf.rows or {}).values() for tag in row.tags)
        self.push_screen(TagsModal(rows, known), change)

    def action_note(self) -> None:
        """Ask for the note of the chosen runs."""
        from workbench.modals.annotate import NoteModal

        rows = self.shelf.chosen
        if not rows:
            return

        def change(text: str | None) -> None:
            if text is not None:
                self._annotate(rows, lambda known: msgspec.structs.replace(known, note=text))

        self.push_screen(NoteModal(rows), change)

    def _annotate(self, rows: Sequence[Row], change: Callable[[Annotations], Annotations]) -> None:
        self._on_each(rows, lambda run: run.annotate(change(run.annotations())), lambda _: None)

    # -- runs

    def action_export(self) -> None:
        """Export the chosen runs that are finished."""
        from workbench.modals.export import ExportModal

        ExportModal.open(self)

    def action_about(self) -> None:
        """Show everything about the selected run."""
        from workbench.modals.about_run import AboutRunModal

        if self.shelf.current is not None:
            self.push_screen(AboutRunModal(self.shelf.current))

    def action_stop(self, which: Literal["chosen", "current"] = "chosen") -> None:
        """Ask when, then stop the chosen runs that go on; or the selected one alone, whatever is marked."""
        from workbench.modals.stop import StopModal

        current = [self.shelf.current] if self.shelf.current is not None else []
        rows = [row for row in (self.shelf.chosen if which == "chosen" else current) if row.is_running]
        if not rows:
            self.say("Only a run that goes on can be stopped.", is_error=True)
            return

        def stop(when: StopWhen | Literal["never"] | None) -> None:
            if when == "never":
                pending = [row for row in rows if row.stopping is not None]
                self._on_each(pending, process.withdraw_stop, lambda done: self.say(f"{_named(done)} will not stop."))
            elif when is not None:
                last = {"now": "its next step", "epoch": "the end of its epoch", "stage": "the end of its stage"}[when]
                tell = lambda done: self.say(f"{_named(done)} will stop at {last}.")  # noqa: E731
                self._on_each(rows, lambda run: process.stop(run, when=when), tell)

        self.push_screen(StopModal(rows), stop)

    def action_queue_up(self) -> None:
        """Let the chosen runs that wait begin one place earlier; their own order stays."""
        rows = self._waiting("moved")
        self._move([row for least, row in enumerate(rows, start=1) if (row.queued_at or 0) > least], -1)

    def action_queue_down(self) -> None:
        """Let the chosen runs that wait begin one place later; their own order stays."""
        rows = self._waiting("moved")
        last = sum(row.queued_at is not None for row in (self.shelf.rows or {}).values())
        self._move([row for after, row in enumerate(reversed(rows)) if (row.queued_at or 0) < last - after], 1)

    def action_start_now(self) -> None:
        """Let the chosen runs that wait begin, whatever goes on."""
        if rows := self._waiting("started"):
            self._on_each(rows, queue.start_now, lambda done: self.say(f"{_named(done)} begins now."))

    def action_queue_limit(self) -> None:
        """Ask how many runs may go on at once before one that waits begins."""
        from workbench.modals.ask import AskModal

        now = ""
        # A file that cannot be read is replaced.
        with self.telling_errors():
            now = str(queue.limit(self.store))

        def remark(text: str) -> tuple[bool, str]:
            if text.strip().isdecimal() and 1 <= int(text) <= queue.LARGEST_LIMIT:
                return (
                    True,
                    "While so many go on, a queued run waits. One that is not queued begins at once, and counts.",
                )
            return False, f"It must be a whole number from 1 to {queue.LARGEST_LIMIT}."

        def change(text: str | None) -> None:
            if text is not None:
                with self.telling_errors("Not changed: "):
                    queue.set_limit(self.store, int(text))
                    self.say(f"{int(text)} run{'s' * (int(text) > 1)} may go on at once.")

        self.push_screen(AskModal("how many runs may go on at once?", now, remark=remark), change)

    def _waiting(self, what: str) -> list[Row]:
        """List the chosen runs that wait, the next one first; says so when there is none."""
        rows = [row for row in self.shelf.chosen if row.queued_at is not None]
        if not rows:
            self.say(f"Only a run that waits in the queue can be {what}.", is_error=True)
        return sorted(rows, key=lambda row: row.queued_at or 0)

    def _move(self, rows: Sequence[Row], by: int) -> None:
        if rows:
            self._on_each(rows, lambda run: queue.move(run, by), lambda _: None)

    def action_delete(self) -> None:
        """Ask, then put the chosen runs into the trash."""
        from workbench.modals.confirm import ConfirmModal

        rows = self.shelf.chosen
        running = [row for row in rows if row.is_running]
        if running:
            self.say(f"{running[0].name} is still going on; stop it first.", is_error=True)
        if not rows or running:
            return

        def delete(answer: bool | None) -> None:
            if answer:
                self._change(lambda: self._delete(rows))

        lines = [f"{row.name}  {row.id}" for row in rows[:6]] + [f"and {len(rows) - 6} more"] * (len(rows) > 6)
        lines.append("The trash keeps a run for a day; u brings it back. Stage results that other runs share stay.")
        question = "delete this run?" if len(rows) == 1 else f"delete {len(rows)} runs?"
        self.push_screen(ConfirmModal(question, "\n".join(lines), yes="delete", no="keep"), delete)

    def _delete(self, rows: Sequence[Row]) -> str:
        self.store.delete(*(self.store.run(row.id) for row in rows))
        return f"Deleted {_named(rows)}; u brings {'it' if len(rows) == 1 else 'them'} back."

    def action_undo(self) -> None:
        """Bring back the runs that were deleted last, in whatever session."""
        self._change(self._bring_back)

    def _bring_back(self) -> str:
        names = [run.name() for run in self.store.restore_last()]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        return f"Brought back {', '.join(names[:3])}{more}."

    async def action_edit(self) -> None:
        """Begin in Compose with the recipe of the selected run; its results are reused as far as it stays the same."""
        row = self.shelf.current
        if row is not None:
            screen = await self.compose_screen()
            screen.call_later(screen.load_run, self.store.run(row.id), row.name)

    async def compose_screen(self) -> "ComposeScreen":
        """Go to Compose."""
        await self.switch_mode("compose")
        return cast("ComposeScreen", self.screen)

    def action_resume(self) -> None:
        """Launch the recipe of the selected run again, after showing what would be reused and what trained."""
        row = self.shelf.current
        if row is None:
            return
        if refused := process.why_not_resumed(row.status):
            self.say(f"{row.name} {refused}.", is_error=True)
            return
        self._read_recipe(self.store.run(row.id))

    @work(thread=True, exit_on_error=False, group="resume", exclusive=True)
    def _read_recipe(self, run: Run) -> None:
        try:
            recipe = run.recipe()
        except (PipelineError, OSError) as error:
            self.call_from_thread(self.say, f"Not resumed: {error}", is_error=True)
        else:
            self.call_from_thread(self._ask_to_launch, run, recipe)

    def _ask_to_launch(self, run: Run, recipe: "Recipe") -> None:
        from workbench.estimates import Estimator
        from workbench.modals.launch import Answer, LaunchModal

        def launch(answer: Answer | None) -> None:
            if answer is not None:
                # Word for word, unless the answer asks for a download, too.
                self._launch_again(run, None if answer.recipe == recipe else answer.recipe, is_queued=answer.is_queued)

        self.push_screen(LaunchModal(recipe, Estimator(self.store)), launch)

    @work(thread=True, exit_on_error=False, group="resume")
    def _launch_again(self, run: Run, changed: "Recipe | None", *, is_queued: bool) -> None:
        try:
            if changed is None:
                again = process.relaunch(run, queue=is_queued)
            else:
                again = process.launch(self.store, changed, queue=is_queued)
        except (PipelineError, OSError) as error:
            self.call_from_thread(self.say, f"Not launched: {error}", is_error=True)
        else:
            self.call_from_thread(self.watch_launched, again.id)

    @work(thread=True, exit_on_error=False, group="actions")
    def _change(self, change: Callable[[], str]) -> None:
        """Change the store in a thread, and say what came of it."""
        try:
            said, is_error = change(), False
        except (PipelineError, OSError) as error:
            said, is_error = str(error), True
        self.feed.look()
        self.call_from_thread(self.say, said, is_error=is_error)

    @work(thread=True, exit_on_error=False, group="actions")
    def _on_each(
        self, rows: Sequence[Row], change: Callable[[Run], object], done: Callable[[Sequence[Row]], None]
    ) -> None:
        """Change runs one after the other, in a thread; tell of those that were, and why the others were not."""
        changed: list[Row] = []
        problems: list[str] = []
        for row in rows:
            try:
                change(self.store.run(row.id))
            except (PipelineError, OSError) as error:
                problems.append(str(error))
            else:
                changed.append(row)
        self.feed.look()
        if changed:
            self.call_from_thread(done, changed)
        if problems:
            more = f" And {len(problems) - 1} more like it." if len(problems) > 1 else ""
            self.call_from_thread(self.say, f"{problems[0]}{more}", is_error=True)


def _named(rows: Sequence[Row]) -> str:
    return rows[0].name if len(rows) == 1 else f"{len(rows)} runs"

"""What can be done with the chosen runs, whatever the screen: every action acts on the marked runs, else the selected.

A screen binds a key to ``app.<action>``; the command palette finds the same actions.
"""

from pipeline.runs import process
from pipeline.runs.rows import Row
from workbench.host import Host
from workbench.modals.confirm import ConfirmModal

CHANGING = frozenset({"stop", "delete"})
"""Actions that change the store: switched off where it may only be read."""


class RunActions(Host):
    """The part of the app that acts on runs."""

    def action_mark(self) -> None:
        """Mark the selected run, or take its mark away."""
        if self.shelf.selected is not None:
            self.shelf.marked ^= {self.shelf.selected}
            self.shelf_changed.publish(None)

    def action_export(self) -> None:
        """Export the chosen runs that are finished."""
        from workbench.modals.export import ExportModal

        ExportModal.open(self)

    def action_stop(self) -> None:
        """Ask, then stop the selected run at its next step."""
        row = self.shelf.current
        if row is None or not row.is_running:
            self.say("Only a run that goes on can be stopped.", is_error=True)
            return

        def stop(answer: bool | None) -> None:
            if answer:
                with self.telling_errors():
                    process.stop(self.store.run(row.id))
                    self.say(f"{row.name} stops at its next step.")

        detail = f"{row.name} ends at its next step.\nFinished stages stay in the store and are reused by later runs."
        self.push_screen(ConfirmModal("stop this run?", detail, yes="stop", no="let it run"), stop)

    def action_delete(self) -> None:
        """Ask, then put the selected run into the trash."""
        row = self.shelf.current
        if row is None:
            return
        if row.is_running:
            self.say(f"{row.name} is still going on; stop it first.", is_error=True)
            return

        def delete(answer: bool | None) -> None:
            if answer:
                self._delete(row)

        folder = self.store.run(row.id).folder
        detail = f"{row.name}\n{folder}\nIt stays in the trash for a day. Stage results that other runs share stay."
        self.push_screen(ConfirmModal("delete this run?", detail, yes="delete", no="keep"), delete)

    def _delete(self, row: Row) -> None:
        with self.telling_errors():
            self.store.delete(self.store.run(row.id))
        self.feed.look()

"""Runs on disk: a folder per run, found by id or name; nothing is held in memory.

    STORE/runs/ID/     recipe.toml environment.json events.jsonl log.txt run.lock summary.json artifacts/
                       annotations.json: what a person added
                       queue, stop: a person's wishes, while the run is alive
    STORE/trash/ID/    a run that was deleted less than a day ago
    STORE/stages/KEY/  the trained result of one stage, shared by every run whose recipe begins alike
    STORE/stages/KEY.partial   its training, interrupted: the next run that wants it goes on there
    STORE/queue.json   how many runs go on at once; see ``pipeline.runs.queue``
    STORE/index.sqlite the rows of all runs; can be deleted at any time
    STORE/teachers/    answers of teachers, shared by every student that sees the same views

A run is alive exactly while a process holds its ``run.lock``; the kernel lets go of it on any death.
"""

import contextlib
import fcntl
import os
import re
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pipeline import decoding, files
from pipeline.errors import CorruptRun, PipelineError, RunNotFound, RunStoreError
from pipeline.events import AnyEvent
from pipeline.lock import exclusive
from pipeline.options import suggest
from pipeline.runs import annotations, log
from pipeline.runs.annotations import Annotations
from pipeline.runs.state import History, RunState, Status

if TYPE_CHECKING:
    from pipeline.recipe import Recipe
    from pipeline.runs.description import Description

TRASH_S = 86400.0
"""Seconds for which a deleted run can be restored."""

_summary = msgspec.json.Decoder(RunState)


class Run:
    """One run: its folder, and what can be read there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def id(self) -> str:
        """The folder's name: date, time, the recipe's name and four random letters."""
        return self.folder.name

    @property
    def store(self) -> Path:
        """The store's folder."""
        return self.folder.parent.parent

    @property
    def events_path(self) -> Path:
        """The event log."""
        return self.folder / "events.jsonl"

    @property
    def log_path(self) -> Path:
        """What the pipeline process and its libraries printed."""
        return self.folder / "log.txt"

    @property
    def lock_path(self) -> Path:
        """Held by the pipeline process as long as it lives."""
        return self.folder / "run.lock"

    @property
    def summary_path(self) -> Path:
        """What the log of a run that is over adds up to."""
        return self.folder / "summary.json"

    @property
    def annotations_path(self) -> Path:
        """What a person added to the run."""
        return self.folder / "annotations.json"

    @property
    def stop_path(self) -> Path:
        """Stands there once a person asked the run to stop, and says when: ``now``, ``epoch`` or ``stage``."""
        return self.folder / "stop"

    def recipe(self) -> "Recipe":
        """Read the recipe.

        Raises:
            RecipeError: it does not fit this version.
        """
        from pipeline import recipe

        return recipe.load(self.folder / "recipe.toml")

    def name(self) -> str:
        """Read the recipe's name; the id where the recipe cannot be read."""
        try:
            return self.recipe().name
        except PipelineError:
            return self.id

    def events(self, offset: int = 0) -> tuple[list[AnyEvent], int]:
        """Read the events from a byte offset on; returns them and the new offset.

        Raises:
            CorruptRun: a line is not an event.
        """
        return log.read(self.events_path, offset)

    def is_alive(self) -> bool:
        """Tell whether a process holds the lock."""
        try:
            # Whoever looks may have no right to write.
            descriptor = os.open(self.lock_path, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def state(self) -> RunState:
        """Fold the whole log; a run that is neither over nor alive is ``lost``.

        Raises:
            CorruptRun: a line is not an event.
        """
        with contextlib.suppress(FileNotFoundError, msgspec.DecodeError):
            # The log below is the truth; the summary only saves reading it.
            found = decoding.json(self.summary_path.read_bytes(), _summary)
            if found.index is None or found.index < len(found.stages):
                return found
        # Asked before the log is read: a run that ends in between has then written its last event.
        alive = self.is_alive()
        state = RunState()
        for event in self.events()[0]:
            state = state.after(event)
        return self.settle(state, alive=alive)

    def append(self, happened: Sequence[AnyEvent]) -> None:
        """Put further facts on the record of a run that is over.

        Raises:
            RunStoreError: the run is alive, did not come to its end, or its folder is gone or cannot be written.
            CorruptRun: a line of the log is not an event.
        """

        def refuse() -> None:
            if time.monotonic() > patience_s:
                raise RunStoreError(f"the run {self.id} is still alive; wait for its end or stop it.")

        # Whoever looks whether the run is alive holds the lock for an instant, too.
        patience_s = time.monotonic() + 2.0
        with exclusive(self.lock_path, interrupt=refuse):
            # Under our lock the run looks alive, so this is the log's own word.
            if not self.state().status.is_over:
                raise RunStoreError(f"the run {self.id} is lost; only a run that came to its end takes further facts.")
            try:
                # Without a summary every reader takes the log, so none meets an old one beside newer facts.
                self.summary_path.unlink(missing_ok=True)
                with log.EventWriter(self.events_path) as writer:
                    for event in happened:
                        writer.append(event)
                files.write_bytes(self.summary_path, msgspec.json.encode(self.state()))
            except OSError as error:
                raise RunStoreError(f"the run {self.id} cannot be written: {error.strerror}.") from error
        self._tell()

    def annotations(self) -> Annotations:
        """Read what a person added.

        Raises:
            CorruptRun: the file cannot be read.
        """
        return annotations.read(self.annotations_path)

    def annotate(self, wanted: Annotations) -> None:
        """Replace what a person added.

        Raises:
            RunStoreError: a tag or the note is not legal, or the folder cannot be written.
        """
        annotations.write(self.annotations_path, wanted)
        self._tell()

    def _tell(self) -> None:
        """Let whoever watches the store look at runs that are over, too: they watch the time of this folder alone."""
        with contextlib.suppress(OSError):
            os.utime(self.folder.parent)

    def settle(self, state: RunState, *, alive: bool) -> RunState:
        """Turn the state of a run whose process is gone without a last word into ``lost``."""
        if state.status.is_over or alive:
            return state
        return msgspec.structs.replace(state, status=Status.LOST, activity="")

    def history(self) -> History:
        """Collect the curves."""
        history = History()
        for event in self.events()[0]:
            history.add(event)
        return history

    def describe(self) -> "Description":
        """Give everything a program wants to know (``show --json``).

        Raises:
            RecipeError: the recipe does not fit this version.
            CorruptRun: a line of the log is not an event.
        """
        from pipeline.runs import description

        return description.of(self.state(), folder=self.folder, recipe=self.recipe().document())


class RunStore:
    """All runs below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().resolve()
        self.runs_folder = self.folder / "runs"
        self.stages_folder = self.folder / "stages"
        self.trash_folder = self.folder / "trash"

    def run(self, run_id: str) -> Run:
        """Give the run of an id; nothing is read."""
        return Run(self.runs_folder / run_id)

    def create(self, recipe: "Recipe", *, text: str | None = None) -> tuple[Run, int]:
        """Make the folder of a new run and take its lock.

        Args:
            recipe: what the run does.
            text: how the recipe is written; None to write it out.

        Returns:
            The run, and the descriptor that holds its lock: hand it to the pipeline process, or close it.

        Raises:
            RunStoreError: the store cannot be written.
        """
        slug = re.sub(r"[^a-z0-9]+", "-", recipe.name.lower()).strip("-")[:40].rstrip("-") or "run"
        run = Run(self.runs_folder / f"{time.strftime('%Y-%m-%d-%H%M%S')}-{slug}-{uuid.uuid4().hex[:4]}")
        try:
            run.folder.mkdir(parents=True)
            descriptor = os.open(run.lock_path, os.O_RDWR | os.O_CREAT, 0o666)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The recipe comes last: a folder without one is not listed, so no reader meets a run without its lock.
            files.write_text(run.folder / "recipe.toml", recipe.to_toml() if text is None else text)
        except OSError as error:
            raise RunStoreError(f"the store {str(self.folder)!r} cannot be written: {error.strerror}.") from error
        return run, descriptor

    def runs(self) -> list[Run]:
        """List the runs, newest first."""
        if not self.runs_folder.is_dir():
            return []
        folders = (folder for folder in self.runs_folder.iterdir() if (folder / "recipe.toml").exists())
        return [Run(folder) for folder in sorted(folders, key=lambda folder: folder.name, reverse=True)]

    def open(self, name: str) -> Run:
        """Find a run by its id, a unique beginning or ending of it, the recipe's name (the newest), or ``last``.

        Raises:
            RunNotFound: says the nearest id.
        """
        return _find(name, self.runs(), f"the store {str(self.folder)!r}")

    def open_trashed(self, name: str) -> Run:
        """Find a run in the trash, as ``open`` does; ``last`` is the one that was deleted last.

        Raises:
            RunNotFound: says the nearest id.
        """
        runs = [run for deletion in self.trashed() for run in deletion]
        return _find(name, runs, f"the trash of the store {str(self.folder)!r}")

    def delete(self, *runs: Run) -> None:
        """Put the folders of runs that are over into the trash, where they stay for a day; stage results stay.

        They are one deletion: ``restore_last`` brings them back together.

        Raises:
            RunStoreError: a run is alive (then none is deleted), or a folder cannot be moved.
        """
        for run in runs:
            if run.is_alive():
                raise RunStoreError(f"the run {run.id} is still alive; stop it first.")
        self.empty_trash()
        now_s = time.time()
        for run in runs:
            try:
                self.trash_folder.mkdir(exist_ok=True)
                run.folder.rename(self.trash_folder / run.id)
                # The day counts from now, not from the last change of the run.
                os.utime(self.trash_folder / run.id, (now_s, now_s))
            except OSError as error:
                raise RunStoreError(f"the run {run.id} cannot be removed: {error.strerror}.") from error

    def trashed(self) -> list[tuple[Run, ...]]:
        """List the runs in the trash by deletion, the last one first."""
        found: dict[int, list[Run]] = {}
        if self.trash_folder.is_dir():
            for folder in sorted(self.trash_folder.iterdir(), reverse=True):
                with contextlib.suppress(OSError):
                    found.setdefault(folder.stat().st_mtime_ns, []).append(Run(folder))
        return [tuple(found[when_ns]) for when_ns in sorted(found, reverse=True)]

    def restore(self, run_id: str) -> Run:
        """Take a run out of the trash.

        Raises:
            RunStoreError: it is not there (any more), or cannot be moved.
        """
        run = self.run(run_id)
        try:
            (self.trash_folder / run_id).rename(run.folder)
        except OSError as error:
            raise RunStoreError(f"the run {run_id} cannot be restored: {error.strerror}.") from error
        return run

    def restore_last(self) -> list[Run]:
        """Take the runs of the last deletion out of the trash, whoever deleted them.

        Raises:
            RunStoreError: the trash is empty, or a run cannot be moved.
        """
        deletions = self.trashed()
        if not deletions:
            raise RunStoreError("Nothing lies in the trash; it keeps a deleted run for a day.")
        return [self.restore(run.id) for run in deletions[0]]

    def empty_trash(self, older_than_s: float = TRASH_S) -> None:
        """Remove for good what was deleted longer ago; what cannot be removed is left."""
        import shutil

        if self.trash_folder.is_dir():
            for folder in self.trash_folder.iterdir():
                with contextlib.suppress(OSError):
                    if time.time() - folder.stat().st_mtime >= older_than_s:
                        shutil.rmtree(folder)

    def has_stage(self, key: str) -> bool:
        """Tell whether the trained result of that key lies in the store."""
        return (self.stages_folder / key / "result.json").exists()


def _find(name: str, runs: Sequence[Run], place: str) -> Run:
    if name == "last" and runs:
        return runs[0]
    exact = [run for run in runs if run.id == name]
    near = [run for run in runs if name and (run.id.startswith(name) or run.id.endswith(name))]
    if exact or len(near) == 1:
        return (exact or near)[0]
    named = next((run for run in runs if run.name() == name), None)
    if named is not None:
        return named
    if near:
        raise RunNotFound(f"{name!r} fits {len(near)} runs: {', '.join(run.id for run in near[:5])}.")
    if not runs:
        raise RunNotFound(f"there is no run {name!r}: {place} is empty.")
    raise RunNotFound(f"there is no run {name!r} in {place}; {suggest(name, [run.id for run in runs[:8]])}")


def read_environment(run: Run) -> dict[str, Any]:
    """Read what the pipeline process wrote about its surroundings; empty when it never began.

    Raises:
        CorruptRun: the file cannot be read.
    """
    import json

    path = run.folder / "environment.json"
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise CorruptRun(f"{path} cannot be read: {error}.") from None
    return found

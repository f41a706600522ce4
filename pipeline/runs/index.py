"""The rows of all runs, kept beside the run folders so that thousands are listed at once.

The folders are the truth. ``STORE/index.sqlite`` only saves reading them: it can be deleted at any time, is rebuilt
from the folders, and where it cannot be written the rows live in memory alone. A run that is over is read again when
its files changed; one that is alive is read on by offset at every look.
"""

import contextlib
import math
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator

import msgspec

from pipeline.errors import PipelineError
from pipeline.recipe import Recipe
from pipeline.runs import annotations, queue, rows
from pipeline.runs.annotations import Annotations
from pipeline.runs.rows import Row, Step
from pipeline.runs.state import RunState, Status
from pipeline.runs.store import Run, RunStore

VERIFY_S = 60.0
"""Every folder is looked at so often even where nothing hints at a change: somebody may have copied files into one."""
SETTLING_S = 1.0
"""A folder changed so recently may change again within the tick of its file system's clock."""

Stamp = tuple[int, ...]
"""Sizes and times of the files that decide a row."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Row)
_VERSION = zlib.crc32(repr([(f.name, str(f.type)) for r in (Row, Step) for f in msgspec.structs.fields(r)]).encode())
"""Rows of another shape are not read."""


class Index:
    """Rows of a store; used by one thread."""

    def __init__(self, store: RunStore, *, is_written: bool = True) -> None:
        """Begin with what was kept.

        Args:
            store: whose runs.
            is_written: keep what is found; False changes nothing in the store.
        """
        self._store = store
        self._is_written = is_written
        self._path = store.folder / "index.sqlite"
        self._kept = self._read_kept()
        """By id: stamp and row of runs that are over."""
        self._live: dict[str, _Live] = {}
        self._unread: list[str] = []
        """Ids of runs that have to be read, oldest first."""
        self._listed_ns: int | None = None
        self._verified_s = -math.inf
        self._is_changed = False
        self._rows: dict[str, Row] = {run_id: row for run_id, (_, row) in self._kept.items()}
        self._shown = self._sorted()

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every run as it was last seen, newest first; the same object while nothing changed.

        Right after opening it is what the index kept, before any folder was looked at.
        """
        return self._shown

    @property
    def is_complete(self) -> bool:
        """Every run that the last look found has been read."""
        return not self._unread and self._listed_ns is not None

    def look(self, *, budget_s: float = math.inf) -> None:
        """Look at the folders and read what changed.

        Args:
            budget_s: seconds after which runs that were not read yet are left for the next look; the newest come first,
                and one is read at least.

        Raises:
            OSError: the folder of the runs cannot be listed.
        """
        end_s = time.monotonic() + budget_s
        if self._must_list():
            self._list()
        fresh: dict[str, tuple[Stamp, Row]] = {}
        for run_id in [*self._live]:
            self._read_on(run_id, fresh)
        while self._unread:
            run_id = self._unread.pop()
            self._live[run_id] = _Live(Run(self._store.runs_folder / run_id), self._rows.get(run_id))
            self._read_on(run_id, fresh)
            if time.monotonic() >= end_s:
                break
        self._keep(fresh, ())
        if self._is_changed:
            self._is_changed = False
            self._shown = self._sorted()

    def _sorted(self) -> tuple[Row, ...]:
        rows = [self._rows[run_id] for run_id in sorted(self._rows, reverse=True)]
        waiting = sorted((row.queued_at, row.id) for row in rows if row.queued_at is not None)
        places = {run_id: place for place, (_, run_id) in enumerate(waiting, start=1)}
        return tuple(
            msgspec.structs.replace(row, queued_at=places[row.id]) if row.id in places else row for row in rows
        )

    def _must_list(self) -> bool:
        try:
            changed_ns = self._store.runs_folder.stat().st_mtime_ns
        except FileNotFoundError:
            changed_ns = 0
        due = time.monotonic() - self._verified_s >= VERIFY_S
        if changed_ns == self._listed_ns and not due:
            return False
        self._listed_ns = changed_ns if time.time() - changed_ns / 1e9 > SETTLING_S else -1
        self._verified_s = time.monotonic()
        return True

    def _list(self) -> None:
        found: set[str] = set()
        unread = []
        for run_id in sorted(_folders(self._store)):
            known = self._kept.get(run_id)
            if known is not None and run_id not in self._live:
                stamp = _stamp(self._store, run_id)
                if stamp is not None and stamp != known[0]:
                    unread.append(run_id)
                if stamp is None:
                    continue
            elif run_id not in self._live:
                if not (self._store.runs_folder / run_id / "recipe.toml").exists():
                    continue
                unread.append(run_id)
            found.add(run_id)
        self._unread = unread
        gone = [run_id for run_id in self._rows if run_id not in found]
        self._is_changed |= bool(gone)
        for run_id in gone:
            del self._rows[run_id]
            self._live.pop(run_id, None)
            self._kept.pop(run_id, None)
        self._keep({}, gone)

    def _read_on(self, run_id: str, fresh: dict[str, tuple[Stamp, Row]]) -> None:
        live = self._live[run_id]
        # Asked before the files are read: what changes in between is seen at the next look.
        stamp = _stamp(self._store, run_id)
        row, is_settled = live.look(stamp)
        if self._rows.get(run_id) != row:
            self._rows[run_id] = row
            self._is_changed = True
        if is_settled:
            del self._live[run_id]
            if stamp is not None:
                self._kept[run_id] = fresh[run_id] = (stamp, self._rows[run_id])

    def _read_kept(self) -> dict[str, tuple[Stamp, Row]]:
        kept: dict[str, tuple[Stamp, Row]] = {}
        if not self._path.exists():
            return kept
        try:
            with self._opened() as database:
                if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                    return kept
                for run_id, stamp, row in database.execute("SELECT id, stamp, row FROM rows"):
                    kept[run_id] = (tuple(map(int, stamp.split())), _decoder.decode(row))
        except (sqlite3.Error, ValueError, msgspec.DecodeError, AttributeError, TypeError):
            # Damaged, or of another version: the folders are the truth.
            return {}
        return kept

    def _keep(self, fresh: dict[str, tuple[Stamp, Row]], gone: list[str] | tuple[str, ...]) -> None:
        if not self._is_written or not (fresh or gone):
            return
        try:
            self._write(fresh, gone)
        except sqlite3.OperationalError:
            # A store of somebody else, a full disk, another workbench at work: the rows are in memory.
            return
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError, sqlite3.Error):
                self._path.unlink(missing_ok=True)
                self._write(self._kept, ())

    def _write(self, fresh: dict[str, tuple[Stamp, Row]], gone: list[str] | tuple[str, ...]) -> None:
        with self._opened() as database:
            if database.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
                database.execute("DROP TABLE IF EXISTS rows")
                database.execute("CREATE TABLE rows (id TEXT PRIMARY KEY, stamp TEXT, row BLOB) WITHOUT ROWID")
                database.execute(f"PRAGMA user_version = {_VERSION}")
                fresh = self._kept
            database.executemany(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?)",
                ((run_id, " ".join(map(str, stamp)), _encoder.encode(row)) for run_id, (stamp, row) in fresh.items()),
            )
            database.executemany("DELETE FROM rows WHERE id = ?", ((run_id,) for run_id in gone))

    @contextlib.contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        mode = "rwc" if self._is_written else "ro"
        database = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode={mode}", uri=True, timeout=0.2)
        try:
            # It is rebuilt when a power cut leaves it broken, so nothing waits for the disk.
            database.execute("PRAGMA synchronous = OFF")
            with database:
                yield database
        finally:
            database.close()


class _Live:
    """A run that may go on: how far its log has been read."""

    def __init__(self, run: Run, before: Row | None) -> None:
        self._run = run
        self._before = before
        self._recipe: Recipe | None = None
        self._is_named = False
        self._state = RunState()
        self._offset = 0
        self._seen: tuple[Stamp | None, Annotations] | None = None

    def look(self, stamp: Stamp | None) -> tuple[Row, bool]:
        """Read on; gives the row, and whether it stays so until a file changes."""
        try:
            state = self._read_state()
            noted = self._annotations(stamp)
            place = queue.place(self._run) if state.status is Status.QUEUED else None
            row = rows.row_of(self._run.id, self._read_recipe(), state, noted, queued_at=place)
            return row, state.status.is_over
        except Exception as error:
            # A folder may hold anything; a run that cannot be read is shown as such beside the others.
            text = str(error)
            sentence = text if isinstance(error, PipelineError) else f"unexpected {type(error).__name__}: {text}."
            return rows.unreadable(self._run.id, sentence, self._before), True

    def _read_recipe(self) -> Recipe | None:
        if not self._is_named:
            self._is_named = True
            with contextlib.suppress(PipelineError):
                self._recipe = self._run.recipe()
        return self._recipe

    def _annotations(self, stamp: Stamp | None) -> Annotations:
        if self._seen is None or self._seen[0] != stamp:
            self._seen = stamp, annotations.read(self._run.annotations_path)
        return self._seen[1]

    def _read_state(self) -> RunState:
        if self._run.summary_path.exists():
            return self._run.state()
        # Asked before the log is read: a run that ends in between has then written its last event.
        alive = self._run.is_alive()
        events, self._offset = self._run.events(self._offset)
        for event in events:
            self._state = self._state.after(event)
        return self._run.settle(self._state, alive=alive)


def _folders(store: RunStore) -> list[str]:
    try:
        with os.scandir(store.runs_folder) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def _stamp(store: RunStore, run_id: str) -> Stamp | None:
    """Stamp the files that decide a row; None where the folder holds no run."""
    folder = os.path.join(store.runs_folder, run_id)  # noqa: PTH118 - three of these for each of thousands of runs
    try:
        recipe = os.stat(f"{folder}/recipe.toml")  # noqa: PTH116
    except OSError:
        return None
    found = [recipe.st_mtime_ns]
    for name in ("events.jsonl", "annotations.json"):
        try:
            stat = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            found += [0, 0]
        else:
            found += [stat.st_size, stat.st_mtime_ns]
    return tuple(found)

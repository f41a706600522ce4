"""What a launch would do and cost: what is reused, how long the rest takes here, what it needs on the disk.

Times and sizes come from finished runs alone; where nothing like it has run, nothing is claimed.
"""

import platform
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from pipeline.errors import PipelineError
from pipeline.keys import stage_keys
from pipeline.options import options_of
from pipeline.recipe import Recipe
from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from pipeline.runs.store import RunStore
from pipeline.runs.wording import MIB

MOST_RUNS = 12
"""Past runs that are read for one estimate, the newest first."""
LEAST_FREE_BYTES = 512 * MIB
"""Free space of the disk below which a launch is warned of, whatever the run needs."""


class Entry(Struct, frozen=True, kw_only=True):
    """One network of the plan."""

    stage: str
    epochs: int | None
    """Passes over the training data; None where nothing is trained."""
    is_reused: bool
    """Its result lies in the store."""
    seconds: float | None = None
    """How long its training takes; None where nothing like it has run here."""

    @property
    def is_trained(self) -> bool:
        """It costs epochs."""
        return bool(self.epochs) and not self.is_reused


class Plan(Struct, frozen=True, kw_only=True):
    """What a launch would do."""

    entries: tuple[Entry, ...]
    dataset: str = ""
    """Name of the dataset."""
    absent: str = ""
    """What is missing of the data; empty when it can be loaded."""
    can_download: bool = False
    """The dataset has an option ``download``, and it is off."""
    will_download: bool = False
    """The option is on."""
    problem: str = ""
    """Why it cannot be told what is reused; empty when it can."""
    device: str = "auto"
    """Where it trains: as the recipe says, or as the newest run here when it says ``auto``."""
    run_count: int = 0
    """Finished runs that the estimate of the time comes from."""
    rest_s: float = 0.0
    """Seconds that such runs took beside training: loading, lowering, measuring."""
    need_bytes: int | None = None
    """Disk space of what such runs left; None when there is none to look at."""
    free_bytes: int | None = None
    """Free space where the store lies; None where it cannot be told."""
    running: tuple[str, ...] = ()
    """Names of runs that go on here."""

    @property
    def epochs(self) -> int:
        """Epochs that have to be trained."""
        return sum(entry.epochs or 0 for entry in self.entries if not entry.is_reused)

    @property
    def reused(self) -> int:
        """Entries whose result lies in the store."""
        return sum(entry.is_reused for entry in self.entries)

    @property
    def is_ready(self) -> bool:
        """It can be launched."""
        return not self.problem and (not self.absent or self.will_download)

    def time_words(self) -> str:
        """Say how long it takes: ``about 31 min (from 3 runs)``."""
        trained = [entry for entry in self.entries if entry.is_trained]
        unknown = [entry.stage for entry in trained if entry.seconds is None]
        if not self.run_count or (trained and len(unknown) == len(trained)):
            return "time unknown, nothing like it has run here"
        seconds = self.rest_s + sum(entry.seconds or 0.0 for entry in trained)
        source = f"(from {self.run_count} run{'s' * (self.run_count != 1)})"
        return f"{about(seconds)} {source}" + (f" + {', '.join(unknown)}, unknown" if unknown else "")

    def disk_words(self) -> str:
        """Say what it needs on the disk and what is free."""
        free = "" if self.free_bytes is None else f"{space(self.free_bytes)} free"
        if self.need_bytes is None:
            return free
        return f"{space(self.need_bytes)} of {free}" if free else space(self.need_bytes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before it costs something; each one sentence."""
        found = []
        if self.free_bytes is not None and self.free_bytes < max(LEAST_FREE_BYTES, 2 * (self.need_bytes or 0)):
            found.append(f"the disk of the store is nearly full: {space(self.free_bytes)} free; delete runs first.")
        if self.running:
            found.append(f"{self.running[0]} goes on here; two at once slow each other; better queue it.")
        return tuple(found)


def about(seconds: float) -> str:
    """Say a span of time as roughly as an estimate is."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def space(size_bytes: int) -> str:
    """Write disk space in MiB or GiB."""
    mib = size_bytes / MIB
    return f"{mib / 1024:,.1f} GiB" if mib >= 1024 else f"{mib:.{0 if mib >= 10 else 1}f} MiB"


class Estimator:
    """Finds out what launches would do; remembers what it read of runs that are over."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._states: dict[str, RunState | None] = {}
        self._sizes: dict[Path, int] = {}

    def plan(self, recipe: Recipe, rows: Iterable[Row]) -> Plan:
        """Find out what a launch would do; reads files, so call it in a thread.

        Args:
            recipe: what would be launched.
            rows: every run of the store.
        """
        absent, problem, keys = _data(recipe)
        downloads = any(option.name == "download" for option in options_of(type(recipe.dataset)))
        is_on = downloads and bool(getattr(recipe.dataset, "download", False))
        here = [row for row in rows if row.host == platform.node()]
        device: str = recipe.training.device
        if device == "auto":
            device = next((row.device for row in here if row.is_finished and row.device), "auto")
        alike = [row for row in here if row.is_finished and _is_alike(row, recipe, device)][:MOST_RUNS]
        states = [state for row in alike if (state := self._state(row.id)) is not None]
        entries = [
            Entry(
                stage=entry.name,
                epochs=entry.epochs,
                is_reused=bool(keys) and self._store.has_stage(keys[place]),
                seconds=_seconds(entry.name, entry.epochs, states)
                if entry.recipe.backbone == recipe.backbone
                else None,
            )
            for place, entry in enumerate(recipe.plan)
        ]
        return Plan(
            entries=tuple(entries), dataset=recipe.dataset.name, absent=absent,
            can_download=downloads and not is_on, will_download=is_on,
            problem=problem, device=device, run_count=len(states), rest_s=_rest_s(states),
            need_bytes=self._need_bytes(sum(not entry.is_reused for entry in entries), alike, states),
            free_bytes=_free_bytes(self._store.folder), running=tuple(row.name for row in here if row.is_running),
        )  # fmt: skip

    def _state(self, run_id: str) -> RunState | None:
        if run_id not in self._states:
            try:
                self._states[run_id] = self._store.run(run_id).state()
            except (PipelineError, OSError):
                self._states[run_id] = None
        return self._states[run_id]

    def _need_bytes(self, count: int, alike: Sequence[Row], states: Sequence[RunState]) -> int | None:
        """Add up what a run's folder and so many results of stages take."""
        keys = {stage.key for state in states for stage in state.stages}
        results = [size for key in keys if (size := self._size(self._store.stages_folder / key))]
        runs = [size for row in alike if (size := self._size(self._store.run(row.id).folder))]
        if not runs or (count and not results):
            return None
        return round(median(runs) + (count * median(results) if count else 0))

    def _size(self, folder: Path) -> int:
        if folder not in self._sizes:
            try:
                self._sizes[folder] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            except OSError:
                return 0
        return self._sizes[folder]


def _data(recipe: Recipe) -> tuple[str, str, list[str]]:
    """Tell what is absent of the data, why the keys cannot be told, and the keys."""
    absent = ""
    try:
        absent = recipe.dataset.absent() or ""
        return absent, "", stage_keys(recipe)
    except (PipelineError, OSError) as error:
        return absent, "" if absent else str(error), []


def _is_alike(row: Row, recipe: Recipe, device: str) -> bool:
    is_there = device in ("auto", row.device) or row.device.startswith(device)
    return is_there and row.backbone == recipe.backbone and _images(row.data) == _images(_data_of(recipe))


def _data_of(recipe: Recipe) -> str:
    dataset = recipe.document()["dataset"]
    return dataset if isinstance(dataset, str) else msgspec.json.encode(dataset).decode()


def _images(data: str) -> object:
    """Tell which images a dataset with its options holds; whether they were downloaded does not matter."""
    if not data.startswith("{"):
        return {"name": data}
    table = msgspec.json.decode(data)
    return {key: value for key, value in table.items() if key != "download"}


def _seconds(stage: str, epochs: int | None, states: Sequence[RunState]) -> float | None:
    """Estimate a training from how long an epoch took at the same stage."""
    past = [
        entry.seconds / entry.epochs
        for state in states
        for entry in state.stages
        if entry.stage == stage and entry.status == "finished" and entry.epochs and entry.seconds is not None
    ]
    return None if epochs is None or not past else epochs * median(past)


def _rest_s(states: Sequence[RunState]) -> float:
    """Estimate what a run takes beside its training."""
    rests = []
    for state in states:
        if state.started_s is not None and state.ended_s is not None:
            trained = sum(entry.seconds or 0.0 for entry in state.stages if entry.status == "finished")
            rests.append(max(0.0, state.ended_s - state.started_s - trained))
    return median(rests) if rests else 0.0


def _free_bytes(folder: Path) -> int | None:
    place = next((each for each in (folder, *folder.parents) if each.is_dir()), None)
    try:
        return shutil.disk_usage(place).free if place is not None else None
    except OSError:
        return None

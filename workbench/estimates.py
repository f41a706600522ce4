"""Finds out what a launch would do and cost: what is reused, how long the rest takes here, what it needs on the disk.

Times and sizes come from finished runs alone; where nothing like it has run, nothing is claimed.
"""

import platform
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct

from pipeline import recipe as recipes
from pipeline.errors import PipelineError
from pipeline.keys import stage_keys
from pipeline.options import options_of
from pipeline.recipe import Recipe
from pipeline.runs.rows import Row
from pipeline.runs.state import RunState
from pipeline.runs.store import Run, RunStore
from pipeline.sections import Training
from workbench.plans import Entry, Plan

MOST_RUNS = 12
"""Past runs that are read for one estimate, the newest first."""
FORWARD = 1 / 3
"""Share of the time of a training step that its forward pass takes: what an image costs that is held out."""


class _Past(Struct, frozen=True, kw_only=True):
    """A finished training of an earlier run."""

    stage: str
    epochs: int
    seconds: float
    """Wall time of all epochs."""
    images_per_s: float | None
    """Throughput of its steps; None where it is not on record."""
    steps: int
    settings: Training | None
    """What it trained with; None where the recipe cannot be read."""

    def epoch_s(self, settings: Training) -> float:
        """Estimate an epoch on the same data: as then, and what other images are trained on at the speed of then."""
        seconds = self.seconds / self.epochs
        if self.settings is None or not self.images_per_s:
            return seconds
        images = self.steps / self.epochs * self.settings.batch_size
        more = images * ((1 - settings.validation) / (1 - self.settings.validation) - 1)
        return max(0.0, seconds + (1 - FORWARD) * more / self.images_per_s)


class Estimator:
    """Finds out what launches would do; remembers what it read of runs that are over."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._read: dict[str, tuple[RunState, Recipe | None] | None] = {}
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
        read = [found for row in alike if (found := self._run(row.id)) is not None]
        states, pasts = [state for state, _ in read], [past for found in read for past in _pasts(*found)]
        entries = [
            Entry(
                stage=entry.name,
                epochs=entry.epochs,
                is_reused=bool(keys) and self._store.has_stage(keys[place]),
                seconds=_seconds(entry, pasts) if entry.recipe.backbone == recipe.backbone else None,
            )
            for place, entry in enumerate(recipe.plan)
        ]
        return Plan(
            entries=tuple(entries), dataset=recipe.dataset.name, absent=absent,
            can_download=downloads and not is_on, will_download=is_on,
            problem=problem, device=device, runtimes=recipe.measure.runtimes, threads=recipe.measure.threads,
            cautions=tuple(told for stage in recipe.stages if (told := stage.caution(recipe.measure.runtimes))),
            run_count=len(states), rest_s=_rest_s(states),
            need_bytes=self._need_bytes(sum(not entry.is_reused for entry in entries), alike, states),
            free_bytes=_free_bytes(self._store.folder), running=tuple(row.name for row in here if row.is_running),
        )  # fmt: skip

    def _run(self, run_id: str) -> tuple[RunState, Recipe | None] | None:
        """Read what a run came to, and its recipe, once; None where it cannot be read."""
        if run_id not in self._read:
            run = self._store.run(run_id)
            try:
                self._read[run_id] = run.state(), _recipe(run)
            except (PipelineError, OSError):
                self._read[run_id] = None
        return self._read[run_id]

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


def _recipe(run: Run) -> Recipe | None:
    try:
        return run.recipe()
    except PipelineError:
        return None


def _pasts(state: RunState, recipe: Recipe | None) -> Iterator[_Past]:
    """List what a run trained."""
    plan = recipe.plan if recipe is not None else ()
    for place, stage in enumerate(state.stages):
        if stage.status == "finished" and stage.epochs and stage.seconds is not None:
            yield _Past(
                stage=stage.stage, epochs=stage.epochs, seconds=stage.seconds, steps=stage.steps,
                images_per_s=stage.metrics.get("images_per_s"),
                settings=plan[place].recipe.last_training if len(plan) == len(state.stages) else None,
            )  # fmt: skip


def _seconds(entry: recipes.Entry, pasts: Sequence[_Past]) -> float | None:
    """Estimate a training from what the same stage took, of equal batches where there were any."""
    settings = entry.recipe.last_training
    alike = [past for past in pasts if past.stage == entry.name]
    equal = [past for past in alike if past.settings and past.settings.batch_size == settings.batch_size]
    if entry.epochs is None or not alike:
        return None
    return entry.epochs * median(past.epoch_s(settings) for past in equal or alike)


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

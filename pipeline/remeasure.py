"""Measure runs again that are over, on this machine: many files side by side, so that their numbers compare.

The files of all runs and their baselines take turns in one fresh process for each runtime and size of the batch. What
is fed to them are the sample images that lie beside the files: no dataset is needed. Nothing is written before the last
number is known; then each run's log gets its new facts, and the newest fact of a condition is the one that counts.
"""

import contextlib
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from pipeline import catalog, deployment, files
from pipeline.errors import MeasurementError, PipelineError
from pipeline.events import AccuracyMeasured, AnyEvent, LatencyMeasured
from pipeline.keys import stage_keys
from pipeline.measure import latency
from pipeline.results import StageFolder
from pipeline.runs.state import Artifact
from pipeline.runs.store import Run
from pipeline.runs.wording import EAGER

SUBJECTS = {"baseline": 0, "deployed": -1}
"""What a run measures, by the entry of its plan that it comes from."""


class Told(Struct, frozen=True, kw_only=True):
    """One line for whoever waits."""

    text: str
    """What is going on, or why something could not be measured."""
    failed: bool = False
    """Something could not be measured; the rest goes on."""


Tell = Callable[[Told], None]
Facts = Mapping[Run, list[AnyEvent]]
"""What was found out about each run."""


class Wanted(Struct, frozen=True, kw_only=True):
    """What to measure; what is not said is as each run's recipe says."""

    runtimes: tuple[str, ...] = ()
    """Names of the catalogue; empty for those of the recipe, and the baseline in torch where it says so."""
    threads: int | None = None
    """Threads of the runtime; None as the recipe says."""
    batch_sizes: tuple[int, ...] = ()
    """Images in a call; empty as the recipe says."""
    report: bool = False
    """Take as long as numbers for a report need; else as the recipe says."""


class _Condition(Struct, frozen=True, kw_only=True, order=True):
    """What must be equal for files to be timed side by side."""

    shape: tuple[int, ...]
    """Of one image: channels, height, width."""
    runtime: str
    batch_size: int
    threads: int
    mode: latency.Mode


class _Past:
    """A run that is over, opened to be measured again."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.state = run.state()
        self.recipe = run.recipe()
        self.images = _images(self.path(self.file("deployed", "samples")))

    def file(self, subject: str, kind: str) -> Artifact:
        """Find a file of the run, and make sure that it is the one that was recorded."""
        found = [one for one in self.state.artifacts if (one.subject, one.kind) == (subject, kind)]
        if not found:
            raise MeasurementError(f"the run {self.run.id} left no {kind} of its {subject} network; run it again.")
        path = self.path(found[-1])
        try:
            intact = files.sha256(path) == found[-1].sha256
        except OSError as error:
            raise MeasurementError(f"the file {str(path)!r} cannot be read: {error.strerror}.") from None
        if not intact:
            raise MeasurementError(f"the file {str(path)!r} is not the one that the run left; run it again.")
        return found[-1]

    def path(self, artifact: Artifact) -> Path:
        """Say where a file lies."""
        return self.run.store / artifact.path

    def place(self, subject: str) -> StageFolder:
        """Find the stored stage result that a network comes from; it need not be there."""
        return StageFolder(self.run.store / "stages", self.state.stages[SUBJECTS[subject]].key)

    def conditions(self, wanted: Wanted) -> Iterator[tuple[_Condition, str]]:
        """List what is to be timed: each condition with each subject."""
        settings = self.recipe.measure
        subjects = {runtime: list(SUBJECTS) for runtime in wanted.runtimes or settings.runtimes}
        if settings.eager_baseline and not wanted.runtimes:
            subjects.setdefault(EAGER, ["baseline"])
        for runtime, measured in subjects.items():
            for batch_size in wanted.batch_sizes or settings.batch_sizes:
                condition = _Condition(
                    shape=self.images.shape[1:],
                    runtime=runtime,
                    batch_size=batch_size,
                    threads=wanted.threads or settings.threads,
                    mode="report" if wanted.report or settings.latency == "report" else "quick",
                )
                yield from ((condition, subject) for subject in measured)


class _Group:
    """Files that are timed side by side: equal ones once, for all runs that hold them."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images
        self.subjects: dict[str, latency.Subject] = {}
        self.holders: dict[str, list[tuple[Run, str]]] = {}

    def add(self, past: _Past, subject: str, kind: str) -> None:
        """Take up a file of a run."""
        file, known = past.file(subject, kind), past.place(subject).deployed()
        found = latency.Subject(path=past.path(file), layers=known.layers if known else ())
        self.subjects.setdefault(file.sha256, found)
        self.holders.setdefault(file.sha256, []).append((past.run, subject))


def measure(runs: Sequence[Run], wanted: Wanted, *, tell: Tell) -> Facts:
    """Measure finished runs again and write nothing; what cannot be measured is told and left out.

    Args:
        runs: any number, on any datasets.
        wanted: how.
        tell: takes what is going on.
    """
    facts: dict[Run, list[AnyEvent]] = {run: [] for run in runs}
    groups: dict[_Condition, _Group] = {}
    for run in facts:
        with _going_on(tell):
            past = _Past(run)
            _answer(past, wanted, facts[run], tell)
            for condition, subject in past.conditions(wanted):
                with _going_on(tell):
                    kind = catalog.load("runtimes", condition.runtime).READS
                    groups.setdefault(condition, _Group(past.images)).add(past, subject, kind)
    for condition in sorted(groups):
        with _going_on(tell):
            _time(condition, groups[condition], facts, tell)
    return facts


def record(facts: Facts, *, tell: Tell) -> None:
    """Put what was found out into the logs of the runs."""
    for run, found in facts.items():
        if found:
            with _going_on(tell):
                run.append(found)


@contextlib.contextmanager
def _going_on(tell: Tell) -> Iterator[None]:
    """Tell an error and go on with the rest."""
    try:
        yield
    except PipelineError as error:
        tell(Told(text=str(error), failed=True))


def _time(condition: _Condition, group: _Group, facts: Facts, tell: Tell) -> None:
    count = len(group.subjects)
    files_of = f"{count} file{'s' * (count != 1)}"
    tell(Told(text=f"timing {files_of} in {condition.runtime}, batch {condition.batch_size}"))
    measured = latency.measure(
        group.subjects,
        runtime=condition.runtime,
        images=group.images,
        threads=condition.threads,
        batch_size=condition.batch_size,
        mode=condition.mode,
        say=lambda reason: tell(Told(text=reason)),
    )
    for sha256, numbers in measured.items():
        for run, subject in group.holders[sha256]:
            facts[run].append(LatencyMeasured(subject=subject, latency=numbers))


def _answer(past: _Past, wanted: Wanted, facts: list[AnyEvent], tell: Tell) -> None:
    """Answer the test split in the runtimes that have not answered it yet, where results and data are at hand."""
    missing = [name for name in wanted.runtimes if name not in past.state.deployed.accuracies]
    if not missing:
        return
    absent = past.recipe.dataset.absent()
    keys = () if absent else stage_keys(past.recipe)
    places = {subject: past.place(subject) for subject in SUBJECTS}
    if any(place.folder.name not in keys or place.deployed() is None for place in places.values()):
        reason = absent or "the store does not hold its stages and its data as they were."
        tell(Told(text=f"{past.run.id}: top-1 in {' and '.join(missing)} is not measured: {reason}"))
        return
    splits = past.recipe.dataset.load()
    for runtime in missing:
        tell(Told(text=f"{past.run.id}: top-1 in {runtime}"))
        kind, baseline = catalog.load("runtimes", runtime).READS, None
        for subject, place in places.items():
            paths = {kind: past.path(past.file(subject, kind))}
            baseline, found = deployment.answer(place, paths, runtime, splits, baseline=baseline)
            facts.append(AccuracyMeasured(subject=subject, accuracy=found))


def _images(path: Path) -> NDArray[np.uint8]:
    """Read the sample images of a run, ``(N, C, H, W)``."""
    try:
        with np.load(path, allow_pickle=False) as opened:
            images: NDArray[np.uint8] = opened["images"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise MeasurementError(f"the sample images {str(path)!r} cannot be read: {error}.") from None
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise MeasurementError(f"{str(path)!r} holds no images as bytes, (N, C, H, W); run it again.")
    return images

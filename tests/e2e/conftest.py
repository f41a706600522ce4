"""Real training of a tiny network on real digits."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import pytest

from pipeline import events, recipe, worker
from pipeline.recipe import Recipe
from pipeline.runs import process
from pipeline.runs.store import Run, RunStore
from tests.processor import OVERFLOWS

stage_tables = {
    "P": {"stage": "prune", "sparsity": 0.6, "epochs": 2},
    "Q": {"stage": "quantize", "epochs": 2, "reduce_range": OVERFLOWS},
    "D": {"stage": "distill", "epochs": 2},
}
ordered_subsets = ["".join(letters) for count in range(4) for letters in permutations("PQD", count)]
"""The sixteen: from nothing over PQD to DQP."""


def make_recipe(letters: str, **changes: object) -> Recipe:
    document = {
        "name": letters or "baseline only",
        "backbone": "tiny",
        "dataset": "digits",
        "baseline": {"epochs": 16},
        "training": {"batch_size": 64, "device": "cpu"},
        "stages": [stage_tables[letter] for letter in letters],
        "measure": {"latency": "off"},
    }
    return recipe.parse(document | changes, folder=Path("/"))


def run_here(store: RunStore, wanted: Recipe) -> Run:
    """Do a run in this process: the worker itself, without the cost of a new interpreter."""
    run, lock = store.create(wanted)
    try:
        worker.work(run.folder, lock)
    finally:
        os.close(lock)
    return run


@pytest.fixture(scope="session")
def all_subsets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """Run all sixteen ordered subsets once, in one store; one of them is timed, in two runtimes and batch sizes."""
    store = RunStore(tmp_path_factory.mktemp("subsets"))
    measure = {"runtimes": ["onnxruntime", "openvino"], "batch_sizes": [1, 8]}
    settings = {"PQD": {"measure": measure}}
    return {letters: run_here(store, make_recipe(letters, **settings.get(letters, {}))) for letters in ordered_subsets}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


def wait_until(condition: Callable[[], bool], seconds: float = 90.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def is_training(run: Run) -> bool:
    return any(isinstance(event, events.Progressed | events.EpochFinished) for event in run.events()[0])


def pid(run: Run) -> int:
    found = run.state().pid
    assert found is not None
    return found


@pytest.fixture
def training(store: RunStore) -> Iterator[Run]:
    """Give a run that trains for hours unless something ends it."""
    run = process.launch(store, make_recipe("P", baseline={"epochs": 100_000}))
    wait_until(lambda: is_training(run) or not run.is_alive())
    assert run.is_alive(), run.log_path.read_text()
    yield run
    if run.is_alive():
        os.kill(pid(run), signal.SIGKILL)
        wait_until(lambda: not run.is_alive())

"""What every test may rely on: an empty home, and nobody who waits for it or whom it waits for."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import turns

if "PYTEST_XDIST_WORKER" in os.environ:
    # Tests beside each other: each takes one core.
    os.environ["OMP_NUM_THREADS"] = "1"

# Looking for garbage among all that tests import, at every so many objects, took a fifth of their time.
gc.set_threshold(50_000, 20, 20)

real_data = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def empty_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep a test away from the developer's own store, presets and caches, and from the width of the terminal."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "PQD_WORKBENCH_STORE", "PQD_WORKBENCH_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture(autouse=True, scope="session")
def turns_of_their_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests from waiting for the developer's own trainings and measurements, and these from waiting for tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(turns.VARIABLE, str(tmp_path_factory.mktemp("turns")))
        yield


@pytest.fixture
def shared_data() -> Path:
    """Give the folder of real data, where a machine has it."""
    if not real_data.is_dir():
        pytest.skip("the folder of real data is not on this machine")
    return real_data

from pathlib import Path

import pytest

from pipeline.runs.store import RunStore
from workbench.app import Workbench
from workbench.settings import Settings


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "saved"


@pytest.fixture
def app(store: RunStore, saved: Path, tmp_path: Path) -> Workbench:
    return workbench(store, saved, tmp_path)


def workbench(store: RunStore, saved: Path, tmp_path: Path) -> Workbench:
    settings = Settings(poll_s=0.02, redraw_s=0.02, export_folder=tmp_path / "exports")
    return Workbench(store, saved, settings)


async def until(pilot, condition, what="the condition"):
    """Let the app work until something is true."""
    for _ in range(600):
        try:
            if condition():
                return
        except Exception as error:  # a widget that is not there yet
            last = error
        else:
            last = None
        await pilot.pause(0.01)
    raise AssertionError(f"{what} did not come true; {last!r}\n{screen_text(pilot.app)}")


def screen_text(app) -> str:
    """Every row of the screen as plain text."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())

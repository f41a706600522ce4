import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import _wait
from textual.css.model import RuleSet
from textual.css.stylesheet import Stylesheet
from textual.widgets import Input

from pipeline import processor
from pipeline.runs.store import Run, RunStore
from tests.workbench import fakes
from workbench.app import Workbench
from workbench.settings import Settings

# A key is over when the process did little for a moment. The toolkit's moment is 20 ms, twice for each key: with it
# most of these tests would be waiting, and until() waits for what has to come anyhow.
_wait.SLEEP_GRANULARITY = 0.004
_wait.SLEEP_IDLE = 0.002


@pytest.fixture(autouse=True, scope="session")
def rules() -> Iterator[None]:
    """Read the same style rules once, not again for the app of each test."""
    parsed: dict[tuple[object, ...], list[RuleSet]] = {}
    parse = Stylesheet._parse_rules

    def parse_once(self: Stylesheet, *args: object, **named: object) -> list[RuleSet]:
        key = (args, tuple(named.items()), tuple(self._variables.items()))
        if key not in parsed:
            parsed[key] = parse(self, *args, **named)
        return parsed[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stylesheet, "_parse_rules", parse_once)
        yield


@pytest.fixture(autouse=True)
def cpuinfo(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the system says about the processor: one that is warned of nothing, wherever the tests run."""
    path = tmp_path_factory.mktemp("processor") / "cpuinfo"
    path.write_text("flags\t\t: avx2 avx512bw avx512_vnni\n")
    monkeypatch.setattr(processor, "CPUINFO", path)
    return path


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return tmp_path / "saved"


@pytest.fixture
def done(store: RunStore) -> Run:
    ours = fakes.recipe_of("done", "PQ")
    return fakes.add_run(store, ours, fakes.whole(ours, top1=93.7))


@pytest.fixture
def app(store: RunStore, saved: Path, tmp_path: Path) -> Workbench:
    return workbench(store, saved, tmp_path)


def workbench(store: RunStore, saved: Path, tmp_path: Path) -> Workbench:
    settings = Settings(poll_s=0.02, redraw_s=0.02, export_folder=tmp_path / "exports")
    return Workbench(store, saved, settings)


async def until(pilot, condition, what="the condition"):
    """Let the app work until something is true."""
    for _ in range(2000):
        try:
            if condition():
                return
        except Exception as error:  # a widget that is not there yet
            last = error
        else:
            last = None
        await asyncio.sleep(0.005)
    raise AssertionError(f"{what} did not come true; {last!r}\n{screen_text(pilot.app)}")


def screen_text(app) -> str:
    """Every row of the screen as plain text."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def every_place(app, pilot):
    """Focus one widget of each kind on each screen, the fields that a key opens among them."""
    await until(pilot, lambda: app.shelf.rows is not None)
    for key, opened in (("1", ("", "slash")), ("2", ("", "enter", "t")), ("3", ("", "L", "L,slash", "z")),
                        ("4", ("", "slash")), ("5", ("",))):  # fmt: skip
        for keys_pressed in opened:
            await pilot.press(key)
            await until(pilot, lambda key=key: app.screen.entry.key == key)
            if key == "3" and app.shelf.rows:
                await until(pilot, lambda: app.screen.query("Tile") and app.focused is not None)
            await pilot.press(*filter(None, keys_pressed.split(",")))
            await pilot.pause()
            kinds = set()
            for widget in list(app.screen.query("*")):
                if widget.focusable and widget.size.area and type(widget) not in kinds:
                    kinds.add(type(widget))
                    widget.focus()
                    await pilot.pause()
                    yield key, widget
            yield key, None
            for _ in range(5):
                if app.screen.entry.key != "1" or isinstance(app.focused, Input):
                    await pilot.press("escape")
                    await pilot.pause()

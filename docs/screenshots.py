"""Take the pictures of README from a store of real runs: ``uv run python docs/screenshots.py STORE [RUN]``.

RUN is shown on the live screen; without it the newest is. Each picture is the SVG that the app itself draws.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from textual.pilot import Pilot

from pipeline.runs.store import RunStore
from workbench.app import Workbench

folder = Path(__file__).parent / "screens"
size = (110, 30)
pictures = (
    (("1",), "runs"),
    (("2",), "compose"),
    (("3",), "live"),
    (("4", "right"), "frontier"),
    (("e",), "export"),
)
"""What is pressed before each picture is taken."""


async def settled(pilot: Pilot[None], seconds: float = 2.0) -> None:
    """Let the app read the store and draw."""
    await pilot.pause(seconds)
    await pilot.wait_for_scheduled_animations()


async def main(store: RunStore, name: str | None) -> None:
    """Walk through the screens and save each."""
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as saved:
        app = Workbench(store, Path(saved))
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            if name is not None:
                app.selected = store.open(name).id
            for keys, picture in pictures:
                await pilot.press(*keys)
                await settled(pilot)
                app.save_screenshot(f"{picture}.svg", path=str(folder))


if __name__ == "__main__":
    asyncio.run(main(RunStore(Path(sys.argv[1])), sys.argv[2] if len(sys.argv) > 2 else None))

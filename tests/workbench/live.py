"""What the tests of the live screen share."""

import time

from tests.workbench import fakes
from tests.workbench.conftest import until
from workbench.screens.live import LiveScreen


async def open_live(pilot, size=None):
    app = pilot.app
    await until(pilot, lambda: app.shelf.rows)
    await pilot.press("3")
    await until(pilot, lambda: isinstance(app.screen, LiveScreen) and app.screen.tiles.chosen is not None)
    return app.screen


def titles(app):
    return [metric.key for metric in app.screen.tiles.charted]


def tile(app, place=0):
    return app.screen.query("Tile")[place]


def begun(of, epochs, ago_s=30.0, index=0):
    now = time.time() - ago_s
    return [fakes.started(of, now), *fakes.training(of, index, now, epochs=epochs)]

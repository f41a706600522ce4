"""The plot of the frontier: drawn from cells, sends only the rows that changed, and knows which run a mouse is on."""

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from workbench.widgets import palette, raster
from workbench.widgets.chart import Chart, Picture
from workbench.widgets.raster import Look
from workbench.widgets.scatter import Point, Scene

REACH = 4
"""Columns from a mouse within which a run is found; a row counts as two columns."""


class ScatterPicture(Picture, frozen=True, kw_only=True):
    """A scene, and how it is looked at."""

    scene: Scene
    look: Look


class ScatterChart(Chart):
    """Draws a ``ScatterPicture``."""

    class Picked(Message):
        """A run was clicked."""

        def __init__(self, run_id: str) -> None:
            super().__init__()
            self.run_id = run_id
            """Its id."""

    class Hovered(Message):
        """The mouse came to another run, or left all of them."""

        def __init__(self, point: Point | None) -> None:
            super().__init__()
            self.point = point
            """None where no run is near."""

    _drawing: raster.Raster | None = None
    _hovered: Point | None = None
    _shown_scene: Scene | None = None

    def show_scene(self, scene: Scene, look: Look, *, empty: str = "") -> None:
        """Draw a scene; ``empty`` is said where it has no points."""
        self._shown_scene = scene if scene.points else None
        self.show(ScatterPicture(scene=scene, look=look, empty="" if scene.points else empty or "-"))

    def together(self, point: Point) -> list[Point]:
        """List the runs that share a cell with a point, itself included, in a fixed order."""
        here = self._place(point)
        if self._shown_scene is None or here is None:
            return [point]
        return [other for other in self._shown_scene.points if self._place(other) == here]

    def near(self, column: int, row: int) -> Point | None:
        """Find the run that is nearest to a cell of the widget; None where none is within reach."""
        if self._shown_scene is None or self._drawing is None:
            return None
        best: tuple[int, Point] | None = None
        for point in self._shown_scene.points:
            cell = self._place(point)
            if cell is None:
                continue
            apart = abs(cell[0] + self._drawing.left - column) + 2 * abs(self._drawing.lines - 1 - cell[1] - row)
            if apart <= REACH and (best is None or apart < best[0]):
                best = apart, point
        return best[1] if best else None

    def on_click(self, event: events.Click) -> None:
        """Say which run was clicked."""
        point = self.near(event.x, event.y)
        if point is not None:
            self.post_message(self.Picked(point.row.id))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Say which run the mouse is on."""
        self._hover(self.near(event.x, event.y))

    def on_leave(self) -> None:
        """Forget the run the mouse was on."""
        self._hover(None)

    def _hover(self, point: Point | None) -> None:
        if point != self._hovered:
            self._hovered = point
            self.post_message(self.Hovered(point))

    def _place(self, point: Point) -> tuple[int, int] | None:
        if self._shown_scene is None:
            return None
        return self.cell_of(self._shown_scene.x.place(point.x), self._shown_scene.y.place(point.y))

    def _plotted(self) -> list[Strip]:
        picture = self._picture
        assert isinstance(picture, ScatterPicture)
        width, height = self.size
        drawn = raster.draw(picture.scene, picture.look, width, height)
        self._drawing = drawn
        self._canvas = Region(drawn.left, 0, drawn.columns, drawn.lines)
        self._cells = drawn.frame.x_limits, drawn.frame.y_limits, drawn.columns, drawn.lines
        bold = {"primary"}
        styles: dict[str, Style] = {}
        for _, color in {pair for row in drawn.rows for pair in row}:
            styles[color] = palette.style(self.app, color or "foreground", bold=color in bold)
        return [Strip([Segment(text, styles[color]) for text, color in row]) for row in drawn.rows[:height]]

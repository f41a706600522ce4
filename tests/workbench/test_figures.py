"""The frontier as files: drawn for a paper, as text, as data; never over a file that is there."""

import csv
import io
import json
import sys
from functools import partial
from xml.etree import ElementTree

import pytest

from pipeline.errors import ExportError, MissingDependency
from tests.workbench.test_scatter import THREE, row, scene
from workbench import writing
from workbench.widgets import figures
from workbench.widgets.raster import Look
from workbench.widgets.scatter import Rate

SVG = "{http://www.w3.org/2000/svg}"


def write(made, path):
    writing.write(path, figures.formats, partial(figures.make, made))


def test_the_svg_has_axes_the_front_intervals_and_a_legend():
    content = figures.svg(scene(*THREE, row("<b>&'\x1b", 93.0, 8.0)), Look())
    root = ElementTree.fromstring(content)
    words = [text.text for text in root.iter(f"{SVG}text")]
    for expected in ("Top-1 accuracy (%)", "Checkpoint (MiB)", "front", "dominated", "baseline", "baseline tiny"):
        assert expected in words
    titles = [title.text for title in root.iter(f"{SVG}title")]
    assert any(title.startswith("<b>&'?: 93.0") for title in titles)
    diamonds = [path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    assert len(diamonds) == 2
    assert root.get("width") == "252pt"


def test_equal_runs_give_equal_bytes():
    look = Look(selected="id-beaten", rate=Rate(2.0))
    for draw in (figures.svg, figures.text):
        assert draw(scene(*THREE), look) == draw(scene(*reversed(THREE)), look)
    for table in (figures.csv, figures.json):
        assert table(scene(*THREE)) == table(scene(*reversed(THREE)))


def lines_of(color, look=None, made=None):
    """Ends of the lines of a color in the SVG."""
    root = ElementTree.fromstring(figures.svg(made or scene(*THREE), look or Look()))
    return [one.get("points") for one in root.iter(f"{SVG}polyline") if one.get("stroke") == color]


def test_a_figure_shows_the_intervals_and_the_line_that_the_screen_shows():
    assert len(lines_of(figures.INTERVAL)) == 2
    assert len(lines_of(figures.INTERVAL, Look(selected="id-beaten"))) == 3
    assert not lines_of(figures.INTERVAL, Look(has_bars=False))
    assert not lines_of(figures.WORTH)
    (line,) = lines_of(figures.WORTH, Look(selected="id-middle", rate=Rate(2.0)))
    heights = [float(place.split(",")[1]) for place in line.split()]
    assert heights == sorted(heights, reverse=True)
    assert "·" in figures.text(scene(*THREE), Look(selected="id-middle", rate=Rate(2.0))).decode()


def test_without_a_better_side_no_run_is_called_dominated():
    made = scene(*THREE, x="seed")
    for content in (figures.svg(made, Look()).decode(), figures.text(made, Look()).decode()):
        assert "dominated" not in content
    root = ElementTree.fromstring(figures.svg(made, Look()))
    assert figures.DOMINATED not in {one.get("fill") for one in root.iter(f"{SVG}circle") if len(one)}


def test_the_data_name_every_run_and_what_is_on_the_front(tmp_path):
    for name in ("points.csv", "points.json"):
        write(scene(*THREE), tmp_path / name)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "points.csv").read_text())))
    assert [(one["run"], one["on_front"]) for one in rows] == [
        ("small", "True"),
        ("middle", "True"),
        ("beaten", "False"),
    ]
    document = json.loads((tmp_path / "points.json").read_text())
    assert (document["x"], document["y"], document["z"]) == ("size", "top1", "latency")
    assert document["runs"][0]["size_bytes"] == 1 << 20
    assert document["runs"][0]["top1_low"] == pytest.approx(91.6)


def test_the_text_holds_the_plot_and_the_front(tmp_path):
    write(scene(*THREE), tmp_path / "figure.txt")
    text = (tmp_path / "figure.txt").read_text()
    assert "top1 % over MiB, log" in text
    assert "┤" in text
    assert [line.split()[0] for line in text.rsplit("front ", 1)[1].splitlines()[1:]] == ["small", "middle"]


def test_no_file_is_overwritten_and_a_wrong_ending_is_told(tmp_path):
    (tmp_path / "mine.svg").write_text("mine")
    for name, sentence in (
        ("mine.svg", "is there already; name another file."),
        ("figure.pdf", "'figure.pdf' ends in none of .svg, .png, .txt, .csv, .json; the ending decides"),
        ("no/folder.svg", "there is no folder"),
    ):
        with pytest.raises(ExportError, match=sentence):
            write(scene(*THREE), tmp_path / name)
    assert (tmp_path / "mine.svg").read_text() == "mine"


def test_nothing_is_drawn_of_nothing(tmp_path):
    with pytest.raises(ExportError, match="no finished run to draw"):
        write(scene(), tmp_path / "empty.svg")
    assert not list(tmp_path.iterdir())


def test_a_png_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependency, match=r"pip install 'pqd-workbench\[figures\]', or name the file .svg"):
        write(scene(*THREE), tmp_path / "figure.png")
    assert not list(tmp_path.iterdir())


def test_a_png_is_an_image_and_the_same_each_time():
    look = Look(selected="id-middle", rate=Rate(2.0))
    assert figures.png(scene(*THREE), look).startswith(b"\x89PNG")
    assert figures.png(scene(*THREE), look) == figures.png(scene(*THREE), look)
    assert figures.png(scene(*THREE), look) != figures.png(scene(*THREE), Look(has_bars=False))

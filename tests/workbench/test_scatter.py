"""The scene of the frontier: what beats what, what a step costs, where letters stand."""

import math
import random
import time

import pytest
from msgspec.structs import replace

from pipeline.runs.rows import Row
from pipeline.runs.state import Status
from workbench.widgets import raster, scatter, standing
from workbench.widgets.raster import Look
from workbench.widgets.scatter import Rate, axis

MIB = 1 << 20


def row(name="a", top1=94.0, mib=2.0, ms=1.0, **more):
    facts = {
        "id": f"id-{name}", "name": name, "backbone": "tiny", "dataset": "digits", "data": "digits",
        "status": Status.FINISHED, "top1": top1, "top1_low": top1 - 0.4, "top1_high": top1 + 0.4,
        "points": top1 - 94.6, "size_bytes": None if mib is None else int(mib * MIB), "median_ms": ms,
        "p90_ms": None if ms is None else 1.1 * ms, "condition": "onnxruntime", "cpu": "Some CPU", "contended": False,
        "baseline_key": "base", "baseline_top1": 94.6, "baseline_bytes": 42 * MIB, "baseline_ms": 5.3,
    }  # fmt: skip
    return Row(**(facts | more))


def scene(*rows, x="size", y="top1", z="latency"):
    return scatter.scene(rows, axis(x), axis(y), axis(z))


THREE = (row("small", 92.0, 1.0), row("middle", 94.0, 3.0), row("beaten", 91.0, 3.5))


def names(made, ids):
    return {point.row.name for point in made.points if point.row.id in ids}


def test_the_front_follows_the_better_sides_of_both_axes():
    assert names(scene(*THREE), scene(*THREE).front) == {"small", "middle"}
    by_zeros = scene(
        row("a", 94.0, sparsity=50.0), row("b", 93.0, sparsity=90.0), row("c", 92.0, sparsity=80.0), x="sparsity"
    )
    assert names(by_zeros, by_zeros.front) == {"a", "b"}


def test_a_quantity_without_a_better_side_has_no_front():
    made = scene(*THREE, x="seed")
    assert not made.has_front
    assert not made.front
    assert "front" not in " ".join(line.plain for line in standing.place(made, made.points[0], 40))


def test_what_is_slower_can_be_on_the_front_of_three_though_not_on_that_of_two():
    made = scene(row("big fast", 93.0, 5.0, 0.5), row("small slow", 94.0, 1.0, 2.0))
    assert names(made, made.front) == {"small slow"}
    assert names(made, made.deep_front) == {"big fast", "small slow"}
    text = " ".join(line.plain for line in standing.place(made, made.point("id-big fast"), 40))
    assert "on the front: no" in text
    assert "beaten by small slow" in text
    assert "of all three, yes" in text


def test_runs_without_a_coordinate_are_counted():
    made = scene(row("timed"), row("untimed", ms=None), x="latency")
    assert [point.row.name for point in made.points] == ["timed"]
    assert made.left_out == 1


def test_each_baseline_stands_there_once():
    made = scene(*THREE, row("other", baseline_key="second", backbone="wide", baseline_top1=95.0))
    assert [point.row.name for point in made.baselines] == ["baseline tiny", "baseline wide"]
    assert made.baselines[0].y == 94.6


def test_a_step_along_the_front_says_what_it_costs():
    made = scene(row("small", 93.6, 1.0), row("big", 94.0, 2.1))
    small, big = made.points
    assert scatter.trade(made, big, -1) == "-0.4 pt for 2.1x smaller"
    assert scatter.trade(made, small, 1) == "+0.4 pt for 2.1x larger"
    assert scatter.trade(made, small, -1) == ""
    alike = scene(row("less", 93.6, 2.0), row("more", 94.0, 2.001))
    assert scatter.trade(alike, alike.points[1], -1) == "-0.4 pt for equal MiB"
    quick = scene(row("q", 93.0, ms=1.0), row("s", 94.0, ms=3.0), x="latency")
    assert scatter.trade(quick, quick.points[1], -1) == "-1.0 pt for 3x faster"


def test_the_line_of_equal_worth_separates_better_deals():
    made = scene(row("here", 93.0, 2.0), row("deal", 94.5, 4.0), row("no deal", 93.5, 4.0), row("smaller", 92.5, 1.0))
    rate, here = Rate(2.0), made.point("id-here")
    assert rate.line(made, here, 4.0) == pytest.approx(94.0)
    assert {point.row.name for point in rate.better(made, here)} == {"deal", "smaller"}
    assert rate.words(made, here) == "if 1 pt is worth 2x smaller: 2 runs beyond the line are better deals"
    assert scatter.worth(made, "1")[1] == "'1' is no number above 1."
    assert scatter.worth(made, "x") == (False, "'x' is no number above 1.")
    assert scatter.worth(made, "3")[0]


def test_the_nearest_run_is_found_in_each_direction():
    made = scene(row("mid", 93.0, 2.0), row("left", 93.0, 1.0), row("up", 94.0, 2.1), row("right", 93.1, 4.0))
    mid = made.point("id-mid")
    found = [scatter.nearest(made, mid, *way) for way in ((-1, 0), (1, 0), (0, 1))]
    assert [point.row.name for point in found] == ["left", "right", "up"]
    assert scatter.nearest(made, mid, 0, -1) is None


def test_different_conditions_and_contended_runs_are_pointed_out():
    assert standing.doubts(scene(*THREE)) == ""
    other = scene(*THREE, row("elsewhere", cpu="Other CPU"))
    assert "2 conditions do not compare" in standing.doubts(other)
    noisy = standing.doubts(scene(*THREE, row("noisy", contended=True)))
    assert noisy == "! 1 latency contended; to time all together: pqd-workbench measure --all"
    assert standing.doubts(scene(*THREE, row("noisy", contended=True), x="sparsity", z="seed")) == ""


@pytest.mark.parametrize(
    ("margin", "p_value", "text"), [(0.4, 0.3, "-0.6 ±0.4 ns"), (0.4, 0.001, "-0.6 ±0.4 pt"), (None, None, "-0.6 pt")]
)
def test_a_difference_to_the_baseline_says_whether_it_may_be_chance(margin, p_value, text):
    assert standing.significance(row(points_margin=margin, p_value=p_value)) == text


def test_the_front_is_joined_by_stairs_that_turn_to_the_dominated_side():
    text = raster.draw(scene(*THREE), Look(has_bars=False), 60, 20).text
    assert "┘" in text
    assert text.count("◇") + text.count("◆") + text.count("⋄") == 2
    assert "x" in text
    assert "baseline tiny" in text


def colors_of(made, letters, **look):
    """Colours in which some letters are drawn."""
    rows = raster.draw(made, Look(has_bars=False, **look), 60, 20).rows
    return {color for row in rows[:-2] for text, color in row[1:] if set(text.strip()) & set(letters)}


def test_the_front_stands_out_and_what_it_beats_is_dim():
    assert colors_of(scene(*THREE), "⋄◇◆") == {"primary"}
    assert colors_of(scene(*THREE), ".oO") == {"dim"}
    assert "dominated" in raster.legend(scene(*THREE), "braille")[0]


def test_where_no_side_is_better_nothing_is_dim_or_called_dominated():
    made = scene(*THREE, x="seed")
    assert colors_of(made, ".oO") == {"primary"}
    assert raster.legend(made, "braille")[0] == ". o O runs"


def test_intervals_have_ends_and_can_be_left_out():
    rows = (row("a", 93.0, ms=1.0), row("b", 94.0, ms=3.0))
    made = scene(*rows, x="latency", z="size")
    drawn, bare = (raster.draw(made, Look(has_bars=bars), 60, 20).text for bars in (True, False))
    assert "┬" in drawn.rsplit("└", 1)[0]
    assert drawn.count("┤") > bare.count("┤")
    assert "┬" not in bare.rsplit("└", 1)[0]


def test_plain_letters_are_enough():
    text = raster.draw(scene(*THREE), Look(selected="id-beaten", marker="ascii", rate=Rate(2.0)), 60, 20).text
    assert text.isascii()
    assert "@" in text
    assert all(line.isascii() for line in raster.legend(scene(*THREE), "ascii"))


def test_marks_grow_with_the_third_quantity():
    made = scene(*(row(f"r{n}", 90.0 - n, 2.0 + n, ms=1.0 + n) for n in range(9)))
    assert [made.third(point.z) for point in made.points] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert made.third(math.nan) == 0


def test_values_that_no_logarithm_takes_are_left_out_of_a_logarithmic_axis_alone():
    rows = (row("a", sparsity=0.0), row("b", sparsity=50.0))
    assert len(scatter.scene(rows, axis("sparsity", is_log=True), axis("top1"), axis("size")).points) == 1
    assert len(scatter.scene(rows, axis("sparsity"), axis("top1"), axis("size")).points) == 2


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (10, 3), (200, 60)])
def test_any_size_is_drawn(size):
    drawn = raster.draw(scene(*THREE), Look(selected="id-small", rate=Rate(2.0)), *size)
    assert drawn.rows


def test_one_run_alone_is_drawn():
    assert "◉" in raster.draw(scene(row(baseline_top1=None)), Look(selected="id-a"), 60, 20).text


def test_five_thousand_runs_are_placed_and_drawn_at_once():
    chance = random.Random(0)
    base = row()
    rows = [
        replace(base, id=str(n), top1=90 + 5 * chance.random(), size_bytes=int(MIB * 10 ** chance.random()))
        for n in range(5000)
    ]
    start = time.process_time()
    made = scene(*rows)
    raster.draw(made, Look(selected="7"), 100, 40)
    # Far above what it takes, far below what comparing each with each would.
    assert time.process_time() - start < 1.0

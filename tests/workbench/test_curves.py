"""What the live charts draw: metrics, axes, smoothing, limits, gaps."""

import math

import pytest

from pipeline import events as e
from pipeline.runs.state import History, RunState
from tests.workbench import fakes
from workbench.feed import thin
from workbench.messages import Detail
from workbench.widgets import curves
from workbench.widgets.axis import Axis, Shown, Window
from workbench.widgets.curves import Metric, View
from workbench.widgets.limits import parse_limits

TOP1, LOSS, RATE, *_ = curves.known
SIZE = (40, 12)


def shown(store, events, of, **changes):
    state, history = RunState(), History()
    for event in events:
        state = state.after(event)
        history.add(event)
    return Shown(detail=Detail(run=store.run("one"), recipe=of, state=state, curves=thin(history)), **changes)


@pytest.fixture
def run(store):
    ours = fakes.recipe_of("pq", "PQ")
    return shown(store, fakes.whole(ours), ours)


def test_a_metric_that_a_new_stage_records_gets_a_chart_by_itself(store):
    ours = fakes.recipe_of("p", "P")
    found = [fakes.started(ours), e.StageStarted(index=0, steps=10)]
    found += [e.Progressed(index=0, step=5, metrics={"rank_error": 0.5, "sparsity": 0.25})]
    metrics = curves.offered([shown(store, found, ours)])
    assert [metric.key for metric in metrics] == [*(m.key for m in curves.known), "rank_error"]
    assert metrics[-1].title == "rank error"


def test_the_x_axis_is_the_whole_recipe_with_named_stages(run):
    drawn = curves.picture(TOP1, [run], View(), Window(), SIZE)
    assert drawn.x_limits == (0.0, 12.0)
    assert drawn.verticals == (4.0, 8.0)
    assert [names[0] for _, _, names in drawn.spans] == ["baseline 4", "prune 4", "quantize 4"]


def test_steps_and_minutes_can_stand_on_the_x_axis(run):
    steps, minutes = Axis("steps", run), Axis("time", run)
    assert steps.edges == [0.0, 80.0, 160.0, 240.0]
    assert steps.place(6.0) == 120.0
    # Forty seconds a stage, and one between two.
    assert minutes.place(4.0) == pytest.approx(40 / 60)
    assert minutes.place(12.0) == pytest.approx(122 / 60)
    assert minutes.limits()[1] >= 122 / 60


def test_one_stage_can_be_looked_at_alone(run):
    drawn = curves.picture(TOP1, [run], View(), Window(stage=1), SIZE)
    assert drawn.x_limits == (4.0, 8.0)
    assert [names[0] for _, _, names in drawn.spans] == ["prune 4"]


def test_smoothing_is_an_average_without_the_pull_of_its_start_and_keeps_gaps():
    found = curves.smoothed([10.0, math.nan, 20.0], 0.5)
    assert found[0] == 10.0
    assert math.isnan(found[1])
    assert found[2] == pytest.approx((0.5 * 0.5 * 10 + 0.5 * 20) / 0.75)


def test_the_raw_curve_stays_below_a_smoothed_one(run):
    plain = curves.picture(TOP1, [run], View(), Window(), SIZE)
    smooth = curves.picture(TOP1, [run], View(smoothing=0.9), Window(), SIZE)
    assert [series.color for series in plain.series] == ["primary"]
    assert [series.color for series in smooth.series] == ["dim", "primary"]


def with_values(store, values):
    ours = fakes.recipe_of("p", "P", epochs=len(values))
    found = [fakes.started(ours), e.StageStarted(index=0, steps=len(values))]
    found += [e.Progressed(index=0, step=1 + k, metrics={"wild": value}) for k, value in enumerate(values)]
    return Metric(key="wild", title="wild", lines=(("wild", ""),)), shown(store, found, ours)


@pytest.mark.parametrize(
    ("count", "spikes", "high"),
    [(2000, 10, 2.0), (2000, 20, 2.0), (2000, 21, 1000.0), (201, 1, 2.0), (60, 1, 1000.0)],
)
def test_at_most_one_value_in_a_hundred_leaves_the_picture_at_each_side_when_asked(store, count, spikes, high):
    values = [1.0 + k % 2 for k in range(count)]
    for spike in range(spikes):
        values[spike * (count // spikes)] = 1000.0
    metric, run = with_values(store, values)
    drawn = curves.picture(metric, [run], View(clips=True), Window(), SIZE)
    assert (drawn.y_limits, drawn.is_cut) == ((1.0 if high == 2.0 else 0.0, high), high == 2.0)
    whole = curves.picture(metric, [run], View(), Window(), SIZE)
    assert (whole.y_limits, whole.is_cut) == ((0.0, 1000.0), False)


def test_limits_are_those_of_the_values_in_view(store):
    metric, run = with_values(store, [1.0 + k % 2 for k in range(200)] + [1000.0] * 200)
    assert curves.picture(metric, [run], View(), Window(x=(0.0, 100.0)), SIZE).y_limits == (1.0, 2.0)


def test_a_curve_is_not_bent_to_the_border_of_the_picture(store):
    metric, run = with_values(store, [0.0, 0.0, 95.0, 96.0])
    (line,) = curves.picture(metric, [run], View(y=(90.0, 100.0)), Window(), SIZE).series
    assert (line.ys[0], line.ys[-1]) == pytest.approx((0.0, 96.0), abs=0.2)


def test_the_logarithm_of_x_keeps_borders_and_numbers_in_their_places(run):
    drawn = curves.picture(TOP1, [run], View(log_x=True), Window(), SIZE)
    # The first epoch ends at 1, and the axis begins at a round number.
    assert drawn.x_limits == pytest.approx((0.0, math.log10(12)))
    assert drawn.verticals == pytest.approx((math.log10(4), math.log10(8)))
    assert drawn.x_ticks == ((0.0, "1"), (math.log10(3), "3"), (1.0, "10"))
    assert drawn.spans == ()
    (line,) = drawn.series
    step = drawn.x_limits[1] / (2 * SIZE[0])
    for epoch in range(1, 13):
        assert min(abs(x - math.log10(epoch)) for x in line.xs) <= step
    loss = curves.picture(LOSS, [run], View(log_x=True, log_y=True, smoothing=0.5), Window(), SIZE)
    assert loss.x_limits == pytest.approx((math.log10(0.2), math.log10(12)))


def test_the_logarithm_of_x_is_taken_of_one_stage_of_steps_and_of_typed_limits(run):
    stage = curves.picture(TOP1, [run], View(log_x=True), Window(stage=1), SIZE)
    assert stage.x_limits == pytest.approx((math.log10(4), math.log10(8)))
    assert [text for _, text in stage.x_ticks] == ["4", "6", "8"]
    steps = curves.picture(LOSS, [run], View(log_x=True), Window(axis="steps"), SIZE)
    assert steps.x_limits == pytest.approx((math.log10(5), math.log10(240)))
    typed = curves.picture(LOSS, [run], View(log_x=True), Window(x=(-5.0, 6.0)), SIZE)
    assert typed.x_limits == pytest.approx((math.log10(0.2), math.log10(6)))
    nowhere = curves.picture(LOSS, [run], View(log_x=True), Window(x=(-5.0, 0.0)), SIZE)
    assert nowhere.empty


def test_a_value_that_is_not_finite_is_a_gap_and_a_logarithm_passes_over_what_has_none(store):
    metric, run = with_values(store, [1.0, None, 10.0, -1.0, 0.0, 100.0])
    (line,) = curves.picture(metric, [run], View(), Window(), SIZE).series
    assert any(math.isnan(y) for y in line.ys)
    drawn = curves.picture(metric, [run], View(log_y=True), Window(), SIZE)
    assert drawn.y_limits == (0.0, 2.0)
    assert [text for _, text in drawn.y_ticks] == ["1e0", "1e1", "1e2"]


def test_typed_limits_hold_and_numbers_stand_below(run):
    drawn = curves.picture(TOP1, [run], View(y=(90.0, 95.0)), Window(x=(0.0, 6.0)), SIZE)
    assert (drawn.x_limits, drawn.y_limits) == ((0.0, 6.0), (90.0, 95.0))
    assert drawn.spans == ()
    assert drawn.x_ticks


@pytest.mark.parametrize(
    ("text", "said"),
    [("x=5", "'x=5' is no limit; write x=0:50 or y=90:95."), ("y=9:5", "y goes from low to high, found 9:5."),
     ("y=a:b", "'a:b' is not two numbers; write y=0:50."), ("x=0:inf", "x goes from low to high, found 0:inf.")],
)  # fmt: skip
def test_limits_that_are_none_are_told_in_a_sentence(text, said):
    with pytest.raises(ValueError, match=r".*") as raised:
        parse_limits(text)
    assert str(raised.value) == said


def test_limits_are_understood_in_any_order():
    assert parse_limits("y=90:95 x=0:1,000") == ((0.0, 1000.0), (90.0, 95.0))
    assert parse_limits("  ") == (None, None)


def test_the_values_at_a_place_are_those_of_the_nearest_point(run):
    train, validation = curves.traces(LOSS, [run], View(), Window())
    assert (train.name, validation.name) == ("train", "validation")
    assert validation.at(2.2, 0.1) == validation.at(2.0, 0.1)
    assert validation.at(99.0, 0.1) is None


def test_of_several_runs_the_curve_that_counts_is_drawn_with_a_letter_at_its_end(store):
    ours = fakes.recipe_of("pq", "PQ")
    runs = [
        shown(store, fakes.whole(ours), ours, letter=letter, color=f"series-{place}")
        for place, letter in enumerate("AB", start=1)
    ]
    drawn = curves.picture(LOSS, runs, View(), Window(), SIZE)
    assert [series.color for series in drawn.series] == ["series-1", "series-2"] * 2
    assert [series.marker for series in drawn.series] == ["", "", "A", "B"]


def test_a_picture_changes_only_when_a_dot_does(store):
    values = [1.0 + 0.5 * math.sin(k / 50) for k in range(2000)]
    metric, run = with_values(store, values)
    _, later = with_values(store, [*values[:-1], values[-1] + 1e-7])
    before = curves.picture(metric, [run], View(), Window(), SIZE)
    assert before == curves.picture(metric, [later], View(), Window(), SIZE)
    assert all(len(series.xs) <= 3 * 2 * SIZE[0] for series in before.series)


def test_a_stage_that_is_resumed_takes_the_place_of_what_it_does_again():
    history = History()
    ours = fakes.recipe_of("p", "P")
    history.add(fakes.started(ours))
    history.add(e.StageStarted(index=0, steps=40))
    for step, loss in ((10, 3.0), (20, 2.0), (30, 1.0), (20, 1.9)):
        history.add(e.Progressed(index=0, step=step, metrics={"loss": loss}))
    assert history.series["loss"] == ([1.0, 2.0, 2.0], [3.0, 2.0, 1.9])

"""The feed posts frozen pictures, reads on by offset, and outlives whatever lies in the store."""

import math

import msgspec
import pytest

from pipeline import events as e
from pipeline.runs.state import History, RunState
from pipeline.runs.store import Run
from tests.workbench import fakes
from workbench.feed import MOST_POINTS, Feed, thin, thinned
from workbench.messages import DetailsChanged, FeedFailed, Interest, LogGrew, RowsChanged
from workbench.settings import Settings
from workbench.tail import Earlier
from workbench.widgets import words

quick = Settings(poll_s=0.01, redraw_s=0.0)


def feed_of(store):
    posted = []
    return Feed(store, posted.append, quick), posted


def only(posted, kind):
    return [message for message in posted if isinstance(message, kind)]


def test_nothing_is_posted_while_nothing_changes(store):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours), log="one\n")
    feed, posted = feed_of(store)
    feed.follow(Interest(ids=(run.id,), has_curves=True, log=run.id))
    feed.poll()
    assert [type(message) for message in posted] == [RowsChanged, DetailsChanged, LogGrew]
    feed.poll()
    feed.poll()
    assert len(posted) == 3


def test_only_the_run_that_went_on_gets_another_row(store):
    ours = fakes.recipe_of("pq", "PQ")
    with fakes.running(store, ours, [fakes.started(ours)]) as one, fakes.running(store, ours, [fakes.started(ours)]):
        feed, posted = feed_of(store)
        feed.poll()
        fakes.write(one, fakes.training(ours, 0, fakes.START_S, epochs=1))
        feed.poll()
        before = {row.id: row for row in posted[0].rows}
        after = {row.id: row for row in posted[-1].rows}
        assert [run_id for run_id in after if after[run_id] is not before[run_id]] == [one.id]
        assert after[one.id].steps[0].epoch == 1


def test_a_run_that_is_over_is_not_read_again(store, monkeypatch):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    feed, _ = feed_of(store)
    feed.follow(Interest(ids=(run.id,), has_curves=True))
    feed.poll()
    reads = []
    monkeypatch.setattr(Run, "events", lambda self, offset=0: reads.append(self) or ([], offset))
    feed.poll()
    assert reads == []


def test_a_run_that_appears_and_one_that_goes_are_told(store):
    feed, posted = feed_of(store)
    feed.poll()
    assert posted[-1].rows == ()
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    feed.poll()
    assert [row.name for row in posted[-1].rows] == ["pq"]
    store.delete(run)
    feed.poll()
    assert posted[-1].rows == ()


def test_curves_and_log_are_read_for_the_runs_of_interest_alone(store):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours), log="one\n")
    fakes.add_run(store, ours, fakes.whole(ours), log="other\n")
    feed, posted = feed_of(store)
    feed.follow(Interest(ids=(run.id,), has_curves=True, log=run.id))
    feed.poll()
    (detail,), (log,) = only(posted, DetailsChanged)[0].details, only(posted, LogGrew)
    assert detail.curves.borders == (0.0, 4.0, 8.0)
    assert detail.curves.clock[1][0] > fakes.START_S
    assert (log.run_id, log.lines, log.earlier) == (run.id, ("one",), Earlier())
    count = len(posted)
    feed.follow(Interest())
    with run.log_path.open("a") as written:
        written.write("two\n")
    feed.poll()
    assert len(posted) == count


def test_runs_that_go_on_are_told_together_as_one_drawing(store):
    ours = fakes.recipe_of("pq", "PQ")
    begun = [fakes.started(ours)]
    with fakes.running(store, ours, begun) as one, fakes.running(store, ours, begun) as two:
        feed, posted = feed_of(store)
        feed.follow(Interest(ids=(one.id, two.id), has_curves=True))
        feed.poll()
        for run in (one, two):
            fakes.write(run, fakes.training(ours, 0, fakes.START_S, epochs=1))
        feed.poll()
        told = [[detail.id for detail in message.details] for message in only(posted, DetailsChanged)]
        assert told == [[one.id, two.id]] * 2


def test_a_run_of_new_interest_is_told_at_once_and_what_it_does_then_at_the_next_beat(store):
    ours = fakes.recipe_of("pq", "PQ")
    begun = [fakes.started(ours)]
    with fakes.running(store, ours, begun) as one, fakes.running(store, ours, begun) as two:
        posted = []
        feed = Feed(store, posted.append, Settings(poll_s=0.01, redraw_s=60.0))
        for run in (one, two):
            feed.follow(Interest(ids=(run.id,), has_curves=True))
            feed.poll()
        fakes.write(two, fakes.training(ours, 0, fakes.START_S, epochs=1))
        feed.poll()
        assert [message.details[0].id for message in only(posted, DetailsChanged)] == [one.id, two.id]


def test_as_many_lines_of_a_log_are_read_as_the_settings_say(store):
    ours = fakes.recipe_of("p", "P")
    run = fakes.add_run(store, ours, fakes.whole(ours), log="".join(f"line {k}\n" for k in range(1000)))
    posted = []
    feed = Feed(store, posted.append, msgspec.structs.replace(quick, log_lines=100))
    feed.follow(Interest(log=run.id))
    feed.poll()
    (log,) = only(posted, LogGrew)
    assert (log.lines[0], log.lines[-1], len(log.lines)) == ("line 900", "line 999", 100)
    assert log.earlier.lines == 900


def test_following_again_gives_everything_again_and_says_that_the_log_begins_anew(store):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours), log="one\n")
    feed, posted = feed_of(store)
    for _ in range(2):
        posted.clear()
        feed.follow(Interest(ids=(run.id,), has_curves=True, log=run.id))
        feed.poll()
        assert only(posted, DetailsChanged)[0].details[0].curves is not None
        assert only(posted, LogGrew)[0].earlier == Earlier()
        feed.follow(Interest())
        feed.poll()


def test_what_was_not_finite_is_counted(store):
    ours = fakes.recipe_of("p", "P")
    found = [fakes.started(ours), e.StageStarted(index=0, steps=40)]
    found += [e.Progressed(index=0, step=k, metrics={"loss": None if k % 2 else 1.0}) for k in range(10)]
    with fakes.running(store, ours, found) as run:
        feed, posted = feed_of(store)
        feed.follow(Interest(ids=(run.id,), has_curves=True))
        feed.poll()
        assert only(posted, DetailsChanged)[0].details[0].curves.bad == {"loss": 5}


def test_a_long_run_is_thinned_where_it_is_read(store):
    ours = fakes.recipe_of("p", "P")
    found = [fakes.started(ours), e.StageStarted(index=0, steps=20_000)]
    found += [e.Progressed(index=0, step=k, metrics={"loss": 9.0 if k == 777 else 1.0}) for k in range(1, 10_000)]
    with fakes.running(store, ours, found) as run:
        feed, posted = feed_of(store)
        feed.follow(Interest(ids=(run.id,), has_curves=True))
        feed.poll()
        xs, ys = only(posted, DetailsChanged)[0].details[0].curves.series["loss"]
        assert len(xs) <= 2 * MOST_POINTS
        assert max(ys) == 9.0


def test_a_store_that_cannot_be_read_is_said_once(store):
    store.runs_folder.mkdir(parents=True)
    (store.folder / "runs").rmdir()
    (store.folder / "runs").write_text("no folder")
    feed, posted = feed_of(store)
    feed.poll()
    feed.poll()
    assert [type(message) for message in posted] == [FeedFailed]


def test_a_corrupt_log_is_shown_as_such(store):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, [e.StageStarted(index=9, steps=3)])
    feed, posted = feed_of(store)
    feed.follow(Interest(ids=(run.id,), has_curves=True))
    feed.poll()
    (row,) = posted[0].rows
    assert words.status_words(row) == "?? unreadable"
    assert only(posted, DetailsChanged)[0].details[0].problem


def test_thinning_keeps_ends_extremes_and_order():
    xs = [float(place) for place in range(10_000)]
    ys = [0.0] * 10_000
    ys[1234], ys[8765], ys[5000] = 50.0, -50.0, math.nan
    kept_xs, kept_ys = thinned(xs, ys)
    assert len(kept_xs) <= MOST_POINTS
    assert kept_xs == sorted(kept_xs)
    assert kept_xs[-1] == xs[-1]
    assert (max(kept_ys), min(kept_ys)) == (50.0, -50.0)


def left(*events):
    state = RunState()
    for event in events:
        state = state.after(event)
    return state.stage_eta_s(state.updated_s)


def test_curves_that_did_not_grow_stay_the_same_objects():
    history = History()
    history.series = {"loss": ([1.0], [2.0]), "top1": ([1.0], [50.0])}
    before = thin(history)
    history.series["loss"][0].append(2.0)
    history.series["loss"][1].append(1.0)
    after = thin(history, before)
    assert after.series["top1"] is before.series["top1"]
    assert after.series["loss"] == ((1.0, 2.0), (2.0, 1.0))


def test_the_time_that_is_left_comes_from_steps_not_from_waits_or_earlier_work():
    ours = fakes.recipe_of("p", "P")
    began = [fakes.started(ours, 0.0), e.StageStarted(time_s=100.0, index=0, steps=100)]
    steady = [e.Progressed(time_s=100.0 + k, index=0, step=k, metrics={}) for k in range(1, 11)]
    assert left(*began, *steady) == pytest.approx(90)
    waited = [
        e.Waited(time_s=111.0, reason="a measurement goes on"),
        e.Progressed(time_s=999.0, index=0, step=11, metrics={}),
    ]
    assert left(*began, *steady, *waited) == pytest.approx(89)
    resumed = [e.Progressed(time_s=101.0 + k, index=0, step=60 + k, metrics={}) for k in range(5)]
    assert left(*began, *resumed) == pytest.approx(36)
    slower = [e.Progressed(time_s=110.0 + 100 * k, index=0, step=10 + k, metrics={}) for k in range(1, 21)]
    assert left(*began, *steady, *slower) > 6500


def test_numbers_are_written_in_one_way():
    assert words.duration(760) == "12:40"
    assert words.duration(3760) == "1:02:40"
    assert words.mib(3_000_000) == "2.86"
    assert words.mib(None) == "-"
    assert words.milliseconds(0.0234) == "0.0234"
    assert words.number(math.nan) == "-"
    assert words.number(0.25, signed=True) == "+0.2"
    assert words.compact(1e-5) == "1.0e-5"
    assert words.cut("名前名前", 5) == "名前…"
    assert words.bar(0.5, 10) == "#####-----"


def test_a_marker_comes_from_the_environment():
    assert Settings.from_environment({"PQD_MARKER": "ascii"}).marker == "ascii"
    assert Settings.from_environment({"PQD_MARKER": "nonsense"}).marker == "auto"

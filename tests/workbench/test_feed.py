"""The feed posts frozen pictures, reads on by offset, and outlives whatever lies in the store."""

import math

from pipeline import events as e
from pipeline.runs.state import Status
from pipeline.runs.store import Run
from tests.workbench import fakes
from workbench.feed import MOST_POINTS, Feed, thinned
from workbench.messages import FeedFailed, RunChanged, RunsChanged
from workbench.settings import Settings
from workbench.widgets import words

quick = Settings(poll_s=0.01, redraw_s=0.0)


def feed_of(store):
    posted = []
    return Feed(store, posted.append, quick), posted


def test_nothing_is_posted_while_nothing_changes(store):
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    feed, posted = feed_of(store)
    feed.poll()
    assert [type(message) for message in posted] == [RunsChanged]
    feed.poll()
    feed.poll()
    assert len(posted) == 1


def test_only_the_run_that_went_on_gets_another_picture(store):
    ours = fakes.recipe_of("pq", "PQ")
    with fakes.running(store, ours, [fakes.started(ours)]) as one, fakes.running(store, ours, [fakes.started(ours)]):
        feed, posted = feed_of(store)
        feed.poll()
        fakes.write(one, fakes.training(ours, 0, fakes.START_S, epochs=1))
        feed.poll()
        before = {view.id: view for view in posted[0].views}
        after = {view.id: view for view in posted[1].views}
        assert [run_id for run_id in after if after[run_id] is not before[run_id]] == [one.id]
        assert after[one.id].state.stages[0].epoch == 1


def test_a_finished_run_is_not_read_again(store, monkeypatch):
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    feed, _ = feed_of(store)
    feed.poll()
    reads = []
    monkeypatch.setattr(Run, "events", lambda self, offset=0: reads.append(self) or ([], offset))
    feed.poll()
    assert reads == []


def test_a_run_that_appears_and_one_that_goes_are_told(store):
    feed, posted = feed_of(store)
    feed.poll()
    assert posted[-1].views == ()
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    feed.poll()
    assert [view.name for view in posted[-1].views] == ["pq"]
    store.delete(run)
    feed.poll()
    assert posted[-1].views == ()


def test_the_curves_and_the_log_of_the_followed_run_only(store):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours), log="one\ntwo\ncut")
    feed, posted = feed_of(store)
    feed.poll()
    feed.follow(run.id)
    feed.poll()
    message = posted[-1]
    assert isinstance(message, RunChanged)
    assert message.curves.borders == (0.0, 4.0, 8.0)
    assert message.lines == ("one", "two")
    with run.log_path.open("a") as log:
        log.write(" line\n")
    feed.poll()
    assert posted[-1].lines == ("cut line",)
    assert posted[-1].curves is None
    count = len(posted)
    feed.follow(None)
    feed.poll()
    assert len(posted) == count


def test_following_again_gives_everything_again(store):
    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, fakes.whole(ours))
    feed, posted = feed_of(store)
    for _ in range(2):
        feed.follow(run.id)
        feed.poll()
        assert posted[-1].curves is not None


def test_a_store_that_cannot_be_read_is_said_once(store):
    store.folder.mkdir()
    store.runs_folder.mkdir()
    feed, posted = feed_of(store)
    store.runs_folder.rmdir()
    store.runs = lambda: (_ for _ in ()).throw(PermissionError(13, "no"))
    feed.poll()
    feed.poll()
    assert [type(message) for message in posted] == [FeedFailed]


def test_a_corrupt_log_and_a_wild_event_are_shown_as_such(store):
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, [e.StageStarted(index=9, steps=3)])
    feed, posted = feed_of(store)
    feed.poll()
    (view,) = posted[0].views
    assert view.problem
    assert words.status_words(view) == "?? unreadable"


def test_a_lost_run_that_comes_back_is_running_again(store):
    import fcntl

    ours = fakes.recipe_of("pq", "PQ")
    run = fakes.add_run(store, ours, [fakes.started(ours)])
    feed, posted = feed_of(store)
    feed.poll()
    assert posted[-1].views[0].state.status is Status.LOST
    with run.lock_path.open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        feed.poll()
        assert posted[-1].views[0].state.status is Status.RUNNING


def test_thinning_keeps_ends_extremes_and_order():
    xs = [float(place) for place in range(10_000)]
    ys = [0.0] * 10_000
    ys[1234], ys[8765], ys[5000] = 50.0, -50.0, math.nan
    kept_xs, kept_ys = thinned(xs, ys)
    assert len(kept_xs) <= MOST_POINTS
    assert list(kept_xs) == sorted(kept_xs)
    assert kept_xs[-1] == xs[-1]
    assert (max(kept_ys), min(kept_ys)) == (50.0, -50.0)


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
    assert Settings.from_environment({"PQD_MARKER": "nonsense"}).marker == "braille"

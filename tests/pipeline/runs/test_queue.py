"""Runs that wait for their turn: real processes, and locks that this one holds for runs at work."""

import os
import signal
import threading

import psutil
import pytest

from pipeline.errors import CorruptRun, RunStoreError
from pipeline.runs import process, queue
from pipeline.runs.index import Index
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe, wait_until


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "store")


@pytest.fixture
def held(store):
    """Make runs that look alive until their lock is closed."""
    locks = {}

    def make(*, queued=True):
        run, lock = store.create(make_recipe(""))
        locks[run.id] = lock
        if queued:
            queue.enter(run)
        return run

    make.end = lambda run: os.close(locks.pop(run.id))
    yield make
    for lock in locks.values():
        os.close(lock)


def worker_of(run):
    (found,) = [child for child in psutil.Process().children() if str(run.folder) in child.cmdline()]
    return found


def row_of(store, run):
    index = Index(store)
    index.look()
    (row,) = [row for row in index.rows if row.id == run.id]
    return row


@pytest.mark.parametrize("limit", [1, 2])
def test_runs_begin_in_their_order_and_never_more_than_the_limit(store, held, limit):
    queue.set_limit(store, limit)
    runs = [held() for _ in range(5)]
    at_work, most, begun, guard = set(), [], [], threading.Lock()

    def live(run):
        queue.await_turn(run, say=lambda _: None)
        with guard:
            at_work.add(run.id)
            begun.append(run.id)
            most.append(len(at_work))
        wait_until(lambda: len(begun) >= min(limit, len(runs)))
        with guard:
            at_work.remove(run.id)
            held.end(run)

    threads = [threading.Thread(target=live, args=(run,)) for run in reversed(runs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert max(most) <= limit
    # Places were given in the order of the launches; of two that may begin at once either can be noted first.
    assert [begun.index(run.id) for run in runs] == sorted(begun.index(run.id) for run in runs) or limit > 1
    assert sorted(begun) == sorted(run.id for run in runs)


def test_a_run_that_was_not_queued_begins_at_once_and_counts(store, held):
    held(queued=False)
    other = held(queued=False)
    said = []
    queue.await_turn(other, say=said.append)
    assert said == []
    waits = held()

    def interrupt():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        queue.await_turn(waits, say=said.append, interrupt=interrupt)
    assert said == ["waits for 2 runs before it"]


def test_a_waiting_process_says_so_and_begins_when_the_other_run_is_over(store, held):
    other = held(queued=False)
    run = process.launch(store, make_recipe("", baseline={"epochs": 100_000}), queue=True)
    wait_until(lambda: run.state().activity != "")
    state = run.state()
    assert (state.status, state.activity) == (Status.QUEUED, "waits for 1 run before it")
    assert row_of(store, run).queued_at == queue.place(run) == 1
    assert row_of(store, run).activity == state.activity
    assert [waiting.id for waiting in queue.waiting(store)] == [run.id]
    # It costs next to nothing while it waits.
    assert not [mapped for mapped in worker_of(run).memory_maps() if "libtorch" in mapped.path]
    held.end(other)
    wait_until(lambda: run.state().status is not Status.QUEUED)
    assert queue.place(run) is None
    assert row_of(store, run).queued_at is None
    process.stop(run)
    wait_until(lambda: not run.is_alive())
    assert run.state().status is Status.STOPPED


def test_a_waiting_run_hears_a_wish_to_stop_and_a_killed_one_is_out_of_the_queue(store, held):
    held(queued=False)
    first, second, third = (process.launch(store, make_recipe(""), queue=True) for _ in range(3))
    wait_until(lambda: third.state().activity == "waits for 3 runs before it")
    process.stop(first, "stage")
    wait_until(lambda: not first.is_alive(), 20)
    assert first.state().status is Status.STOPPED
    assert row_of(store, first).queued_at is None
    worker_of(second).send_signal(signal.SIGKILL)
    wait_until(lambda: not second.is_alive(), 20)
    assert second.state().status is Status.LOST
    assert row_of(store, second).queued_at is None
    assert [run.id for run in queue.waiting(store)] == [third.id]
    wait_until(lambda: third.state().activity == "waits for 1 run before it", 20)
    worker_of(third).terminate()
    wait_until(lambda: not third.is_alive(), 20)


def test_a_waiting_run_changes_places_and_stays_within_the_queue(store, held):
    first, second, third = held(), held(), held()

    def order():
        return [run.id for run in queue.waiting(store)]

    assert order() == [first.id, second.id, third.id]
    queue.move(third, -1)
    assert order() == [first.id, third.id, second.id]
    queue.move(first, 5)
    assert order() == [third.id, second.id, first.id]
    queue.move(first, -9)
    assert order() == [first.id, third.id, second.id]
    last = held()
    assert order()[-1] == last.id


def test_a_waiting_run_can_begin_whatever_goes_on(store, held):
    held(queued=False)
    run = held()
    queue.start_now(run)
    queue.await_turn(run, say=pytest.fail)
    for change in (queue.start_now, lambda other: queue.move(other, 1)):
        with pytest.raises(RunStoreError, match=r"does not wait in the queue: it is queued\."):
            change(run)


def test_a_limit_is_a_number_of_runs(store):
    assert queue.limit(store) == 1
    queue.set_limit(store, 3)
    assert queue.limit(store) == 3
    for wanted in (0, -1, 1025):
        with pytest.raises(RunStoreError, match="must be a whole number from 1 to 1024"):
            queue.set_limit(store, wanted)
    for text in ("{", '{"limit": 0}', '{"limt": 2}'):
        (store.folder / "queue.json").write_text(text)
        with pytest.raises(CorruptRun, match=r"queue\.json' cannot be read: .*set the limit again"):
            queue.limit(store)

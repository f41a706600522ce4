import json
import os

import pytest

from pipeline.runs import queue
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe, wait_until
from tests.pipeline.exports import recorded
from tests.workbench.commands import call, refusal


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "store")


@pytest.fixture
def busy(store):
    """A run at work, and two that wait; this process holds their locks."""
    made = [store.create(make_recipe("", name=name)) for name in ("busy", "one", "two")]
    for run, _ in made[1:]:
        queue.enter(run)
    yield [run for run, _ in made]
    for _, lock in made:
        os.close(lock)


def test_the_queue_is_shown_in_order_with_its_limit_and_changed(store, busy):
    _, one, two = busy
    printed = call("queue", "--store", store.folder).stdout.splitlines()
    assert printed == ["1 run at once; 2 waiting.", f"  1  {one.id}", f"  2  {two.id}"]
    found = json.loads(call("queue", "--limit", "2", "--first", "two", "--json", "--store", store.folder).stdout)
    assert found == {"limit": 2, "waiting": [two.id, one.id]}
    call("queue", "--start", "one", "--store", store.folder)
    assert [run.id for run in queue.waiting(store)] == [two.id]
    assert "must be a whole number from 1" in refusal("queue", "--limit", "0", "--store", store.folder, code=6)
    assert "does not wait in the queue" in refusal("queue", "--start", "busy", "--store", store.folder, code=6)


def test_an_empty_queue_names_the_next_command(tmp_path):
    printed = call("queue", "--store", tmp_path / "none").stdout
    assert printed == "1 run at once; none waiting.\nTo queue one: pqd-workbench run smoke --queue\n"
    assert not (tmp_path / "none").exists()


def test_a_queued_run_waits_is_followed_and_stopped(store, busy):
    words = ("--detach", "--json", "--store", store.folder)
    launched = json.loads(call("run", "smoke", "--queue", "--set", "training.device=cpu", *words).stdout)
    run = store.open(launched["id"])
    wait_until(lambda: run.state().activity == "waits for 3 runs before it")
    assert [waiting.id for waiting in queue.waiting(store)][-1] == run.id
    done = call("stop", run.id, "--after", "epoch", "--store", store.folder)
    assert done.stdout == f"the run {run.id} is stopped.\n"
    watched = call("watch", run.id, "--store", store.folder, code=5).stdout.splitlines()
    assert watched[:3] == ["waits for 3 runs before it", "stops after this epoch", "stopped"]

    again = json.loads(call("resume", run.id, "--queue", *words).stdout)
    resumed = store.open(again["id"])
    assert (resumed.folder / "recipe.toml").read_bytes() == (run.folder / "recipe.toml").read_bytes()
    wait_until(lambda: resumed.state().activity == "waits for 3 runs before it")
    call("stop", resumed.id, "--store", store.folder)


@pytest.mark.parametrize("after", ["epoch", "stage"])
def test_stopping_after_something_says_so_in_the_folder_and_a_later_word_holds(store, busy, after):
    run = busy[0]
    said = call("stop", "busy", "--after", after, "--no-wait", "--store", store.folder).stdout
    assert said == f"the run {run.id} was asked to stop after its {after}.\n"
    assert run.stop_path.read_text() == after
    call("stop", "busy", "--no-wait", "--store", store.folder)
    assert run.stop_path.read_text() == "now"
    assert call("stop", "busy", "--withdraw", "--store", store.folder).stdout == f"the run {run.id} goes on.\n"
    assert not run.stop_path.exists()


def test_only_a_run_that_is_over_and_unfinished_is_resumed(store, busy):
    assert "is still going on: it is queued." in refusal("resume", "busy", "--store", store.folder, code=6)
    run = recorded.finished(store)
    assert "nothing is left to do" in refusal("resume", run.id, "--store", store.folder, code=6)

"""What a launch would take is told from what ran here, and not told where nothing did."""

import json
import platform

import msgspec
import pytest

from pipeline import recipe
from pipeline.keys import stage_keys
from pipeline.runs.annotations import Annotations
from pipeline.runs.rows import row_of
from tests.workbench import fakes
from workbench import estimates
from workbench.estimates import Estimator


def past(store, of, *, device="cpu", host=None, seconds_per_epoch=10.0, size_bytes=3_000_000):
    """A finished run whose epochs took so long; its row."""
    first = msgspec.structs.replace(fakes.started(of), device=device, host=host or platform.node())
    events = [first]
    now = fakes.START_S + 5
    for index in range(len(of.stages) + 1):
        events += fakes.training(of, index, now, seconds_per_epoch=seconds_per_epoch)
        now = events[-1].time_s
    events.append(fakes.e.RunFinished(time_s=now + 15))
    run = fakes.add_run(store, of, events)
    for key in stage_keys(of):
        folder = store.stages_folder / key
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tensors").write_bytes(b"\0" * size_bytes)
    return row_of(run.id, of, run.state(), Annotations())


def test_the_time_of_a_launch_is_the_median_of_the_epochs_of_past_runs_and_what_they_took_beside(store):
    ours = fakes.recipe_of("new", "PQ", seed=9)
    rows = [past(store, fakes.recipe_of(f"r{n}", "PQ", seed=n), seconds_per_epoch=s) for n, s in enumerate((9, 10, 40))]
    plan = Estimator(store).plan(ours, rows)
    assert [entry.seconds for entry in plan.entries] == [40.0, 40.0, 40.0]
    assert plan.rest_s == 20.0
    assert plan.time_words() == "about 2 min (from 3 runs)"
    assert plan.device == "cpu"


def test_nothing_is_claimed_where_nothing_like_it_has_run_here(store):
    ours = fakes.recipe_of("new", "PQ")
    others = [
        past(store, fakes.recipe_of("other", "PQ", backbone="resnet20")),
        past(store, fakes.recipe_of("far", "PQ"), host="elsewhere"),
    ]
    assert Estimator(store).plan(ours, others).time_words() == "time unknown, nothing like it has run here"
    assert Estimator(store).plan(ours, []).time_words() == "time unknown, nothing like it has run here"
    assert Estimator(store).plan(ours, []).need_bytes is None


def test_a_run_on_another_device_tells_nothing(store):
    ours = fakes.recipe_of("new", "PQ")
    wanted = msgspec.structs.replace(ours, training=msgspec.structs.replace(ours.training, device="cuda"))
    rows = [past(store, fakes.recipe_of("r", "PQ"))]
    assert Estimator(store).plan(wanted, rows).run_count == 0
    assert Estimator(store).plan(ours, rows).run_count == 1


def test_a_stage_that_never_ran_is_named_beside_the_time_of_the_others(store):
    plan = Estimator(store).plan(
        fakes.recipe_of("new", "PD", seed=4), [past(store, fakes.recipe_of("r", "P", epochs=30))]
    )
    assert plan.time_words() == "about 2 min (from 1 run) + distill, unknown"


def test_what_is_reused_costs_no_time(store):
    ours = fakes.recipe_of("pq", "PQ")
    rows = [past(store, ours)]
    for key in stage_keys(ours)[:2]:
        (store.stages_folder / key / "result.json").write_text(json.dumps({}))
    plan = Estimator(store).plan(ours, rows)
    assert [entry.is_reused for entry in plan.entries] == [True, True, False]
    assert (plan.reused, plan.epochs, plan.is_ready) == (2, 4, True)
    assert plan.time_words() == "about 60 s (from 1 run)"


def test_the_disk_that_is_needed_comes_from_what_such_runs_left(store):
    plan = Estimator(store).plan(fakes.recipe_of("new", "PQ", seed=9), [past(store, fakes.recipe_of("r", "PQ"))])
    assert 3 * 3_000_000 <= plan.need_bytes < 3 * 3_000_000 + 100_000
    assert plan.free_bytes > 0
    assert plan.disk_words().startswith("8.6 MiB of ")


def test_a_disk_that_is_nearly_full_and_a_run_that_goes_on_are_told_beforehand(store):
    plan = Estimator(store).plan(fakes.recipe_of("new", "P"), [])
    assert plan.warnings == ()
    full = msgspec.structs.replace(plan, free_bytes=100 * 2**20, running=("pqd",))
    assert "nearly full: 100 MiB free" in full.warnings[0]
    assert full.warnings[1].startswith("pqd goes on here")
    tight = msgspec.structs.replace(plan, free_bytes=900 * 2**20, need_bytes=600 * 2**20)
    assert "nearly full" in tight.warnings[0]


def test_a_checkpoint_that_is_not_there_is_told_instead_of_keys(store, tmp_path):
    document = fakes.recipe_of("new", "P").document() | {"baseline": {"checkpoint": str(tmp_path / "none.pt")}}
    plan = Estimator(store).plan(recipe.parse(document, folder=tmp_path), [])
    assert "none.pt" in plan.problem
    assert not plan.is_ready


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "about 1 s"), (89, "about 89 s"), (1860, "about 31 min"), (9000, "about 2.5 h")]
)
def test_a_span_is_told_as_roughly_as_it_is_known(seconds, words):
    assert estimates.about(seconds) == words


def test_a_state_that_was_read_once_is_not_read_again(store):
    row = past(store, fakes.recipe_of("r", "PQ"))
    estimator = Estimator(store)
    ours = fakes.recipe_of("new", "PQ", seed=9)
    assert estimator.plan(ours, [row]).run_count == 1
    store.run(row.id).events_path.unlink()
    assert estimator.plan(ours, [row]).run_count == 1

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
from workbench import plans
from workbench.estimates import Estimator


def here(of):
    """The beginning of a run on this machine."""
    return msgspec.structs.replace(fakes.started(of), host=platform.node())


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
    assert plans.about(seconds) == words


def trained_on(of, **changes):
    return msgspec.structs.replace(of, training=msgspec.structs.replace(of.training, **changes))


def test_the_share_that_is_held_out_counts_at_the_images_a_second_of_then(store):
    rows = [past(store, fakes.recipe_of("r", "P"))]
    ours = trained_on(fakes.recipe_of("new", "P", seed=9), validation=0.55)
    # 20 steps of 128 images an epoch are 90 %: half of them are not trained on but looked at, for a third of the time.
    saved_s = 20 * 128 / 2 * (2 / 3) / 1900
    plan = Estimator(store).plan(ours, rows)
    assert [entry.seconds for entry in plan.entries] == pytest.approx([4 * (10 - saved_s)] * 2)


def test_runs_with_batches_of_the_same_size_are_asked_before_others(store):
    small = trained_on(fakes.recipe_of("small", "P"), batch_size=32)
    rows = [past(store, fakes.recipe_of("r", "P"), seconds_per_epoch=10), past(store, small, seconds_per_epoch=30)]
    plans_of = {
        size: Estimator(store).plan(trained_on(fakes.recipe_of("new", "P", seed=9), batch_size=size), rows)
        for size in (32, 128, 64)
    }
    assert {size: plan.entries[0].seconds for size, plan in plans_of.items()} == {32: 120.0, 128: 40.0, 64: 80.0}


def test_a_run_whose_recipe_cannot_be_read_any_more_still_tells_how_long_an_epoch_took(store):
    row = past(store, fakes.recipe_of("r", "P"))
    (store.run(row.id).folder / "recipe.toml").write_text("no recipe")
    ours = trained_on(fakes.recipe_of("new", "P", seed=9), validation=0.5)
    assert [entry.seconds for entry in Estimator(store).plan(ours, [row]).entries] == [40.0, 40.0]


QUANTIZE = {"stage": "quantize", "epochs": 1}


@pytest.mark.parametrize(
    ("flags", "stage", "runtimes", "is_warned"),
    [
        ("avx2", QUANTIZE, ["onnxruntime"], True),
        ("avx2 avx512bw", QUANTIZE, ["torch", "onnxruntime"], True),
        ("avx2", QUANTIZE | {"weight_bits": 5, "first_last": "8-bit"}, ["onnxruntime"], True),
        ("avx2", QUANTIZE | {"weight_bits": 5}, ["onnxruntime"], False),
        ("avx2", QUANTIZE | {"reduce_range": True}, ["onnxruntime"], False),
        ("avx2", QUANTIZE, ["torch"], False),
        ("avx2 avx_vnni", QUANTIZE, ["onnxruntime"], False),
        ("avx2 avx512bw amx_int8", QUANTIZE, ["onnxruntime"], False),
        ("asimd", QUANTIZE, ["onnxruntime"], False),
    ],
)
def test_a_processor_whose_products_overflow_is_told_with_the_option_that_helps(
    store, cpuinfo, flags, stage, runtimes, is_warned
):
    cpuinfo.write_text(f"flags\t\t: {flags}\n")
    document = fakes.recipe_of("new", "P").document() | {"stages": [stage], "measure": {"runtimes": runtimes}}
    plan = Estimator(store).plan(recipe.parse(document, folder=store.folder), [])
    told = (
        f"quantize needs reduce_range = true: INT8 products overflow here ({'avx512' if '512' in flags else 'avx2'})."
    )
    assert plan.warnings == ((told,) if is_warned else ())


def test_a_state_that_was_read_once_is_not_read_again(store):
    row = past(store, fakes.recipe_of("r", "PQ"))
    estimator = Estimator(store)
    ours = fakes.recipe_of("new", "PQ", seed=9)
    assert estimator.plan(ours, [row]).run_count == 1
    store.run(row.id).events_path.unlink()
    assert estimator.plan(ours, [row]).run_count == 1

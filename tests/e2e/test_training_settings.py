"""What the training settings of a recipe come to in a run."""

import pytest
import torch

from pipeline.engine import checkpoint
from pipeline.keys import stage_keys
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe, run_here


def test_a_run_whose_loss_is_no_number_keeps_the_last_good_network_and_says_where(tmp_path):
    wanted = make_recipe("P", baseline={"epochs": 1, "learning_rate": 1e30, "training": {"max_bad_steps": 3}})
    run = run_here(RunStore(tmp_path), wanted)
    state = run.state()
    path = run.folder / "last-good.safetensors"
    assert state.status is Status.FAILED
    assert state.failure.startswith("the loss is not finite on 3 steps in a row up to step ")
    assert state.failure.endswith(f"the last good network is the one before the first epoch, kept in {str(path)!r}.")
    tensors, _ = checkpoint.read(path)
    assert tensors
    assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    assert any("such steps are left out" in note for note in state.notes)


@pytest.mark.slow
def test_the_last_and_the_best_epoch_are_reported_and_the_choice_of_arithmetic_is_noted(tmp_path):
    stages = [{"stage": "prune", "epochs": 3, "training": {"keep": "best", "precision": "float32", "batch_size": 128}}]
    wanted = make_recipe("P", baseline={"epochs": 2}, stages=stages)
    run = run_here(RunStore(tmp_path), wanted)
    state = run.state()
    baseline, prune = (stage.metrics for stage in state.stages)
    assert baseline["top1"] == baseline["last_top1"]
    assert prune["top1"] == prune["best_top1"] >= prune["last_top1"]
    # The sparsity rises over the first half, so the first of three epochs does not count.
    assert prune["best_epoch"] in (2, 3)
    assert sum(note.startswith("training computes in ") for note in state.notes) == 1


def test_settings_of_a_stage_alone_change_its_key_and_those_after_it():
    plain = stage_keys(make_recipe("PQ"))
    tables = [{"stage": "prune", "sparsity": 0.6, "epochs": 2}, {"stage": "quantize", "epochs": 2}]
    changed = [tables[0], tables[1] | {"training": {"ema": 0.9}}]
    assert stage_keys(make_recipe("PQ", stages=changed))[:2] == plain[:2]
    assert stage_keys(make_recipe("PQ", stages=changed))[2] != plain[2]
    same = {"epochs": 16, "training": {"batch_size": 64}}
    assert stage_keys(make_recipe("PQ", baseline=same)) == plain
    other = {"epochs": 16, "training": {"batch_size": 32}}
    assert not set(stage_keys(make_recipe("PQ", baseline=other))) & set(plain)

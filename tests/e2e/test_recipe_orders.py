"""Any subset of the stages in any order reaches a deployed file that computes what the trained network computes."""

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.numpy import load_file

from pipeline import load, load_arrays
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe, ordered_subsets, run_here
from tests.processor import OVERFLOWS

pytestmark = pytest.mark.slow

quantised = [letters for letters in ordered_subsets if "Q" in letters]
pruned = [letters for letters in ordered_subsets if "P" in letters]
integer_operators = {"QLinearConv": 3, "QLinearAdd": 1, "QGemm": 1}


def deployed(run, kind):
    (artifact,) = [found for found in run.state().artifacts if (found.subject, found.kind) == ("deployed", kind)]
    return run.store / artifact.path


def trained(run):
    return load_file(run.store / "stages" / run.state().stages[-1].key / "weights.safetensors")


@pytest.mark.parametrize("letters", ordered_subsets, ids=lambda letters: letters or "none")
class TestEveryOrderedSubset:
    def test_it_finishes_with_an_accuracy_and_a_size(self, all_subsets, letters):
        state = all_subsets[letters].state()
        assert state.status is Status.FINISHED, state.failure
        assert state.deployed.accuracy.total == 360
        assert state.deployed.size.size_bytes == deployed(all_subsets[letters], "checkpoint").stat().st_size

    def test_the_deployed_file_agrees_with_the_trained_network(self, all_subsets, letters):
        assert all_subsets[letters].state().deployed.accuracy.agreement >= 0.995

    def test_it_learnt_something(self, all_subsets, letters):
        # Ten classes: guessing is right one time in ten.
        assert all_subsets[letters].state().deployed.accuracy.top1 > 50


def test_latency_is_measured_in_each_runtime_and_batch_size_and_of_the_baseline_in_torch(all_subsets):
    state = all_subsets["PQD"].state()
    conditions = {f"{runtime}{batch}" for runtime in ("onnxruntime", "openvino") for batch in ("", ", batch 8")}
    assert set(state.deployed.latency) == conditions
    assert set(state.baseline.latency) == conditions | {"torch", "torch, batch 8"}
    assert all(found.samples >= 200 for found in state.deployed.latency.values())
    assert set(state.deployed.latency["onnxruntime"].precision) == {"int8"}
    assert set(state.baseline.latency["openvino"].precision) == {"float32"}


def test_runtimes_agree_and_the_network_is_compared_with_its_baseline_sample_by_sample(all_subsets):
    state = all_subsets["PQD"].state()
    found = state.deployed.accuracies
    assert list(found) == ["onnxruntime", "openvino"]
    for runtime, accuracy in found.items():
        assert accuracy.agreement >= 0.99
        paired = accuracy.versus_baseline
        assert paired.total == 360
        assert paired.gained - paired.lost == accuracy.correct - state.baseline.accuracies[runtime].correct


@pytest.mark.parametrize("letters", quantised)
class TestQuantised:
    def test_every_layer_runs_on_integers(self, all_subsets, letters):
        operators = all_subsets[letters].state().operators["deployed"]
        assert {name: operators.get(name) for name in integer_operators} == integer_operators
        assert not {"Conv", "FusedConv", "Gemm", "BatchNormalization"} & set(operators)

    def test_the_checkpoint_holds_every_weight_as_int8(self, all_subsets, letters):
        tensors = load_arrays(deployed(all_subsets[letters], "checkpoint"))[0]
        weights = {name: tensor for name, tensor in tensors.items() if name.endswith(".weight")}
        assert len(weights) == 4
        assert {tensor.dtype for tensor in weights.values()} == {np.dtype(np.int8)}

    def test_the_checkpoint_opens_as_a_network_that_gives_the_recorded_logits(self, all_subsets, letters):
        samples = np.load(deployed(all_subsets[letters], "samples"))
        with torch.no_grad():
            logits = load(deployed(all_subsets[letters], "checkpoint"))(torch.from_numpy(samples["images"]))
        # Without VNNI torch adds in another order now and then: an activation lands on the next step of its grid.
        same = (logits.numpy() == samples["logits"]).all(axis=1)
        assert same.mean() >= (0.99 if OVERFLOWS else 1.0)

    def test_the_files_are_smaller_than_the_baselines(self, all_subsets, letters):
        state = all_subsets[letters].state()
        assert state.deployed.size.size_bytes < state.baseline.size.size_bytes / 2


@pytest.mark.parametrize("letters", pruned)
def test_zeros_of_the_mask_are_zeros_in_the_deployed_tensor_whatever_came_after(all_subsets, letters):
    run = all_subsets[letters]
    masks = {name: mask for name, mask in trained(run).items() if name.endswith("_mask")}
    tensors = load_arrays(deployed(run, "checkpoint"))[0]
    assert masks
    for name, mask in masks.items():
        weight = tensors[name.removesuffix("_mask")]
        assert weight.dtype == (np.int8 if "Q" in letters else np.float32)
        assert not weight[~mask].any()
    share = 1 - sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values())
    assert share == pytest.approx(0.6, abs=0.001)


def test_ninety_percent_zeros_and_a_grid_of_five_bits_last_through_distillation_to_the_deployed_tensors(tmp_path):
    stages = [
        {"stage": "prune", "sparsity": 0.9, "epochs": 2},
        {"stage": "quantize", "weight_bits": 5, "epochs": 2},
        {"stage": "distill", "epochs": 2},
    ]
    run = run_here(RunStore(tmp_path), make_recipe("PQD", stages=stages))
    state = run.state()
    assert state.status is Status.FINISHED, state.failure
    tensors = load_arrays(deployed(run, "checkpoint"))[0]
    masks = {name.removesuffix("_mask"): mask for name, mask in trained(run).items() if name.endswith("_mask")}
    zeros = sum(int((tensors[name] == 0).sum()) for name in masks)
    assert zeros / sum(mask.size for mask in masks.values()) >= 0.9
    for name, mask in masks.items():
        assert not tensors[name][~mask].any()
    for name, tensor in tensors.items():
        if name.endswith(".weight"):
            assert tensor.dtype == np.int8
            # The largest weight of a channel lies on the largest code of five bits.
            assert np.abs(tensor).max() == 15
    assert state.deployed.accuracy.agreement >= 0.995
    assert state.deployed.accuracy.top1 > 50


def test_common_beginnings_are_trained_once(all_subsets):
    """One baseline and fifteen stages instead of sixteen baselines and thirty-three."""
    states = [run.state() for run in all_subsets.values()]
    assert sum(not stage.reused for state in states for stage in state.stages) == 16
    assert sum(stage.reused for state in states for stage in state.stages) == 33


def test_a_reused_stage_brings_its_curve_along(all_subsets):
    history = all_subsets["PQD"].history()
    epochs, _ = history.series["top1"]
    assert epochs[-1] == 16 + 2 + 2 + 2
    assert all_subsets["PQD"].state().stages[1].reused


def test_the_deployed_file_runs_with_nothing_but_onnxruntime_and_numpy(all_subsets):
    from sklearn.datasets import load_digits

    session = onnxruntime.InferenceSession(deployed(all_subsets["PQD"], "onnx"))
    images = np.round(load_digits().images * 255 / 16).astype(np.uint8)[:, None]
    (logits,) = session.run(None, {"images": images})
    assert logits.shape == (1797, 10)
    assert (logits.argmax(1) == load_digits().target).mean() > 0.5


def test_a_stored_result_that_was_damaged_is_trained_again(all_subsets, tmp_path):
    store = RunStore(tmp_path)
    first = run_here(store, make_recipe("P", baseline={"epochs": 1}))
    weights = tmp_path / "stages" / first.state().stages[1].key / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    second = run_here(store, make_recipe("P", baseline={"epochs": 1})).state()
    assert second.status is Status.FINISHED
    assert [stage.reused for stage in second.stages] == [True, False]
    assert "is damaged" in second.notes[-1]


def test_the_same_seed_gives_the_same_files_bit_for_bit_and_another_does_not(tmp_path):
    def files_of(folder, seed):
        run = run_here(RunStore(tmp_path / folder), make_recipe("PQD", seed=seed, baseline={"epochs": 1}))
        stage = run.store / "stages" / run.state().stages[-1].key
        return trained(run), [load_arrays(deployed(run, "checkpoint"))[0], load_file(stage / "weights.safetensors")]

    (first, checkpoints), (again, same), (other, different) = files_of("a", 0), files_of("b", 0), files_of("c", 1)
    for mine, theirs in zip([first, *checkpoints], [again, *same], strict=True):
        assert all(np.array_equal(mine[name], theirs[name]) for name in mine)
    assert not np.array_equal(first["head.weight"], other["head.weight"])
    assert not np.array_equal(checkpoints[0]["head.weight"], different[0]["head.weight"])

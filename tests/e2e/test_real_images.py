"""The published ResNet-20 on real CIFAR-10 images, where a machine has them."""

import pytest

from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import make_recipe, run_here


@pytest.mark.slow
def test_quantize_alone_costs_the_published_resnet20_less_than_a_point(shared_data, tmp_path):
    run = run_here(
        RunStore(tmp_path),
        make_recipe(
            "Q",
            backbone="resnet20",
            dataset={
                "name": "npz",
                "path": str(shared_data / "cifar10-small.npz"),
                "augmentation": "shift-flip",
                "mean": [0.485, 0.456, 0.406],
                "std": [0.229, 0.224, 0.225],
            },
            baseline={"checkpoint": str(shared_data / "cifar10_resnet20.th")},
            training={"batch_size": 128, "device": "cpu"},
            measure={"eager_baseline": False},
        ),
    )
    state = run.state()
    assert state.status is Status.FINISHED, state.failure
    assert state.baseline.accuracy.top1 == pytest.approx(92.13, abs=0.01)
    assert state.baseline.accuracy.top1 - state.deployed.accuracy.top1 <= 0.7
    assert state.deployed.accuracy.agreement >= 0.995
    assert state.deployed.latency["onnxruntime"].median_ms < state.baseline.latency["onnxruntime"].median_ms
    operators = state.operators["deployed"]
    assert (operators["QLinearConv"], operators["QLinearAdd"], operators["QGemm"]) == (19, 9, 1)

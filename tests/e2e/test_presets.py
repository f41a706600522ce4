"""The recipes of the paper start from their presets and reach a deployed file, on as few images as will do."""

from pathlib import Path

import numpy as np
import pytest

from pipeline import presets, recipe
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from tests.e2e.conftest import run_here

papers = [name for name in presets.presets() if name.startswith("prune-quantize-distill") and "cifar100" not in name]
convolutions = {"resnet18": 20, "vgg16_bn": 13, "wrn_28_10": 28}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("images") / "images.npz"
    pixels = draw.integers(0, 256, (32, 3, 32, 32), dtype=np.uint8)
    classes = np.arange(32) % 10
    np.savez(path, x_train=pixels, y_train=classes, x_test=pixels[:20], y_test=classes[:20])
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", papers)
def test_a_recipe_of_the_paper_goes_its_whole_way(name, images, tmp_path):
    shorter = [f"stages.{index}.epochs=1" for index in range(3)] + ["baseline.epochs=1", "training.batch_size=8"]
    document = recipe.load(presets.find(name), overrides=shorter).document()
    dataset = {"name": "npz", "path": str(images)}
    run = run_here(RunStore(tmp_path), recipe.parse(document | {"dataset": dataset}, folder=Path("/")))
    state = run.state()
    assert state.status is Status.FINISHED, state.failure
    assert [stage.stage for stage in state.stages] == ["baseline", "prune", "quantize", "distill"]
    assert state.stages[-1].metrics["sparsity"] == pytest.approx(0.5, abs=1e-3)
    assert state.operators["deployed"]["QLinearConv"] == convolutions[document["backbone"]]
    assert not {"Conv", "FusedConv", "Gemm"} & set(state.operators["deployed"])

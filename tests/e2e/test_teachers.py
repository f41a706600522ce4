"""Students and their teachers, from the recipe to the deployed file; real training on real digits."""

import msgspec
import numpy as np
import pytest
from safetensors.numpy import load_file
from torch import nn

from pipeline import recipe
from pipeline.errors import RecipeError
from pipeline.runs.state import Status
from pipeline.runs.store import RunStore
from pipeline.runs.wording import stage_name
from tests.e2e.conftest import make_recipe, run_here

WIDER = "tests.e2e.test_teachers:wider"


def wider(*, num_classes, in_channels):
    """A backbone from outside."""
    layers = [nn.Conv2d(in_channels, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(24, num_classes))


def distill(**options):
    return {"stage": "distill", "epochs": 2, **options}


def make(*stages, **changes):
    return make_recipe("", stages=[*stages], **({"baseline": {"epochs": 2}} | changes))


def finished(store, wanted):
    run = run_here(store, wanted)
    state = run.state()
    assert state.status is Status.FINISHED, state.failure
    return run, state


def weights(run, place=-1):
    return load_file(run.store / "stages" / run.state().stages[place].key / "weights.safetensors")


def assert_equal(one, other):
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_another_backbone_is_trained_as_the_baseline_is_and_teaches(tmp_path):
    run, state = finished(RunStore(tmp_path / "a"), make({"stage": "quantize", "epochs": 1}, distill(teacher=WIDER)))
    assert [stage.stage for stage in state.stages] == ["baseline", "quantize", "teacher", "distill"]
    assert [stage.status for stage in state.stages] == ["finished"] * 4
    assert [stage.epochs for stage in state.stages] == [2, 1, 2, 2]
    names = [stage_name(state, place) for place in range(4)]
    assert names == ["baseline", "1 quantize", "teacher", "2 distill"]
    assert state.operators["deployed"]["QLinearConv"] == 3
    own, alone = finished(RunStore(tmp_path / "b"), make(backbone=WIDER))
    assert state.stages[2].key == alone.stages[0].key
    assert_equal(weights(run, 2), weights(own))


@pytest.mark.slow
def test_a_second_student_is_bit_for_bit_what_it_is_alone_and_without_a_cache(tmp_path):
    """It is fake-quantised, longer, pruned afterwards and has another loss; the first one was none of that."""
    student = make({"stage": "quantize", "epochs": 1}, distill(epochs=3, alpha=0.5), {"stage": "prune", "epochs": 1})
    store = RunStore(tmp_path / "shared")
    _, first = finished(store, make(distill()))
    warm, second = finished(store, student)
    training = msgspec.structs.replace(student.training, teacher_cache_mib=0)
    off, _ = finished(RunStore(tmp_path / "off"), msgspec.structs.replace(student, training=training))
    assert_equal(weights(warm), weights(off))
    assert len(list((tmp_path / "shared").glob("teachers/*/epoch-[012].npy"))) == 3
    assert not (tmp_path / "off" / "teachers").exists()
    assert "the teacher was run for 2,560 images; 0 of its answers came from the cache." in first.notes
    assert "the teacher was run for 1,280 images; 2,560 of its answers came from the cache." in second.notes


@pytest.mark.slow
def test_a_teacher_from_a_file_is_the_one_that_is_asked(tmp_path):
    store = RunStore(tmp_path)
    trained, _ = finished(store, make(backbone=WIDER, baseline={"epochs": 1}))
    path = trained.store / "stages" / trained.state().stages[0].key / "weights.safetensors"
    student = make(distill(teacher=WIDER, teacher_checkpoint=str(path)))
    run, state = finished(store, student)
    assert [stage.stage for stage in state.stages] == ["baseline", "teacher", "distill"]
    assert state.stages[1].epochs == 0
    assert_equal(weights(run, 1), weights(trained))


@pytest.mark.slow
def test_the_baselines_own_backbone_with_other_weights_may_teach(tmp_path):
    store = RunStore(tmp_path)
    better, _ = finished(store, make(baseline={"epochs": 4}))
    path = better.store / "stages" / better.state().stages[0].key / "weights.safetensors"
    run, state = finished(store, make(distill(teacher_checkpoint=str(path))))
    assert [stage.stage for stage in state.stages] == ["baseline", "teacher", "distill"]
    assert_equal(weights(run, 1), weights(better))


def test_a_teacher_that_two_stages_ask_stands_once_in_the_plan():
    twice = make(distill(teacher="resnet20"), {"stage": "quantize"}, distill(teacher="resnet20"))
    assert [entry.name for entry in twice.plan] == ["baseline", "teacher", "distill", "quantize", "distill"]
    assert [entry.name for entry in make(distill(teacher="tiny")).plan] == ["baseline", "distill"]


def test_the_path_of_a_teacher_counts_from_the_recipes_folder(tmp_path):
    (tmp_path / "x.toml").write_text(make(distill()).to_toml() + '\n[[stages]]\nstage = "distill"\n')
    found = recipe.load(tmp_path / "x.toml", overrides=["stages.0.teacher_checkpoint=w.pt"])
    assert found.paths == {"stages[0].teacher_checkpoint": str(tmp_path / "w.pt")}
    assert recipe.loads(found.to_toml(), source="x", folder=tmp_path / "elsewhere") == found


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "resnet2"}, r"stages\[0\]\.teacher: no backbone is called 'resnet2'; did you mean 'resnet20'\?"),
        (
            {"teacher": "resnet20"},
            r"stages\[0\]\.teacher is 'resnet20', but the baseline is a checkpoint, so .* give t",
        ),
    ],
)
def test_a_teacher_that_cannot_be_had_is_refused_in_one_sentence(options, message):
    with pytest.raises(RecipeError, match=message):
        make(distill(**options), baseline={"checkpoint": "w.pt"})

import itertools

import pytest
import torch

from pipeline import events, options
from pipeline.backbones import tiny
from pipeline.engine import placement, sparsity
from pipeline.errors import RecipeError, StageError
from pipeline.partial import Partial
from pipeline.runs.store import Run
from pipeline.sections import Training
from pipeline.session import Session
from pipeline.stages.prune import Prune
from tests.pipeline.engine.test_images import make_task


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny.build(num_classes=4, in_channels=3)


class Rises(Session):
    """A session that keeps the masks at every step."""

    def fit(self, model, *, before_step, **settings):
        self.seen = []
        self.settled_after = settings["settled_after"]

        def watched(progress):
            before_step(progress)
            assert model.training
            self.seen.append((progress, {name: layer.weight_mask.clone() for name, layer in layers(model)}))

        super().fit(model, before_step=watched, **settings)


def layers(model):
    return sparsity.prunable(model).items()


def apply(stage, model, tmp_path, keep="last"):
    facts = []
    session = Rises(
        run=Run(tmp_path), index=1, task=make_task(), settings=Training(batch_size=8, keep=keep), emit=facts.append,
        teacher=lambda: None, between_steps=lambda: None, partial=Partial(tmp_path / "key.partial"),
        between_epochs=lambda: None,
    )  # fmt: skip
    pruned = stage.apply(model, session)
    notes = [fact.text for fact in facts if isinstance(fact, events.Noted)]
    return pruned, session, [note for note in notes if "pattern" in note]


@pytest.mark.parametrize("importance", ["magnitude", "gradient"])
@pytest.mark.parametrize("prepared", [False, True])
def test_the_sparsity_rises_over_the_first_half_and_then_stays(model, tmp_path, importance, prepared):
    model = placement.prepare(model) if prepared else model
    stage = Prune(sparsity=0.8, epochs=4, importance=importance)
    pruned, session, _ = apply(stage, model, tmp_path)
    total = sum(layer.weight.numel() for _, layer in layers(pruned))
    zeros = [sum(int((~mask).sum()) for mask in masks.values()) for _, masks in session.seen]
    assert zeros[0] == 0
    assert zeros == sorted(zeros)
    assert len(set(zeros)) > 5
    assert {count for count, (progress, _) in zip(zeros, session.seen, strict=True) if progress >= 0.5} == {
        round(0.8 * total)
    }
    assert sparsity.sparsity_of(pruned) == round(0.8 * total) / total
    for (_, earlier), (_, later) in itertools.pairwise(session.seen):
        assert not any((later[name] & ~earlier[name]).any() for name in later)


def test_gradient_importance_is_that_of_the_loss_on_training_images(model, tmp_path):
    """Written out: one batch after the other through the network in evaluation mode, gradients added up."""
    task = make_task()
    names = dict(layers(model))
    before = {name: layer.weight.detach().clone() for name, layer in names.items()}
    gradient = {name: torch.zeros_like(layer.weight) for name, layer in names.items()}
    model.eval()
    for start in range(0, len(task.x_train), 8):
        inputs, targets = task.normalise(task.x_train[start : start + 8]), task.y_train[start : start + 8]
        loss = torch.nn.functional.cross_entropy(model(inputs), targets)
        parts = torch.autograd.grad(loss, [layer.weight for layer in names.values()])
        for name, part in zip(names, parts, strict=True):
            gradient[name] += part
    worth = torch.cat([(before[name] * gradient[name]).abs().flatten() for name in sorted(names)])
    pruned, _, _ = apply(Prune(sparsity=0.5, importance="gradient", epochs=0), model, tmp_path)
    masks = dict(layers(pruned))
    masked = torch.cat([~masks[name].weight_mask.flatten() for name in sorted(names)])
    assert worth[masked].max() < worth[~masked].min()
    assert int(masked.sum()) == round(0.5 * masked.numel())


def test_a_pattern_rises_by_whole_weights_and_names_the_layers_it_leaves_alone(model, tmp_path):
    stage = Prune(pattern="1:4", sparsity=0.1, epochs=4)
    pruned, session, notes = apply(stage, model, tmp_path)
    assert sparsity.layer_sparsity(pruned) == {"stem": 0.0, "conv1": 0.75, "conv2": 0.75}
    in_a_group = [masks["conv1"].view(-1, 4).logical_not().sum(1).unique().tolist() for _, masks in session.seen]
    assert [key for key, after in zip(in_a_group, [*in_a_group[1:], None], strict=True) if key != after] == [
        [0], [1], [2], [3],
    ]  # fmt: skip
    assert notes == ["pattern 1:4 leaves alone stem: the weights of an output channel are no multiple of 4 there."]


@pytest.mark.parametrize("schedule", ["cubic", "one-shot"])
def test_an_epoch_may_be_the_best_only_with_the_final_masks(model, tmp_path, schedule):
    pruned, session, _ = apply(Prune(sparsity=0.9, schedule=schedule, epochs=4), model, tmp_path, "best")
    final = {name: layer.weight_mask for name, layer in layers(pruned)}
    settled = [masks for progress, masks in session.seen if progress >= session.settled_after]
    assert len(settled) == (len(session.seen) if schedule == "one-shot" else len(session.seen) // 2)
    assert all(torch.equal(mask, final[name]) for masks in settled for name, mask in masks.items())


def test_one_shot_prunes_before_the_first_step(model, tmp_path):
    _, session, _ = apply(Prune(pattern="2:4", schedule="one-shot", epochs=1), model, tmp_path)
    assert all(
        mask.float().mean() == 0.5 for _, masks in session.seen for name, mask in masks.items() if name != "stem"
    )


def test_a_second_prune_goes_on_where_the_first_ended(model, tmp_path):
    first, _, _ = apply(Prune(sparsity=0.3, epochs=1), model, tmp_path)
    masks = {name: layer.weight_mask.clone() for name, layer in layers(first)}
    second, session, _ = apply(
        Prune(sparsity=0.7, scope="layer", min_density=0.2, skip=("stem",), epochs=2), first, tmp_path
    )
    found = sparsity.layer_sparsity(second)
    assert found["stem"] == pytest.approx(float((~masks["stem"]).float().mean()))
    assert found["conv1"] == found["conv2"] == pytest.approx(0.7, abs=1e-3)
    assert not any((mask & ~masks[name]).any() for _, later in session.seen for name, mask in later.items())


def test_a_pattern_that_fits_no_layer_is_refused(model, tmp_path):
    with pytest.raises(StageError, match="no layer has a multiple of 5 weights in an output channel"):
        apply(Prune(pattern="2:5"), model, tmp_path)


def test_an_unknown_layer_is_refused_before_any_training(model, tmp_path):
    with pytest.raises(StageError, match="nearest names are stem"):
        apply(Prune(skip=("stemm",)), model, tmp_path)


@pytest.mark.parametrize("pattern", ["2:2", "4:2", "0:4", "1:17", "2/4", "2:4 ", "", "dense"])
def test_a_pattern_that_is_none_is_refused_with_what_is_allowed(pattern):
    with pytest.raises(RecipeError) as caught:
        options.build(Prune, {"pattern": pattern}, where="stages[0]")
    assert str(caught.value) == (
        f"stages[0]: pattern is {pattern!r}; it must be unstructured, or N:M with 1 <= N < M <= 16 such as 2:4."
    )


def test_a_sparsity_that_the_density_forbids_is_refused():
    with pytest.raises(RecipeError, match=r"sparsity 0.95 and min_density 0.1 are more than 1 together; lower one\."):
        options.build(Prune, {"sparsity": 0.95, "min_density": 0.1}, where="stages[0]")
    assert Prune(sparsity=0.9, min_density=0.1).sparsity == 0.9
    assert Prune(pattern="2:4", sparsity=0.95, min_density=0.1).pattern == "2:4"

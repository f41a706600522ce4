import pytest
import torch
from torch import nn

from pipeline.backbones import tiny
from pipeline.engine import placement, sparsity


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny.build(num_classes=10, in_channels=1)


def weights_of(model):
    return {name: module.weight for name, module in sparsity.prunable(model).items()}


def test_all_convolutions_and_linears_but_the_logits_are_prunable(model):
    assert list(sparsity.prunable(model)) == ["stem", "conv1", "conv2"]


def test_a_hidden_linear_layer_is_prunable():
    assert list(sparsity.prunable(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))) == ["0"]


def test_attached_masks_keep_everything_and_are_attached_once(model):
    sparsity.attach_masks(model)
    sparsity.raise_sparsity(model, 0.5)
    masks = {name: module.weight_mask.clone() for name, module in sparsity.prunable(model).items()}
    assert sparsity.attach_masks(model) is model
    for name, module in sparsity.prunable(model).items():
        assert module.weight_mask.dtype == torch.bool
        assert torch.equal(module.weight_mask, masks[name])


def test_the_smallest_weights_of_the_model_become_zero(model):
    before = {name: weight.detach().clone() for name, weight in weights_of(model).items()}
    flat = torch.cat([weight.abs().flatten() for weight in before.values()])
    count = round(0.7 * flat.numel())
    threshold = flat.sort().values[count - 1]
    sparsity.raise_sparsity(model, 0.7)
    for name, weight in weights_of(model).items():
        assert torch.equal(weight, torch.where(before[name].abs() <= threshold, 0.0, before[name]))
    assert sparsity.sparsity_of(model) == count / flat.numel()


def test_layer_scope_gives_every_layer_the_same_share(model):
    sparsity.raise_sparsity(model, 0.5, scope="layer")
    assert set(sparsity.layer_sparsity(model).values()) == {0.5}


@pytest.mark.parametrize("target", [0.0, 0.3, 0.999, 1.0])
def test_the_count_is_exact_even_when_all_magnitudes_are_equal(model, target):
    for weight in weights_of(model).values():
        weight.data.fill_(0.25)
    sparsity.raise_sparsity(model, target)
    masks = [module.weight_mask for module in sparsity.prunable(model).values()]
    total = sum(mask.numel() for mask in masks)
    assert sum(int((~mask).sum()) for mask in masks) == round(target * total)


def test_equal_magnitudes_are_masked_the_same_way_each_time():
    masks = []
    for _ in range(2):
        model = tiny.build(num_classes=10, in_channels=1)
        for weight in weights_of(model).values():
            weight.data.fill_(-1.0)
        sparsity.raise_sparsity(model, 0.4)
        masks.append([module.weight_mask for module in sparsity.prunable(model).values()])
    assert all(torch.equal(first, second) for first, second in zip(*masks, strict=True))


def test_a_masked_weight_is_never_revived(model):
    sparsity.raise_sparsity(model, 0.5)
    masked = {name: ~module.weight_mask for name, module in sparsity.prunable(model).items()}
    for weight in weights_of(model).values():
        weight.data.add_(100.0)  # as an optimiser might, before the next call of enforce
    for target in (0.2, 0.6, 0.9):
        sparsity.raise_sparsity(model, target)
        for name, weight in weights_of(model).items():
            assert not weight[masked[name]].any()
    assert sparsity.sparsity_of(model) == pytest.approx(0.9, abs=1e-3)


def test_a_lower_target_changes_nothing(model):
    sparsity.raise_sparsity(model, 0.5)
    before = sparsity.layer_sparsity(model)
    sparsity.raise_sparsity(model, 0.1)
    assert sparsity.layer_sparsity(model) == before


def test_enforcing_without_masks_changes_nothing(model):
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sparsity.enforce(model)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("order", ["prune then prepare", "prepare then prune"])
def test_zeros_survive_training_in_either_order_with_quantisation(model, order):
    if order == "prune then prepare":
        sparsity.raise_sparsity(model, 0.6)
        model = placement.prepare(model)
    else:
        model = placement.prepare(model)
        sparsity.raise_sparsity(model, 0.6)
    assert list(sparsity.prunable(model)) == ["stem", "conv1", "conv2"]
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    masks = {name: module.weight_mask.clone() for name, module in sparsity.prunable(model).items()}
    for _ in range(3):
        optimiser.zero_grad()
        model(torch.randn(8, 1, 8, 8)).square().sum().backward()
        optimiser.step()
        sparsity.enforce(model)
    for name, module in sparsity.prunable(model).items():
        assert torch.equal(module.weight_mask, masks[name])
        assert torch.equal(module.weight != 0, masks[name])


def test_both_orders_choose_the_same_weights(model):
    prepared = placement.prepare(model)
    sparsity.raise_sparsity(model, 0.6)
    sparsity.raise_sparsity(prepared, 0.6)
    for name, module in sparsity.prunable(prepared).items():
        assert torch.equal(module.weight_mask, sparsity.prunable(model)[name].weight_mask)


def test_the_cubic_schedule_is_that_of_zhu_and_gupta():
    assert sparsity.cubic(0.0, 0.8, 0.0) == 0.0
    assert sparsity.cubic(0.0, 0.8, 0.5) == pytest.approx(0.8 - 0.8 * 0.125)
    assert sparsity.cubic(0.2, 0.8, 1.0) == 0.8
    assert sparsity.cubic(0.2, 0.8, 7.0) == 0.8


@pytest.mark.parametrize("wrong", [-0.1, 1.1, float("nan")])
def test_a_sparsity_outside_its_range_is_refused(model, wrong):
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        sparsity.raise_sparsity(model, wrong)


def test_an_unknown_scope_is_refused(model):
    with pytest.raises(ValueError, match="'global' or 'layer'"):
        sparsity.raise_sparsity(model, 0.5, scope="channel")


def test_a_model_without_prunable_weights_has_sparsity_zero():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    sparsity.raise_sparsity(model, 0.5)
    assert sparsity.sparsity_of(model) == 0.0

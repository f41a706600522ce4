import itertools

import pytest
import torch
from torch import nn

from pipeline.backbones import tiny
from pipeline.engine import placement, sparsity
from pipeline.errors import StageError


@pytest.fixture
def model():
    torch.manual_seed(0)
    return tiny.build(num_classes=10, in_channels=1)


def weights_of(model):
    return {name: module.weight for name, module in sparsity.prunable(model).items()}


def masks_of(model):
    return {name: module.weight_mask.clone() for name, module in sparsity.prunable(model).items()}


def thin_and_wide():
    """A thin layer of small weights between wide ones: what global pruning empties first."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(4, 32, 3), nn.Conv2d(32, 2, 1), nn.Conv2d(2, 32, 3), nn.Flatten(), nn.Linear(32, 2))
    model[1].weight.data.mul_(1e-3)
    return model


def learn_something(model):
    """Leave a gradient in every parameter."""
    model.zero_grad()
    model(torch.randn(8, 1, 8, 8)).square().sum().backward()


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


def test_gradient_importance_is_the_first_taylor_term(model):
    learn_something(model)
    worth = {name: (weight * weight.grad).abs().detach() for name, weight in weights_of(model).items()}
    before = {name: weight.detach().clone() for name, weight in weights_of(model).items()}
    flat = torch.cat([score.flatten() for score in worth.values()])
    threshold = flat.sort().values[round(0.4 * flat.numel()) - 1]
    sparsity.raise_sparsity(model, 0.4, importance="gradient")
    for name, weight in weights_of(model).items():
        assert torch.equal(weight, torch.where(worth[name] <= threshold, 0.0, before[name]))


def test_a_weight_without_gradient_is_worth_nothing(model):
    learn_something(model)
    model.conv1.weight.grad = None
    sparsity.raise_sparsity(model, model.conv1.weight.numel() / 4752, importance="gradient")
    assert sparsity.layer_sparsity(model) == {"stem": 0.0, "conv1": 1.0, "conv2": 0.0}


def smallest_of_each_group(row, zeros, group):
    """The positions that N:M pruning masks in one row of weights, by trying every group on its own."""
    masked = set()
    for start in range(0, len(row), group):
        places = sorted(range(start, start + group), key=lambda place: (abs(row[place]), place))
        masked.update(places[:zeros])
    return masked


@pytest.mark.parametrize(("kept", "group"), [(2, 4), (1, 4), (4, 8), (15, 16)])
def test_a_pattern_masks_the_smallest_of_every_group(kept, group):
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 3, 3).to(memory_format=torch.channels_last)
    layer.weight.data[0] = 0.5  # ties
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(3, 2))
    rows = [row.flatten().tolist() for row in layer.weight.detach()]
    sparsity.raise_pattern(model, group - kept, group)
    for row, mask in zip(rows, layer.weight_mask, strict=True):
        masked = {place for place, stays in enumerate(mask.flatten().tolist()) if not stays}
        assert masked == smallest_of_each_group(row, group - kept, group)
    assert sparsity.sparsity_of(model) == (group - kept) / group


def test_a_pattern_leaves_rows_alone_that_it_does_not_divide(model):
    assert {name: sparsity.row_length(layer) for name, layer in sparsity.prunable(model).items()} == {
        "stem": 9, "conv1": 144, "conv2": 144,
    }  # fmt: skip
    sparsity.raise_pattern(model, 2, 4)
    assert sparsity.layer_sparsity(model) == {"stem": 0.0, "conv1": 0.5, "conv2": 0.5}


def test_a_pattern_counts_the_zeros_that_are_there():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(16, 8, 3), nn.Flatten(), nn.Linear(8, 2))
    sparsity.raise_sparsity(model, 0.6)
    before = masks_of(model)["0"]
    sparsity.raise_pattern(model, 2, 4)
    after = model[0].weight_mask
    assert not (after & ~before).any()
    expected = before.flatten(1).view(8, -1, 4).sum(2).clamp(max=2)
    assert torch.equal(after.flatten(1).view(8, -1, 4).sum(2), expected)


@pytest.mark.parametrize("target", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_no_layer_falls_below_its_density_and_the_total_is_exact(target, scope):
    model = thin_and_wide()
    sparsity.raise_sparsity(model, target, scope=scope, min_density=0.04)
    masks = masks_of(model)
    assert min(mask.float().mean() for mask in masks.values()) >= 0.04
    zeros, total = sum(int((~mask).sum()) for mask in masks.values()), sum(mask.numel() for mask in masks.values())
    assert abs(zeros - target * total) <= (0.5 if scope == "global" else 1.5)


def test_without_a_density_the_thin_layer_is_emptied():
    model = thin_and_wide()
    sparsity.raise_sparsity(model, 0.5)
    assert sparsity.layer_sparsity(model)["1"] == 1.0


def test_a_layer_at_its_density_gives_the_rest_to_the_others():
    """The reference takes weights one by one, smallest first, and passes over a layer that is down to its least."""
    model = thin_and_wide()
    weights = {name: weight.detach().clone() for name, weight in weights_of(model).items()}
    total = sum(weight.numel() for weight in weights.values())
    left = {name: weight.numel() for name, weight in weights.items()}
    every = ((abs(v), name, i) for name, weight in weights.items() for i, v in enumerate(weight.flatten().tolist()))
    masked = set()
    for _, name, place in sorted(every):
        if len(masked) < round(0.8 * total) and left[name] - 1 >= 0.1 * weights[name].numel():
            left[name] -= 1
            masked.add((name, place))
    sparsity.raise_sparsity(model, 0.8, min_density=0.1)
    found = {
        (name, place)
        for name, mask in masks_of(model).items()
        for place, stays in enumerate(mask.flatten().tolist())
        if not stays
    }
    assert found == masked


def test_a_layer_below_its_density_already_is_left_as_it_is():
    model = thin_and_wide()
    sparsity.raise_sparsity(model, 0.5)
    sparsity.raise_sparsity(model, 0.9, min_density=0.05)
    assert sparsity.layer_sparsity(model)["1"] == 1.0
    assert sparsity.sparsity_of(model) == pytest.approx(0.9, abs=1e-3)


def test_skipped_layers_stay_dense_and_do_not_count(model):
    sparsity.raise_sparsity(model, 0.5, skip=("conv1",))
    sparsity.raise_pattern(model, 2, 3, skip=("stem", "*1"))
    zeros = sparsity.layer_sparsity(model)
    assert zeros["conv1"] == 0.0
    assert sparsity.sparsity_of(model, skip=("conv[12]",)) == zeros["stem"]
    assert list(sparsity.prunable(model, ("conv*",))) == ["stem"]


def test_a_skipped_layer_that_is_not_there_is_refused_with_the_nearest(model):
    with pytest.raises(StageError, match=r"skip holds 'conv3'.* the nearest names are conv2, conv1, stem\."):
        sparsity.raise_sparsity(model, 0.5, skip=("stem", "conv3"))


@pytest.mark.parametrize("prepared", [False, True])
def test_masks_only_ever_lose_entries(prepared):
    """Convolutions in groups and depthwise ones included, in whatever order the ways of pruning come."""

    def build():
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 8, 3), nn.Conv2d(8, 16, 3, groups=2), nn.Conv2d(16, 16, 3, groups=16)
        model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 4))
        return placement.prepare(model) if prepared else model

    ways = [
        lambda model: sparsity.raise_sparsity(model, 0.4),
        lambda model: sparsity.raise_sparsity(model, 0.6, scope="layer", importance="gradient"),
        lambda model: sparsity.raise_pattern(model, 2, 4, importance="gradient"),
        lambda model: sparsity.raise_sparsity(model, 0.8, min_density=0.1, skip=("1",)),
    ]
    for first in range(len(ways)):
        model = sparsity.attach_masks(build())
        for way in ways[first:] + ways[:first]:
            before = masks_of(model)
            learn_something(model)
            for weight in weights_of(model).values():
                weight.data.add_(0.01)  # as an optimiser might, before the next call of enforce
            way(model)
            for name, mask in masks_of(model).items():
                assert not (mask & ~before[name]).any()
                assert not weights_of(model)[name][~mask].any()


def test_the_order_of_the_modules_does_not_matter():
    """Equal magnitudes everywhere: only the names decide."""
    layers = {name: nn.Conv2d(4, 4, 3) for name in ("b", "c", "a")}
    for layer in layers.values():
        nn.init.ones_(layer.weight)
    found = []
    for order in itertools.permutations(layers):
        model = nn.Sequential()
        for name in order:
            model.add_module(name, nn.Conv2d(4, 4, 3))
            model.get_submodule(name).load_state_dict(layers[name].state_dict())
        sparsity.raise_sparsity(model, 0.5, min_density=0.2)
        found.append(masks_of(model))
    for masks in found:
        assert all(torch.equal(mask, found[0][name]) for name, mask in masks.items())


def test_weights_that_are_no_numbers_do_not_spoil_the_count(model):
    model.conv1.weight.data[0] = float("nan")
    sparsity.raise_sparsity(model, 0.5)
    total = sum(mask.numel() for mask in masks_of(model).values())
    assert sum(int((~mask).sum()) for mask in masks_of(model).values()) == round(0.5 * total)

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.backbones import tiny, wrn_28_10
from pipeline.engine import integer, lowering, placement, sparsity
from pipeline.errors import StageError

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)


def images(count):
    return torch.randint(0, 256, (count, 3, 8, 8), dtype=torch.uint8)


def normalised(x):
    return (x / 255 - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def train(model, steps=5):
    model.train()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(steps):
        x = images(32)
        optimiser.zero_grad()
        F.cross_entropy(model(normalised(x)), x[:, 0, 0, 0].long() % 10).backward()
        optimiser.step()
        sparsity.enforce(model)
    return model


def awkward_gammas(model):
    """Give each batch normalisation a negative and a zero factor."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data[0], module.weight.data[1] = -0.7, 0.0
    return model


@pytest.fixture(scope="module")
def prepared():
    torch.manual_seed(0)
    model = placement.prepare(tiny.build(num_classes=10, in_channels=3))
    train(awkward_gammas(model))
    return awkward_gammas(model).eval()  # again, because training moved them


@pytest.fixture(scope="module")
def lowered(prepared):
    return lowering.lower(prepared, mean=MEAN, std=STD)


@torch.no_grad()
def test_the_lowered_network_agrees_with_the_prepared_one_to_rounding(prepared, lowered):
    x = images(1000)
    expected, found = prepared(normalised(x)), lowered(x)
    assert found.dtype == torch.float32
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
    assert (found.argmax(1) == expected.argmax(1)).float().mean() >= 0.995


def test_batch_norm_flips_the_codes_of_a_channel_and_changes_nothing_else(prepared, lowered):
    for name, norm_name in (("stem", "bn0"), ("conv1", "bn1"), ("conv2", "bn2")):
        layer, norm = prepared.get_submodule(name), prepared.get_submodule(norm_name)
        step = (layer.weight.abs().amax((1, 2, 3)) / 127).view(-1, 1, 1, 1)
        codes = (layer.weight / step).round() * norm.weight.sign().view(-1, 1, 1, 1)
        assert torch.equal(lowering.integer_weights(lowered)[name].float(), codes)
        assert not codes[1].any()
        factor = norm.weight.abs() / (norm.running_var + norm.eps).sqrt()
        scale = lowered.get_submodule(name).weight_scale
        torch.testing.assert_close(scale[2:], step.flatten()[2:] * factor[2:])


def test_the_state_dict_holds_codes_scales_and_biases_and_nothing_else(lowered):
    layers = {"stem": (16, 3, 3, 3), "conv1": (16, 16, 3, 3), "conv2": (16, 16, 3, 3), "head": (10, 16)}
    expected = {"input_normalization.mean": (torch.float32, (3, 1, 1))}
    expected["input_normalization.std"] = (torch.float32, (3, 1, 1))
    for name in ("x", "relu", "relu_1", "bn2", "relu_2", "adaptive_avg_pool2d"):
        expected[f"quantizers.{name}.scale"] = (torch.float32, ())
        expected[f"quantizers.{name}.zero_point"] = (torch.uint8, ())
    for name, shape in layers.items():
        expected[f"{name}.weight"] = (torch.int8, shape)
        expected[f"{name}.weight_scale"] = (torch.float32, shape[:1])
        expected[f"{name}.bias"] = (torch.int32, shape[:1])
    assert {name: (t.dtype, tuple(t.shape)) for name, t in lowered.state_dict().items()} == expected


def test_a_state_dict_restores_the_lowered_network(prepared, lowered):
    other = copy.deepcopy(prepared)
    for parameter in other.parameters():
        parameter.data.normal_()
    other = lowering.lower(other, mean=MEAN, std=STD)
    other.load_state_dict(lowered.state_dict())
    x = images(16)
    assert torch.equal(other(x), lowered(x))


def test_an_ordinary_network_stays_float_with_batch_norm_folded():
    model = train(awkward_gammas(tiny.build(num_classes=10, in_channels=3))).eval()
    lowered = lowering.lower(model, mean=MEAN, std=STD)
    x = images(64)
    torch.testing.assert_close(lowered(x), model(normalised(x)), rtol=1e-4, atol=1e-4)
    assert lowering.integer_weights(lowered) == {}
    layers = {f"{name}.{kind}" for name in ("stem", "conv1", "conv2", "head") for kind in ("weight", "bias")}
    assert set(lowered.state_dict()) == layers | {"input_normalization.mean", "input_normalization.std"}
    assert isinstance(model.bn0, nn.BatchNorm2d), "the model itself must not change"


@pytest.mark.parametrize("order", ["prune", "prune then prepare", "prepare then prune"])
def test_masked_weights_are_zeros_in_what_is_deployed(order):
    torch.manual_seed(0)
    model = tiny.build(num_classes=10, in_channels=3)
    if order.startswith("prune"):
        sparsity.raise_sparsity(model, 0.7)
    if "prepare" in order:
        model = placement.prepare(model)
    if order.endswith("then prune"):
        sparsity.raise_sparsity(model, 0.7)
    train(model)
    lowered = lowering.lower(model, mean=MEAN, std=STD)
    state = lowered.state_dict()
    for name, module in sparsity.prunable(model).items():
        assert not state[f"{name}.weight"][~module.weight_mask].any()
    assert not any("mask" in name for name in state)


@torch.no_grad()
def test_a_channel_of_tiny_weights_and_a_large_bias_does_not_overflow():
    layer = nn.Conv2d(2, 3, 1)
    layer.weight.data[0] = 1e-12
    layer.weight.data[1] = 0.0
    layer.bias.data = torch.tensor([3.0, -4.0, 0.5])
    model = placement.prepare(nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)))
    x = torch.randint(0, 256, (8, 2, 2, 2), dtype=torch.uint8)
    model((x / 255 - 0.5) / 0.5)
    lowered = lowering.lower(model, mean=(0.5, 0.5), std=(0.5, 0.5))
    deployed = lowered.get_submodule("0")
    assert deployed.bias.abs().max() <= integer.BIAS_MAX
    step = lowered.get_submodule("quantizers").get_submodule("input_1").scale * deployed.weight_scale
    torch.testing.assert_close(deployed.bias * step, layer.bias, rtol=1e-6, atol=1e-6)
    expected = model.eval()((x / 255 - 0.5) / 0.5)
    torch.testing.assert_close(lowered(x), expected, rtol=0.02, atol=0.02)


@torch.no_grad()
def test_batch_norm_with_nothing_to_fold_into_stays_and_agrees():
    torch.manual_seed(0)
    block = wrn_28_10.PreActivationBlock(4, 4, 1)
    model = placement.prepare(nn.Sequential(nn.Conv2d(3, 4, 3), block, wrn_28_10.PreActivationBlock(4, 4, 1)))
    x = images(64)
    model(normalised(x))
    lowered = lowering.lower(model, mean=MEAN, std=STD)
    expected = model.eval()(normalised(x))
    assert (lowered(x) - expected).abs().max() < 0.03 * expected.abs().max()
    assert sum(isinstance(m, integer.ChannelAffine) for m in lowered.modules()) == 2


@torch.no_grad()
def test_what_has_no_integer_form_stays_float_between_integer_layers():
    torch.manual_seed(0)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4, 5))
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 4, 3, padding_mode="reflect"), head)
    prepared = placement.prepare(model)
    x = images(64)
    prepared(normalised(x))
    lowered = lowering.lower(prepared, mean=MEAN, std=STD)
    expected = prepared.eval()(normalised(x))
    assert (lowered(x) - expected).abs().max() < 0.03 * expected.abs().max()
    assert set(lowering.integer_weights(lowered)) == {"0", "3.3"}
    assert lowered.get_submodule("2").weight.dtype == torch.float32


def test_a_five_bit_grid_is_stored_in_int8():
    model = placement.prepare(tiny.build(num_classes=10, in_channels=3), placement.Scheme(weight_bits=5))
    model(normalised(images(4)))
    for codes in lowering.integer_weights(lowering.lower(model, mean=MEAN, std=STD)).values():
        assert codes.dtype == torch.int8
        assert codes.abs().max() == 15


def test_an_activation_that_was_never_observed_is_refused():
    model = placement.prepare(tiny.build(num_classes=10, in_channels=3))
    with pytest.raises(StageError, match="never observed"):
        lowering.lower(model, mean=MEAN, std=STD)


def test_diverged_weights_are_refused():
    model = tiny.build(num_classes=10, in_channels=3)
    model.conv1.weight.data[0, 0, 0, 0] = torch.nan
    with pytest.raises(StageError, match="'conv1'"):
        lowering.lower(model, mean=MEAN, std=STD)

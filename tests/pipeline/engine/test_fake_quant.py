import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.backbones import resnet18, resnet20, tiny, vgg16_bn
from pipeline.engine import fake_quant, grid, placement
from pipeline.errors import StageError


@pytest.fixture
def prepared():
    torch.manual_seed(0)
    return placement.prepare(tiny.build(num_classes=10, in_channels=1))


def rounded_weight(weight, bits):
    return grid.round_within(weight, fake_quant.weight_scale(weight, bits))


def quantizers(model):
    return [module for module in model.modules() if isinstance(module, fake_quant.FakeQuantizer)]


def names_of_quantizers(model):
    return [name for name, _ in model.get_submodule(placement.QUANTIZERS).named_children()]


@pytest.mark.parametrize("bits", [2, 4, 5, 8])
def test_weights_are_rounded_to_a_symmetric_grid_per_output_channel(bits):
    weight = torch.randn(6, 3, 3, 3)
    largest = 2 ** (bits - 1) - 1
    expected = torch.empty_like(weight)
    for channel in range(6):
        step = weight[channel].abs().max() / largest
        expected[channel] = torch.round(weight[channel] / step).clamp(-largest, largest) * step
    torch.testing.assert_close(rounded_weight(weight, bits), expected)


def test_zeros_and_channels_of_zeros_stay_zero():
    weight = torch.randn(4, 8)
    weight[1] = 0.0
    weight[2, ::2] = 0.0
    rounded = rounded_weight(weight, 8)
    assert rounded.isfinite().all()
    assert not rounded[weight == 0].any()


def test_gradients_pass_straight_through_the_weights():
    weight = torch.randn(4, 8, requires_grad=True)
    gradient = torch.randn(4, 8)
    rounded_weight(weight, 8).backward(gradient)
    assert torch.equal(weight.grad, gradient)


def test_activations_are_rounded_to_256_levels_with_an_exact_zero():
    quantizer = fake_quant.FakeQuantizer()
    x = torch.randn(1000) + 0.3
    y = quantizer(x)
    step = (x.max() - x.min()) / 255
    zero = torch.round(-x.min() / step)
    expected = ((x / step).round() + zero).clamp(0, 255).sub(zero) * step
    torch.testing.assert_close(y, expected)
    assert quantizer(torch.zeros(3)).tolist() == [0.0, 0.0, 0.0]


def test_the_range_always_includes_zero():
    quantizer = fake_quant.FakeQuantizer()
    quantizer(torch.tensor([2.0, 5.1]))
    assert (quantizer.range_min.item(), quantizer.range_max.item()) == (0.0, pytest.approx(5.1))
    assert quantizer.zero_point == 0


def test_the_first_batch_sets_the_range_and_later_ones_move_it():
    quantizer = fake_quant.FakeQuantizer()
    quantizer(torch.tensor([-1.0, 1.0]))
    quantizer(torch.tensor([-3.0, 2.0]))
    assert (quantizer.range_min.item(), quantizer.range_max.item()) == (pytest.approx(-2.0), pytest.approx(1.5))
    quantizer.num_batches.fill_(1000)
    quantizer(torch.tensor([-3.0, 2.0]))
    assert quantizer.range_min.item() == pytest.approx(-2.0 + fake_quant.AVERAGING * -1.0)


def test_a_batch_that_is_not_finite_leaves_the_range_alone():
    quantizer = fake_quant.FakeQuantizer()
    quantizer(torch.tensor([-1.0, 1.0]))
    before = {name: tensor.clone() for name, tensor in quantizer.state_dict().items()}
    for bad in (torch.inf, -torch.inf, torch.nan):
        quantizer(torch.tensor([0.5, bad]))
    assert all(torch.equal(before[name], tensor) for name, tensor in quantizer.state_dict().items())


def test_an_activation_that_is_always_zero_gives_a_usable_scale():
    quantizer = fake_quant.FakeQuantizer()
    assert not quantizer(torch.zeros(5)).any()
    assert quantizer.scale == fake_quant.MIN_SCALE


@pytest.mark.parametrize("freeze", [lambda m: m.eval(), lambda m: fake_quant.set_observing(m, False)])
def test_ranges_stay_in_evaluation_mode_and_when_frozen(prepared, freeze):
    prepared(torch.randn(4, 1, 8, 8))
    freeze(prepared)
    before = [copy.deepcopy(q.state_dict()) for q in quantizers(prepared)]
    prepared(100 * torch.randn(4, 1, 8, 8))
    for old, quantizer in zip(before, quantizers(prepared), strict=True):
        assert all(torch.equal(old[name], tensor) for name, tensor in quantizer.state_dict().items())


def test_quantisers_stand_at_the_input_after_chains_after_additions_and_before_the_head(prepared):
    assert names_of_quantizers(prepared) == ["x", "relu", "relu_1", "bn2", "relu_2", "adaptive_avg_pool2d"]


@pytest.mark.parametrize(
    # input + chains + additions + pooled features
    ("backbone", "expected"),
    [(resnet18, 1 + 20 + 8 + 1), (resnet20, 1 + 19 + 9 + 1), (vgg16_bn, 1 + 13 + 1)],
)
def test_the_number_of_quantisers_follows_from_the_placement(backbone, expected):
    assert len(quantizers(placement.prepare(backbone.build(num_classes=10, in_channels=3)))) == expected


def test_batch_norm_that_follows_an_addition_is_quantised_after_its_relu():
    class PreActivation(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.conv2 = nn.Conv2d(2, 4, 1), nn.Conv2d(4, 4, 1)
            self.bn, self.conv3 = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)

        def forward(self, x):
            first = self.conv1(x)
            total = first + self.conv2(first)
            return total + self.conv3(F.relu(self.bn(total)))

    assert names_of_quantizers(placement.prepare(PreActivation())) == [
        *("x", "conv1", "conv2", "add", "relu", "conv3"),
    ]


def test_parameters_keep_their_names_and_the_model_is_not_changed():
    model = tiny.build(num_classes=10, in_channels=1)
    before = set(model.state_dict())
    prepared = placement.prepare(model)
    assert {name for name, _ in prepared.named_parameters()} == {name for name, _ in model.named_parameters()}
    assert set(model.state_dict()) == before < set(prepared.state_dict())
    assert not fake_quant.is_prepared(model)
    assert fake_quant.is_prepared(prepared)
    assert fake_quant.is_prepared(nn.Sequential(prepared))


def test_a_state_dict_restores_a_newly_prepared_model_bit_for_bit(prepared):
    optimiser = torch.optim.SGD(prepared.parameters(), lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        prepared(torch.randn(8, 1, 8, 8)).square().sum().backward()
        optimiser.step()
    fake_quant.set_observing(prepared, False)
    other = placement.prepare(tiny.build(num_classes=10, in_channels=1))
    other.load_state_dict(prepared.state_dict())
    x = torch.randn(8, 1, 8, 8)
    for mode in (True, False):
        assert torch.equal(other.train(mode)(x), prepared.train(mode)(x))
    other(1000 * x)  # frozen ranges stay frozen
    for mine, theirs in zip(other.state_dict().values(), prepared.state_dict().values(), strict=True):
        assert mine.dtype == theirs.dtype
    assert all(torch.equal(a.scale, b.scale) for a, b in zip(quantizers(other), quantizers(prepared), strict=True))


def test_a_deep_copy_is_independent(prepared):
    x = torch.randn(4, 1, 8, 8)
    prepared(x)
    twin = copy.deepcopy(prepared)
    assert torch.equal(twin.eval()(x), copy.deepcopy(prepared).eval()(x))
    twin.train()(1000 * x)
    assert quantizers(twin)[0].scale != quantizers(prepared)[0].scale


def test_quantisers_compute_in_float32_under_autocast(prepared):
    x = torch.randn(4, 1, 8, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prepared(x).float().sum().backward()
        quantizer = quantizers(prepared)[0]
        assert quantizer(x.bfloat16()).dtype == torch.bfloat16
    assert all(q.scale.dtype == torch.float32 for q in quantizers(prepared))


def test_training_lowers_the_loss():
    torch.manual_seed(0)
    model = placement.prepare(tiny.build(num_classes=2, in_channels=1))
    x = torch.randn(64, 1, 8, 8)
    y = (x.mean((1, 2, 3)) > 0).long()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_layer_that_is_called_twice_is_refused_by_name():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    with pytest.raises(StageError, match=r"'layer'.*more than once"):
        placement.prepare(Twice())


def test_a_relu_module_may_be_called_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()

        def forward(self, x):
            return self.relu(self.second(self.relu(self.first(x))))

    assert placement.prepare(Twice())(torch.randn(2, 4)).shape == (2, 4)


def test_a_model_that_depends_on_values_is_refused():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(StageError, match="cannot be traced"):
        placement.prepare(Branching())


def test_preparing_twice_is_refused(prepared):
    with pytest.raises(StageError, match="already"):
        placement.prepare(prepared)


@pytest.mark.parametrize("bits", [1, 9])
def test_a_weight_grid_outside_its_range_is_refused(bits):
    with pytest.raises(ValueError, match=r"2\.\.8"):
        placement.prepare(tiny.build(num_classes=10, in_channels=1), placement.Scheme(weight_bits=bits))

import pytest
import torch
from torch import nn

from pipeline.backbones import tiny
from pipeline.engine import fake_quant, lowering
from pipeline.stages.quantize import Quantize

MEAN, STD = (0.5,), (0.25,)


def images(count):
    return torch.randint(0, 256, (count, 1, 8, 8), dtype=torch.uint8)


def seen(x):
    return (x / 255 - MEAN[0]) / STD[0]


def calibrated(**options):
    torch.manual_seed(0)
    model = Quantize(**options).prepare(tiny.build(num_classes=10, in_channels=1)).train()
    for _ in range(4):
        model(seen(images(64)))
    return model.eval()


def layers(model):
    found = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(found) == 4
    return found


def integer_codes(model):
    return lowering.integer_weights(lowering.lower(model, mean=MEAN, std=STD))


@pytest.mark.parametrize("bits", range(2, 9))
def test_every_width_fills_its_grid_and_lowers_to_int8(bits):
    codes = integer_codes(calibrated(weight_bits=bits))
    assert len(codes) == 4
    for tensor in codes.values():
        assert tensor.dtype == torch.int8
        assert tensor.abs().max() == 2 ** (bits - 1) - 1


def test_a_reduced_range_keeps_two_products_within_sixteen_bits():
    codes = integer_codes(calibrated(reduce_range=True))
    largest = max(int(tensor.abs().max()) for tensor in codes.values())
    # A processor without VNNI adds two products of a uint8 activation and an int8 weight in int16.
    assert 2 * 255 * largest <= 2**15 - 1
    full = max(int(tensor.abs().max()) for tensor in integer_codes(calibrated()).values())
    assert 2 * 255 * full > 2**15 - 1


def test_the_first_and_the_last_layer_may_stay_on_eight_bits():
    first, *middle, last = layers(calibrated(weight_bits=3, first_last="8-bit"))
    assert [layer.weight_bits for layer in (first, *middle, last)] == [8, 3, 3, 8]
    first, *middle, last = layers(calibrated(weight_bits=3, first_last="8-bit", reduce_range=True))
    assert [layer.weight_bits for layer in (first, *middle, last)] == [7, 3, 3, 7]


def test_the_first_and_the_last_layer_may_stay_in_float():
    model = calibrated(first_last="float")
    first, *middle, last = layers(model)
    assert (type(first), type(last)) == (nn.Conv2d, nn.Linear)
    assert all(isinstance(layer, fake_quant.FakeQuantConv2d) for layer in middle)
    assert len(integer_codes(model)) == 2


@pytest.mark.parametrize("observer", ["min-max", "percentile", "mse"])
def test_calibration_alone_gives_a_network_that_answers_as_before(observer):
    torch.manual_seed(0)
    plain = tiny.build(num_classes=10, in_channels=1)
    x = seen(images(256))
    plain.train()(x)
    prepared = Quantize(observer=observer).prepare(plain.eval())
    for module in prepared.train().modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    for part in x.split(64):
        prepared(part)
    with torch.no_grad():
        expected, found = plain(x), prepared.eval()(x)
    assert (found - expected).abs().mean() < 0.05 * expected.std()


@torch.no_grad()
def test_learned_steps_lower_to_what_was_trained():
    model = calibrated(learned_step=True, weight_bits=4)
    steps = {name: value for name, value in model.named_parameters() if name.endswith(("weight_step", ".scale"))}
    assert len(steps) == 4 + 6
    torch.manual_seed(1)
    for value in steps.values():
        value.mul_(1 + 0.2 * torch.rand_like(value)).mul_(-1)  # the sign of a step means nothing
    lowered = lowering.lower(model, mean=MEAN, std=STD)
    x = images(500)
    expected, found = model(seen(x)), lowered(x)
    assert (found - expected).abs().max() < 0.02 * expected.abs().max()
    for name, codes in lowering.integer_weights(lowered).items():
        layer = model.get_submodule(name)
        step = layer.weight_step.abs().view(-1, *[1] * (layer.weight.dim() - 1))
        written_out = (layer.weight / step).round().clamp(-7, 7)
        assert torch.equal(codes.abs().float(), written_out.abs())


def test_learned_steps_are_trained_with_the_weights():
    model = calibrated(learned_step=True).train()
    before = {name: value.clone() for name, value in model.named_parameters()}
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    nn.functional.cross_entropy(model(seen(images(64))), torch.arange(64) % 10).backward()
    optimiser.step()
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, before[name])]
    assert sum(name.endswith("weight_step") for name in moved) == 4
    assert sum(name.endswith(".scale") for name in moved) == 6

import math

import pytest
import torch
from torch import nn

from pipeline.backbones import tiny
from pipeline.engine import optimizers, placement
from pipeline.sections import Training


def rate(progress, **changes):
    return optimizers.rate_at(progress, peak=0.1, settings=Training(**{"warmup": 0.1} | changes))


def test_the_cosine_rises_in_a_straight_line_and_falls_along_half_a_cosine():
    assert rate(0.0) == 0.0
    assert rate(0.05) == pytest.approx(0.05)
    assert rate(0.1) == pytest.approx(0.1)
    assert rate(0.325) == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert rate(0.55) == pytest.approx(0.05)
    assert rate(1.0) == pytest.approx(0.0)
    assert rate(0.0, warmup=0.0) == 0.1


def test_the_constant_rises_and_stays():
    assert rate(0.05, schedule="constant") == pytest.approx(0.05)
    assert rate(0.1, schedule="constant") == rate(0.9, schedule="constant") == 0.1


def test_multi_step_falls_by_gamma_at_each_milestone_in_whatever_order_they_stand():
    def at(progress):
        return rate(progress, schedule="multi-step", milestones=(0.75, 0.5), gamma=0.2)

    assert at(0.05) == pytest.approx(0.05)
    assert at(0.499) == 0.1
    assert at(0.5) == pytest.approx(0.02)
    assert at(0.749) == pytest.approx(0.02)
    assert at(0.75) == at(1.0) == pytest.approx(0.004)


def test_one_cycle_is_that_of_torch():
    steps = 101
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch counts so that the rise ends on step pct_start * steps - 1, here 30 of 0 to 100.
    reference = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, total_steps=steps, pct_start=31 / steps, cycle_momentum=False
    )
    for step in range(steps):
        expected = optimizer.param_groups[0]["lr"]
        assert rate(step / (steps - 1), schedule="one-cycle") == pytest.approx(expected), step
        optimizer.step()
        if step < steps - 1:
            reference.step()


@pytest.mark.parametrize("learned", [False, True])
def test_only_parameters_of_two_dimensions_or_more_decay(learned):
    model = placement.prepare(tiny.build(num_classes=4, in_channels=3), placement.Scheme(learned_step=learned))
    decaying, others = optimizers.decay_groups(model, 0.01)
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.01, 0.0)
    weights = {layer.weight for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    assert set(decaying["params"]) == weights
    assert set(others["params"]) == set(model.parameters()) - weights
    steps = {parameter for name, parameter in model.named_parameters() if name.endswith(("weight_step", ".scale"))}
    assert bool(steps) == learned
    assert steps <= set(others["params"])


def one_parameter(value):
    model = nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(value)
    return model


def test_sgd_is_nesterovs_with_the_decay_in_the_gradient():
    rate, momentum, decay = 0.1, 0.9, 0.01
    model = one_parameter(2.0)
    optimizer = optimizers.build(model, Training(momentum=momentum, weight_decay=decay))
    optimizers.set_rate(optimizer, rate)
    weight, velocity = 2.0, 0.0
    for gradient in (0.5, -0.3):
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        gradient += decay * weight
        velocity = momentum * velocity + gradient
        weight -= rate * (gradient + momentum * velocity)
        assert model.weight.item() == pytest.approx(weight, rel=1e-6)


def test_adamw_decays_apart_from_the_gradient():
    rate, first, second, decay = 0.1, 0.8, 0.999, 0.01
    model = one_parameter(2.0)
    optimizer = optimizers.build(model, Training(optimizer="adamw", momentum=first, weight_decay=decay))
    optimizers.set_rate(optimizer, rate)
    weight, mean, square = 2.0, 0.0, 0.0
    for step, gradient in enumerate((0.5, -0.3), start=1):
        model.weight.grad = torch.full((1, 1), gradient)
        optimizer.step()
        mean = first * mean + (1 - first) * gradient
        square = second * square + (1 - second) * gradient**2
        corrected = (mean / (1 - first**step)) / (math.sqrt(square / (1 - second**step)) + 1e-8)
        weight = weight - rate * decay * weight - rate * corrected
        assert model.weight.item() == pytest.approx(weight, rel=1e-5)

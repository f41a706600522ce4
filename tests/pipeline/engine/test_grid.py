import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline.engine import fake_quant, grid

layouts = {
    "row": (1000,),
    "matrix": (33, 17),
    "image": (3, 5, 7, 9),
    "longer than a chunk": (2, 3, 300, 301),
}


def scalar(value):
    return torch.tensor(float(value))


@pytest.mark.parametrize("shape", layouts.values(), ids=layouts)
@pytest.mark.parametrize("channels_last", [False, True])
def test_values_are_clipped_and_rounded_as_torchs_own_operator_does(shape, channels_last):
    x = torch.randn(shape) * 3
    if channels_last and len(shape) == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    step, zero = scalar(0.02), 80
    found = grid.round_to_grid(x, step, -zero * step, (255 - zero) * step)
    assert torch.equal(found, (x.clamp(-zero * step, (255 - zero) * step) / step).round() * step)
    # torch multiplies by the inverse of the step, which may turn a tie.
    expected = torch.fake_quantize_per_tensor_affine(x, 0.02, zero, 0, 255)
    assert ((found - expected).abs() > 1e-6).float().mean() < 1e-4
    assert found.stride() == x.stride()


def test_a_view_with_gaps_and_turned_axes_is_rounded_too():
    x = torch.randn(6, 8, 10)[::2, :, 1::3].transpose(1, 2).requires_grad_()
    found = grid.round_to_grid(x, scalar(0.5), scalar(-1), scalar(1))
    assert torch.equal(found, (x.clamp(-1, 1) / 0.5).round() * 0.5)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert torch.equal(gradient, (x.abs() <= 1).float())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_gradient_passes_where_nothing_is_clipped(dtype):
    x = torch.randn(4, 3, 200, 200, dtype=dtype).requires_grad_()
    found = grid.round_to_grid(x, scalar(0.01), scalar(-1), scalar(1.5))
    weight = torch.randn_like(found)
    (gradient,) = torch.autograd.grad((found * weight).sum(), x)
    assert found.dtype == gradient.dtype == dtype
    assert torch.equal(gradient, torch.where((x >= -1) & (x <= 1.5), weight, 0))


def test_the_whole_tensor_path_of_other_devices_gives_the_same(monkeypatch):
    x = torch.randn(2, 3, 50, 50).requires_grad_()
    chunked = grid.round_to_grid(x, scalar(0.03), scalar(-0.9), scalar(1.2))
    (chunked_gradient,) = torch.autograd.grad(chunked.square().sum(), x)
    monkeypatch.setattr(grid, "_in_eager_cpu", lambda x: False)
    whole = grid.round_to_grid(x, scalar(0.03), scalar(-0.9), scalar(1.2))
    (whole_gradient,) = torch.autograd.grad(whole.square().sum(), x)
    assert torch.equal(whole, chunked)
    assert torch.equal(whole_gradient, chunked_gradient)


def test_a_quantiser_that_takes_over_relu_is_relu_and_then_a_quantiser_gradient_at_zero_included():
    x = torch.cat([torch.randn(1000), torch.zeros(5), torch.tensor([1e-30, -1e-30, 50.0])])
    one, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    together, apart = fake_quant.FakeQuantizer(rectify=True), fake_quant.FakeQuantizer()
    for quantizer in (together, apart):
        quantizer(x.relu())
        quantizer.set_observing(False)
    weight = torch.randn_like(x)
    found, expected = together(one), apart(F.relu(other))
    (found * weight).sum().backward()
    (expected * weight).sum().backward()
    assert torch.equal(found, expected)
    assert torch.equal(one.grad, other.grad)


@pytest.mark.parametrize("shape", [(4, 3, 3, 3), (6, 10)])
def test_learned_steps_have_the_gradient_of_the_paper(shape):
    """Esser et al. 2020, equation 3, written as plain operations that autograd differentiates."""
    x = torch.randn(shape, dtype=torch.float32)
    low, high = -7.0, 7.0
    for step in (scalar(0.11), torch.rand(shape[0]) * 0.2 + 0.05):
        mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
        my_step, their_step = step.clone().requires_grad_(), step.clone().requires_grad_()
        weight = torch.randn(shape)
        found = grid.round_learned(mine, my_step, scalar(low), scalar(high))
        (found * weight).sum().backward()

        count = x.numel() / step.numel()
        factor = 1 / (count * high) ** 0.5
        scaled_step = their_step * factor + (their_step - their_step * factor).detach()
        rows = scaled_step.view(-1, *[1] * (len(shape) - 1)) if step.dim() else scaled_step
        clipped = (theirs / rows).clamp(low, high)
        rounded = clipped + (clipped.round() - clipped).detach()
        expected = rounded * rows
        (expected * weight).sum().backward()

        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(mine.grad, theirs.grad)
        torch.testing.assert_close(my_step.grad, their_step.grad, rtol=1e-4, atol=1e-6)


def test_a_learned_quantiser_takes_its_first_range_from_the_observer_and_then_follows_the_gradient():
    quantizer = fake_quant.LearnedFakeQuantizer()
    x = torch.randn(500)
    quantizer(x)
    first = quantizer.scale.item()
    assert first == pytest.approx(((x.max() - x.min()) / 255).item(), rel=1e-5)
    quantizer.set_observing(True)
    quantizer(100 * x).sum().backward()
    assert quantizer.scale.item() == first
    torch.optim.SGD(quantizer.parameters(), lr=1e-4).step()
    assert quantizer.scale.item() != first
    with torch.no_grad():
        quantizer.scale.fill_(-0.5)
    assert quantizer.step().item() == 0.5


def test_learned_steps_learn_to_fit_a_coarse_grid_better_than_the_largest_weight_does():
    torch.manual_seed(0)
    weight = torch.randn(8, 512)
    layer = fake_quant.rounding(nn.Linear(512, 8), bits=3, learned_step=True)
    layer.weight.data.copy_(weight)
    start = grid.round_within(weight, fake_quant.weight_scale(weight, 3))
    optimiser = torch.optim.Adam([layer.weight_step], lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        (layer.rounded_weight() - weight).square().sum().backward()
        optimiser.step()
    assert (layer.rounded_weight() - weight).square().sum() < 0.6 * (start - weight).square().sum()
    assert layer.codes().abs().max() == 3

import numpy as np
import pytest
import torch

from pipeline.engine import fake_quant, observers


def test_min_max_gives_the_extremes():
    x = torch.randn(3, 4, 5)
    low, high = observers.min_max(x)
    assert (low, high) == (x.min(), x.max())


def test_percentile_leaves_out_one_value_in_ten_thousand_at_either_end():
    x = torch.randperm(50_000).float() - 20_000
    x[:2] = torch.tensor([1e9, -1e9])
    low, high = observers.percentile(x)
    assert low.item() == pytest.approx(np.percentile(x.numpy(), 0.01), abs=2)
    assert high.item() == pytest.approx(np.percentile(x.numpy(), 99.99), abs=2)


def test_mse_picks_the_part_of_the_extremes_that_rounds_best():
    torch.manual_seed(0)
    x = torch.randn(16_000) ** 3

    def error(low, high):
        step = (high - low) / 255
        return ((x.clamp(low, high) / step).round() * step - x).square().mean().item()

    shares = [count / observers.CANDIDATES for count in range(1, observers.CANDIDATES + 1)]
    best = min(error(x.min() * share, x.max() * share) for share in shares)
    low, high = observers.mse(x)
    assert error(low, high) == pytest.approx(best, rel=1e-4)
    assert error(low, high) < error(x.min(), x.max())


@pytest.mark.parametrize("name", list(observers.OBSERVERS))
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_observer_sees_all_channels_of_a_large_batch(name, channels_last):
    x = torch.rand(16, 64, 32, 32)
    x[:, 17] += 5
    if channels_last:
        x = x.contiguous(memory_format=torch.channels_last)
    _, high = observers.OBSERVERS[name](x)
    assert 5 < high <= 6


@pytest.mark.parametrize("name", list(observers.OBSERVERS))
def test_a_quantiser_averages_what_its_observer_says(name):
    batches = [torch.randn(500) * scale for scale in (1, 2, 3)]
    quantizer = fake_quant.FakeQuantizer(observer=name, rectify=True)
    for batch in batches:
        quantizer(batch)
    expected = np.mean([observers.OBSERVERS[name](batch.relu())[1].item() for batch in batches])
    assert quantizer.range_max.item() == pytest.approx(expected, rel=1e-5)
    assert quantizer.zero_point == 0


@pytest.mark.parametrize("name", list(observers.OBSERVERS))
def test_constant_and_tiny_batches_give_a_usable_range(name):
    for x in (torch.zeros(10), torch.tensor([3.0]), torch.tensor([-2.0, -2.0])):
        quantizer = fake_quant.FakeQuantizer(observer=name)
        assert quantizer(x).isfinite().all()
        assert quantizer.scale > 0

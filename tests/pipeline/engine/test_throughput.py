"""What a layer has to do for one image."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline.backbones import tiny
from pipeline.engine import placement, throughput
from pipeline.report import LayerWork


def test_a_convolution_uses_each_weight_once_for_each_place_of_its_output():
    model = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), nn.Flatten(), nn.Linear(6 * 4 * 4, 10))
    convolution = LayerWork(num_weights=6 * 2 * 9, uses=16)
    assert throughput.layers(model, torch.zeros(5, 4, 8, 8)) == (convolution, LayerWork(num_weights=960, uses=1))


def test_together_layers_do_the_multiply_adds_that_torch_counts_and_the_network_stays_as_it_is():
    model = placement.prepare(tiny.build(num_classes=10, in_channels=3), placement.Scheme()).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.zeros(1, 3, 32, 32)
    found = throughput.layers(model, images)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(images)
    assert sum(layer.num_weights * layer.uses for layer in found) == counter.get_total_flops() // 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())

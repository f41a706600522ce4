"""What a person is told about a backbone of their own."""

import inspect
import sys

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pipeline import check
from pipeline.backbones import tiny
from pipeline.errors import StageError


def examined(model, **changes):
    """Check a network on images of 3x8x8; gives the findings by their names."""
    report = check.check(model, **({"num_classes": 10, "in_channels": 3, "side": 8} | changes))
    assert all(finding.text.endswith(".") for finding in report.findings)
    return {finding.check: finding for finding in report.findings}


def test_a_backbone_of_ours_passes_every_check_and_is_not_changed():
    torch.manual_seed(0)
    model = tiny.build(num_classes=10, in_channels=3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    report = check.check(model, num_classes=10, in_channels=3, side=8)
    assert report.passed
    assert {finding.outcome for finding in report.findings} == {"pass"}
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    found = {finding.check: finding.text for finding in report.findings}
    assert "4 of 4 convolutions and linear layers" in found["quantize"]
    assert "3 QLinearConv" in found["operators"]
    assert found["operators"].endswith("and no float one.")
    assert "prune finds 3 layers" in found["prune"]


class Network(nn.Module):
    """A convolution and a linear layer, to be spoilt by each test."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 8, 3), nn.Linear(8, 10)

    def forward(self, x):
        return self.head(self.between(self.conv(x)).mean((2, 3)))

    def between(self, x):
        return F.relu(x)


class Branching(Network):
    def between(self, x):
        if x.sum() > 0:
            return x
        return -x


class Repeating(Network):
    def forward(self, x):
        return self.head(self.conv(x).mean((2, 3))) + self.head(F.relu(self.conv(x)).mean((2, 3)))


class Unused(Network):
    def __init__(self):
        super().__init__()
        self.spare = nn.Linear(2, 2)


class Noisy(Network):
    def between(self, x):
        return x + torch.rand_like(x)


class Coupled(Network):
    def between(self, x):
        return x - x.mean(0)


class Auxiliary(Network):
    def forward(self, x):
        logits = super().forward(x)
        return (logits, logits) if self.training else logits


class Reflecting(Network):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, padding_mode="reflect")

    def between(self, x):
        return F.hardswish(x)


class Sorting(Network):
    def between(self, x):
        return torch.linalg.eigvals(x).real[:, :, :, None]


def line_of(function, text):
    lines, first = inspect.getsourcelines(function)
    return first + next(index for index, line in enumerate(lines) if text in line)


@pytest.mark.parametrize(
    ("network", "name", "outcome", "words"),
    [
        (Branching, "trace", "fail", "never by the values of tensors"),
        (Repeating, "trace", "fail", "'conv' has parameters and is called more than once"),
        (Unused, "gradients", "fail", "no gradient reaches spare.weight, spare.bias"),
        (Noisy, "evaluation", "fail", "the same images give different logits"),
        (Coupled, "evaluation", "fail", "depend on the other images"),
        (Auxiliary, "shapes", "fail", "in training mode it gives a tuple; it must give float logits (16, 10)"),
        (Reflecting, "quantize", "note", "1 of 2 convolutions and linear layers become integer"),
        (Reflecting, "quantize", "note", "1 x Conv2d with reflect padding (conv): only padding with zeros"),
        (Reflecting, "quantize", "note", "1 x hardswish (hardswish): it has no INT8 form"),
        (Reflecting, "operators", "note", "float ones"),
        (Sorting, "export", "fail", "cannot be written as ONNX"),
    ],
)
def test_what_breaks_the_contract_is_said_in_plain_words(network, name, outcome, words):
    finding = examined(network())[name]
    assert finding.outcome == outcome
    assert words in finding.text


def test_an_error_inside_the_network_names_the_line_of_its_own_code():
    class Broken(Network):
        def between(self, x):
            return x.view(3, 1)

    findings = examined(Broken())
    assert list(findings) == ["shapes"], "nothing else can be tried"
    assert f"{__file__}, line {line_of(Broken.between, 'view')} (return x.view(3, 1))." in findings["shapes"].text


def test_a_branch_on_values_names_its_line():
    text = examined(Branching())["trace"].text
    assert f"{__file__}, line {line_of(Branching.between, 'if ')}" in text


def test_a_wrong_number_of_classes_or_channels_is_told():
    assert "(16, 10)" in examined(Network(), num_classes=7)["shapes"].text
    assert "channels" in examined(Network(), in_channels=1)["shapes"].text


def test_checking_goes_on_after_what_the_rest_does_not_need():
    assert list(examined(Unused()))[-1] == "operators"
    assert list(examined(Branching()))[-1] == "trace"


def test_a_report_is_a_record_that_can_be_written_and_read():
    report = check.check(Branching(), num_classes=10, in_channels=3, side=8)
    assert not report.passed
    assert msgspec.json.decode(msgspec.json.encode(report), type=check.Report) == report


@pytest.fixture
def outside(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "my_nets", raising=False)
    return tmp_path / "my_nets.py"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def build(*, num_classes, in_channels):\n    return 1 / 0\n", r"ZeroDivisionError.*my_nets\.py, line 2"),
        ("def build(*, num_classes, in_channels):\n    return 3\n", "gave an int; it must return a torch.nn.Module"),
        ("def build(classes):\n    return 3\n", "TypeError.*num_classes"),
        ("import no_such_package\n", r"No module named 'no_such_package'; in .*my_nets\.py, line 1"),
        ("def build(:\n", "SyntaxError"),
    ],
)
def test_a_backbone_that_cannot_be_built_is_told_with_the_place(outside, text, message):
    outside.write_text(text)
    with pytest.raises(StageError, match=message):
        check.build("my_nets:build", num_classes=10, in_channels=3)

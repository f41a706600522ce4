"""Whether a person's own backbone keeps the contract: what works, what stays in float, what fails and where.

Everything is tried on copies with random images; nothing is trained. What goes wrong inside the network becomes a
sentence with the file and the line of the person's code.
"""

import copy
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from pipeline import catalog
from pipeline.errors import PipelineError, StageError

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

Outcome = Literal["pass", "note", "fail"]
"""``note``: legal, and worth knowing."""

MEAN, STD = 0.5, 0.25
"""Of each channel of the random images, scaled to [0, 1]."""
WEIGHT_BITS = 7
"""Whose products every processor adds exactly: the backbone is tried, not the processor."""


class Finding(Struct, frozen=True, kw_only=True):
    """What one check found."""

    check: str
    """What was tried, in two or three words."""
    outcome: Outcome
    text: str
    """One or two sentences for a person."""


class Report(Struct, frozen=True, kw_only=True):
    """What all checks found, in order; it ends at a failure without which the rest cannot be tried."""

    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Nothing failed."""
        return all(finding.outcome != "fail" for finding in self.findings)


@dataclass
class Subject:
    """A built network, and what the checks before have made of it."""

    model: "nn.Module"
    """As built; from the first check on a calm copy, in evaluation mode."""
    num_classes: int
    images: "Tensor"
    """uint8 `(N, C, H, W)`."""
    folder: Path
    """Place for the exported file."""
    prepared: "fx.GraphModule | Any" = field(default=None)
    """With fake quantisers, calibrated, in evaluation mode; None before it is made."""

    @property
    def x(self) -> "Tensor":
        """The images as the network sees them, float32."""
        return (self.images / 255 - MEAN) / STD

    @property
    def path(self) -> Path:
        """The exported file."""
        return self.folder / "model.onnx"


def check(model: "nn.Module", *, num_classes: int, in_channels: int, side: int) -> Report:
    """Try everything that a run does with a backbone.

    Args:
        model: the network as built; it is not changed.
        num_classes: that it was built for, at least 2.
        in_channels: that it was built for.
        side: of the images, in pixels.
    """
    return Report(findings=tuple(findings(model, num_classes=num_classes, in_channels=in_channels, side=side)))


def findings(model: "nn.Module", *, num_classes: int, in_channels: int, side: int) -> Iterator[Finding]:
    """Yield what each check of ``check`` finds as soon as it is known."""
    with tempfile.TemporaryDirectory() as folder:
        subject = Subject(model, num_classes, _images(in_channels, side), Path(folder))
        for name, function, is_needed in _CHECKS:
            try:
                outcome, text = function(subject)
            except Exception as error:  # a person's network runs here
                outcome, text = "fail", sentence(error)
            yield Finding(check=name, outcome=outcome, text=text)
            if outcome == "fail" and is_needed:
                return


def build(name: str, *, num_classes: int, in_channels: int) -> "nn.Module":
    """Build a backbone of the catalogue or from outside.

    Raises:
        PipelineError: it cannot be imported or built, or is no network; says where in the person's code.
    """
    from torch import nn

    try:
        found = catalog.load("backbones", name)
        model: object = getattr(found, "build", found)(num_classes=num_classes, in_channels=in_channels)
    except Exception as error:
        raise StageError(sentence(error)) from error
    if not isinstance(model, nn.Module):
        raise StageError(f"{name} gave {_kind(model)}; it must return a torch.nn.Module.")
    return model


def sentence(error: Exception) -> str:
    """Say what went wrong, and in which line of the person's code where there is one."""
    cause = error.__cause__ if isinstance(error, PipelineError) and isinstance(error.__cause__, Exception) else error
    text = str(error) if isinstance(error, PipelineError) else f"{type(error).__name__}: {error}"
    text = text.strip().partition("\n")[0].rstrip(".")
    if isinstance(cause, SyntaxError):
        return f"{text}."
    import torch

    theirs = (str(Path(__file__).parent), str(Path(torch.__file__).parent), "<")
    for frame in reversed(traceback.extract_tb(cause.__traceback__)):
        if not frame.filename.startswith(theirs) and "importlib" not in frame.filename:
            return f"{text}; in {frame.filename}, line {frame.lineno} ({frame.line})."
    return f"{text}."


def _gives_logits(subject: Subject) -> tuple[Outcome, str]:
    import torch

    subject.model = _calm(subject.model)
    expected = (len(subject.images), subject.num_classes)
    for mode in (True, False):
        with torch.no_grad():
            found = subject.model.train(mode)(subject.x)
        shape = tuple(found.shape) if hasattr(found, "shape") else _kind(found)
        if shape != expected or not found.is_floating_point():
            when = "in training mode" if mode else "in evaluation mode"
            return "fail", f"{when} it gives {shape}; it must give float logits {expected}, (images, classes)."
    size = "x".join(str(length) for length in subject.images.shape[1:])
    return "pass", f"images of {size} give logits for {subject.num_classes} classes."


def _trains(subject: Subject) -> tuple[Outcome, str]:
    import torch
    import torch.nn.functional as F

    model = copy.deepcopy(subject.model).train().requires_grad_()
    labels = torch.arange(len(subject.images)) % subject.num_classes
    torch.autograd.backward([F.cross_entropy(model(subject.x), labels)])
    parameters = dict(model.named_parameters())
    if not parameters:
        return "fail", "it has no parameter that could be trained."
    unreached = [name for name, tensor in parameters.items() if tensor.grad is None]
    wild = [name for name, tensor in parameters.items() if tensor.grad is not None and not tensor.grad.isfinite().all()]
    if unreached:
        return "fail", f"no gradient reaches {_listed(unreached)}: use them in forward, or leave them out."
    if wild:
        return "fail", f"the gradient of {_listed(wild)} holds infinities or NaN."
    return "pass", f"gradients reach all {sum(tensor.numel() for tensor in parameters.values()):,} parameters."


def _is_steady(subject: Subject) -> tuple[Outcome, str]:
    import torch

    model, x = subject.model, subject.x
    with torch.no_grad():
        first, second, alone, three = model(x), model(x), model(x[:1]), model(x[:3])
    if not torch.equal(first, second):
        return "fail", "in evaluation mode the same images give different logits: leave nothing random there."
    for part in (alone, three):
        if not torch.allclose(part, first[: len(part)], rtol=1e-3, atol=1e-3 * float(first.abs().max())):
            return "fail", "in evaluation mode the logits of an image depend on the other images of its batch."
    return "pass", "batches of any size give the same logits, again and again."


def _can_be_pruned(subject: Subject) -> tuple[Outcome, str]:
    from torch import nn

    from pipeline.engine import sparsity

    layers = sparsity.prunable(subject.model)
    total = sum(tensor.numel() for tensor in subject.model.parameters())
    held = sum(layer.weight.numel() for layer in layers.values() if isinstance(layer.weight, nn.Parameter))
    if not layers:
        return "note", "prune finds no layer: it zeroes weights of Conv2d and Linear, but the last Linear."
    return "pass", f"prune finds {len(layers)} layers, which hold {held / total:.1%} of the parameters."


def _can_be_traced(subject: Subject) -> tuple[Outcome, str]:
    from pipeline.engine import tracing

    try:
        graph = tracing.trace(copy.deepcopy(subject.model)).graph
    except StageError as error:
        remedy = " Decide by constants or by shapes, never by the values of tensors." if error.__cause__ else ""
        return "fail", f"{sentence(error)}{remedy}"
    return "pass", f"torch.fx sees {sum(node.op.startswith('call') for node in graph.nodes)} operations."


def _can_be_prepared(subject: Subject) -> tuple[Outcome, str]:
    import torch

    from pipeline.engine import placement

    scheme = placement.Scheme(weight_bits=WEIGHT_BITS)
    prepared = placement.prepare(subject.model, scheme).train()
    with torch.no_grad():
        for _ in range(2):
            prepared(subject.x)
        subject.prepared = prepared.eval()
        other = placement.prepare(subject.model, scheme)
        other.load_state_dict(prepared.state_dict())
        same = torch.equal(other.eval()(subject.x), prepared(subject.x))
    if not same:
        return "fail", "a copy with the same state dict gives other logits: keep all state in parameters and buffers."
    return "pass", "fake quantisers stand; its state dict restores the prepared network exactly."


def _can_be_quantised(subject: Subject) -> tuple[Outcome, str]:
    from torch import nn

    from pipeline.engine import placement
    from pipeline.engine.fake_quant import FakeQuantConv2d, FakeQuantLinear

    weighted = (nn.Linear, nn.modules.conv._ConvNd)
    layers = [module for module in subject.prepared.modules() if isinstance(module, weighted)]
    rounded = sum(isinstance(module, FakeQuantConv2d | FakeQuantLinear) for module in layers)
    text = f"{rounded} of {len(layers)} convolutions and linear layers become integer."
    stays = placement.float_operations(subject.prepared)
    names: dict[tuple[str, str], list[str]] = {}
    for operation in stays:
        names.setdefault((operation.what, operation.reason), []).append(operation.name)
    for (what, reason), where in names.items():
        text += f" In float stays {len(where)} x {what} ({_listed(where)}): {reason}."
    if not rounded:
        return "fail", text
    return "note" if stays else "pass", text


def _can_be_exported(subject: Subject) -> tuple[Outcome, str]:
    from pipeline.engine import lowering, onnx_graph, program

    channels = subject.images.shape[1]
    lowered = lowering.lower(subject.prepared, mean=[MEAN] * channels, std=[STD] * channels)
    onnx_graph.write(program.export(lowered, subject.images[:2]), subject.path, metadata={})
    return "pass", f"it lowers to integers and becomes an ONNX file of {subject.path.stat().st_size:,} bytes."


def _gives_the_same_answers(subject: Subject) -> tuple[Outcome, str]:
    import torch

    predict = catalog.load("runtimes", "onnxruntime").load(subject.path, threads=1).predict
    with torch.no_grad():
        trained = subject.prepared(subject.x)
        unrounded = subject.model(subject.x)
    deployed = torch.from_numpy(predict(subject.images.numpy()))
    difference, rounding = ((other - trained).square().mean().sqrt() for other in (deployed, unrounded))
    spread = trained.std(0).mean().clamp(min=1e-12)
    same = int((deployed.argmax(1) == trained.argmax(1)).sum())
    text = (
        f"ONNX Runtime answers {same} of {len(trained)} random images as the fake-quantised network does; "
        f"its logits differ by {difference / spread:.1%} of their spread, where quantising moves them by "
        f"{rounding / spread:.1%}."
    )
    return "pass" if difference <= max(1.5 * rounding, 0.05 * spread) else "fail", text


def _runs_in_integers(subject: Subject) -> tuple[Outcome, str]:
    from pipeline.runtimes import onnxruntime

    integers, floats = onnxruntime.arithmetic(onnxruntime.operators(subject.path))
    text = f"the graph that ONNX Runtime executes has {integers.total()} integer operators ({_counted(integers)})"
    if floats:
        return "note", f"{text} and {floats.total()} float ones ({_counted(floats)})."
    return "pass", f"{text} and no float one."


_CHECKS: Sequence[tuple[str, Callable[[Subject], tuple[Outcome, str]], bool]] = (
    ("shapes", _gives_logits, True),
    ("gradients", _trains, False),
    ("evaluation", _is_steady, False),
    ("prune", _can_be_pruned, False),
    ("trace", _can_be_traced, True),
    ("state", _can_be_prepared, True),
    ("quantize", _can_be_quantised, True),
    ("export", _can_be_exported, True),
    ("answers", _gives_the_same_answers, False),
    ("operators", _runs_in_integers, False),
)
"""Name, check, and whether those that follow need it."""


def _calm(model: "nn.Module") -> "nn.Module":
    """Return a copy whose batch normalisations lift values above zero and take the statistics of each batch whole.

    A network of random weights magnifies each rounding from layer to layer until nothing can be compared; one whose
    ReLUs are mostly open does not, as little as a trained one.
    """
    from torch import nn

    calm = copy.deepcopy(model)
    for module in calm.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = None
            if module.bias is not None:
                nn.init.constant_(module.bias, 1.5)
    return calm


def _images(channels: int, side: int) -> "Tensor":
    """Make coarse random patterns: as in photographs, neighbouring pixels are alike."""
    import torch
    import torch.nn.functional as F

    coarse = torch.rand(16, channels, 4, 4, generator=torch.Generator().manual_seed(0))
    return (255 * F.interpolate(coarse, size=(side, side), mode="bilinear")).to(torch.uint8)


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeiou" else f"a {name}"


def _listed(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _counted(counts: "Counter[str]") -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())

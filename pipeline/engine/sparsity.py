"""Pruning of single weights: which may be zero, choosing them by importance, keeping them zero.

A pruned module carries a bool buffer `weight_mask` beside its `weight`; False means "stays zero". Both names, and
the module's type, survive preparing for quantisation, so pruning works before and after it. Masks only ever lose
entries: no function here revives a weight. Equal importances go in order of module name and position, so the same
weights give the same masks.
"""

import difflib
import fnmatch
import math
from collections.abc import Sequence
from typing import Literal, cast

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.errors import StageError

MASK = "weight_mask"

_LAST = torch.finfo(torch.float32).max
"""Added to the importance of a masked weight: it is taken after all others, so it is out of the competition."""
_FIRST = -_LAST
"""Added to the importance of a masked weight: it is taken before all others, so it counts towards the goal."""

Importance = Literal["magnitude", "gradient"]
"""What a weight is worth: `|weight|`, or `|weight * gradient|` with the gradient that lies in `weight.grad`.

The second is the first-order Taylor term of the change of the loss when the weight becomes zero (Molchanov et al.
2019, https://arxiv.org/abs/1906.10771; squared there, which ranks alike). A weight without a gradient is worth 0.
"""


def prunable(model: nn.Module, skip: Sequence[str] = ()) -> dict[str, nn.Module]:
    """Return the modules whose weights may be pruned, by qualified name, in the model's own order.

    These are all `Conv2d` and `Linear` modules except the last `Linear`: the logits' weights are few, and every
    class hangs on its own row of them. Biases and normalisation parameters are left alone too: they are a
    fraction of a percent of the model, and a zero there would remove a channel rather than a connection.

    Args:
        model: Any network.
        skip: Names, or shell patterns (`layer1.*`), of modules to leave out as well.

    Raises:
        StageError: an entry of `skip` matches none of the modules.
    """
    found: dict[str, nn.Module] = {
        name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)
    }
    linears = [name for name, module in found.items() if isinstance(module, nn.Linear)]
    if linears:
        del found[linears[-1]]
    skipped = {name for pattern in skip for name in _matches(pattern, list(found))}
    return {name: module for name, module in found.items() if name not in skipped}


def _matches(pattern: str, names: list[str]) -> list[str]:
    matches = [name for name in names if fnmatch.fnmatchcase(name, pattern)]
    if not matches:
        near = difflib.get_close_matches(pattern, names, n=3, cutoff=0.0)
        raise StageError(
            f"skip holds {pattern!r}, which matches none of the {len(names)} layers that can be pruned; "
            f"write a layer's name or a shell pattern, the nearest names are {', '.join(near) or 'none'}."
        )
    return matches


def attach_masks(model: nn.Module) -> nn.Module:
    """Give every prunable module without a mask one that keeps all its weights; return the same model."""
    for module in prunable(model).values():
        if _mask(module) is None:
            module.register_buffer(MASK, torch.ones_like(_weight(module), dtype=torch.bool))
    return model


def raise_sparsity(
    model: nn.Module,
    sparsity: float,
    *,
    scope: Literal["global", "layer"] = "global",
    importance: Importance = "magnitude",
    skip: Sequence[str] = (),
    min_density: float = 0.0,
) -> None:
    """Mask the least important weights until `sparsity` of the weights are zero, and set them to zero.

    The count is exact: `round(sparsity * n)` weights are masked, of all modules together with scope "global", of
    each with "layer". Where a module is down to `min_density`, the others give up more in its place; only when all
    of them are is the count missed. Masks that already hold more zeros stay as they are.

    Args:
        model: Masks are attached where they are missing.
        sparsity: Fraction of zeros in [0, 1] among the weights that are not skipped.
        scope: Whether importances compete across the model or only inside their own module.
        importance: What orders the weights.
        skip: Names or shell patterns of modules to leave alone.
        min_density: Fraction of weights in [0, 1] that each module keeps at least, rounded up to whole weights.

    Raises:
        ValueError: a fraction lies outside [0, 1], or `scope` is unknown.
        StageError: an entry of `skip` matches no module.
    """
    for name, fraction in (("sparsity", sparsity), ("min_density", min_density)):
        if not 0.0 <= fraction <= 1.0:
            raise ValueError(f"{name} must lie in [0, 1], found {fraction!r}")
    if scope not in ("global", "layer"):
        raise ValueError(f"scope must be 'global' or 'layer', found {scope!r}")
    modules = _masked_in_order(model, skip)
    for group in [modules] if scope == "global" else [[module] for module in modules]:
        _mask_least(group, sparsity, importance, min_density)
    enforce(model)


def raise_pattern(
    model: nn.Module, zeros: int, group: int, *, importance: Importance = "magnitude", skip: Sequence[str] = ()
) -> None:
    """Mask the least important weights of each group until it holds `zeros` of them, and set them to zero.

    N:M sparsity: a group is `group` consecutive weights of one output channel or unit, whose weights are taken in
    the order `(input channel, row, column)`. Modules whose rows are no multiple of `group` are left alone. A group
    that already holds more zeros stays as it is.

    Args:
        model: Masks are attached where they are missing.
        zeros: Masked weights in a group, 0..group: M - N.
        group: Weights in a group: M.
        importance: What orders the weights.
        skip: Names or shell patterns of modules to leave alone.

    Raises:
        StageError: an entry of `skip` matches no module.
    """
    for module in _masked_in_order(model, skip):
        if row_length(module) % group == 0:
            keys = _keys([module], importance, masked=_FIRST).view(-1, group)
            least = torch.zeros_like(keys, dtype=torch.bool)
            least.scatter_(1, keys.argsort(dim=1, stable=True)[:, :zeros], True)
            _drop(module, least)
    enforce(model)


def row_length(module: nn.Module) -> int:
    """Return the number of weights of one output channel or unit of a prunable module."""
    return _weight(module)[0].numel()


@torch.no_grad()
def enforce(model: nn.Module) -> None:
    """Set masked weights to zero in place; call it after every optimiser step. Does nothing without masks."""
    for module in model.modules():
        mask = _mask(module)
        if mask is not None:
            # Fastest of six ways measured (13 ms for 11.8 M weights on one core; masked_fill_ takes 51 ms).
            _weight(module).mul_(mask)


def cubic(initial: float, final: float, progress: float) -> float:
    """Return the sparsity at `progress` of a gradual schedule: steep at first, flat at the end.

    Zhu and Gupta (https://arxiv.org/abs/1710.01878): `final + (initial - final) * (1 - progress) ** 3`.

    Args:
        initial: Sparsity at progress 0, in [0, 1].
        final: Sparsity at progress 1, in [0, 1].
        progress: Fraction of the schedule that is over; values outside [0, 1] are clipped.
    """
    remaining = 1.0 - min(max(progress, 0.0), 1.0)
    return final + (initial - final) * remaining**3


def sparsity_of(model: nn.Module, skip: Sequence[str] = ()) -> float:
    """Return the fraction of prunable weights that are exactly zero, masked or not; 0.0 if there are none.

    Args:
        model: Any network.
        skip: Names or shell patterns of modules that do not count.

    Raises:
        StageError: an entry of `skip` matches no module.
    """
    weights = [_weight(module) for module in prunable(model, skip).values()]
    total = sum(weight.numel() for weight in weights)
    return sum(_zeros(weight) for weight in weights) / total if total else 0.0


def layer_sparsity(model: nn.Module) -> dict[str, float]:
    """Return the fraction of weights that are exactly zero for every prunable module, by qualified name."""
    weights = {name: _weight(module) for name, module in prunable(model).items()}
    return {name: _zeros(weight) / weight.numel() for name, weight in weights.items()}


def _masked_in_order(model: nn.Module, skip: Sequence[str]) -> list[nn.Module]:
    """Return the modules to prune, with masks, sorted by name: tracing a model may reorder its modules."""
    modules = prunable(model, skip)
    attach_masks(model)
    return [modules[name] for name in sorted(modules)]


@torch.no_grad()
def _mask_least(modules: list[nn.Module], sparsity: float, importance: Importance, min_density: float) -> None:
    """Extend the masks of `modules` so that together they hold `round(sparsity * n)` zeros."""
    kept = [int(torch.count_nonzero(cast("Tensor", _mask(module)))) for module in modules]
    sizes = [_weight(module).numel() for module in modules]
    count = round(sparsity * sum(sizes)) - (sum(sizes) - sum(kept))
    if count <= 0:
        return
    keys = _keys(modules, importance, masked=_LAST)
    if min_density:
        # Rounding first keeps 0.07 * 100 from becoming 8.
        spare = [max(0, k - math.ceil(round(min_density * n, 6))) for k, n in zip(kept, sizes, strict=True)]
        for part, number in zip(keys.split(sizes), spare, strict=True):
            part.masked_fill_(~_least(part, number), torch.iinfo(torch.int32).max)
        count = min(count, sum(spare))
    for module, least in zip(modules, _least(keys, count).split(sizes), strict=True):
        _drop(module, least)


@torch.no_grad()
def _keys(modules: list[nn.Module], importance: Importance, *, masked: float) -> Tensor:
    """Return the importances of all weights of `modules` as int32 keys that sort alike, `(n,)`.

    The bits of floats that are not negative sort as the floats do, and integers are quicker to select from.

    Args:
        modules: With masks, at least one.
        importance: What orders the weights.
        masked: Where masked weights go, `_FIRST` or `_LAST`.
    """
    sizes = [_weight(module).numel() for module in modules]
    keys = torch.empty(sum(sizes), device=_weight(modules[0]).device)
    for module, part in zip(modules, keys.split(sizes), strict=True):
        score = weight = _weight(module)
        if importance == "gradient":
            score = torch.zeros_like(weight) if weight.grad is None else weight * weight.grad
        torch.abs(score.flatten(), out=part)
        # Less than half the time of torch.where, and no other weight changes: 0 is added to it.
        part.add_(~cast("Tensor", _mask(module)).flatten(), alpha=masked)
    return keys.view(torch.int32)


def _least(keys: Tensor, count: int) -> Tensor:
    """Mark the `count` least of int32 keys `(n,)`, of equal ones the first; bool `(n,)`."""
    if count == 0:
        return torch.zeros_like(keys, dtype=torch.bool)
    # Takes about 12 ms for 11.2 M keys on one core, torch.kthvalue 180 ms.
    threshold = int(np.partition(keys.cpu().numpy(), count - 1)[count - 1])
    least = keys <= threshold
    surplus = int(torch.count_nonzero(least)) - count
    if surplus:
        ties = (keys == threshold).nonzero().flatten()
        least[ties[-surplus:]] = False
    return least


def _drop(module: nn.Module, least: Tensor) -> None:
    """Take the marked weights out of a module's mask."""
    mask = cast("Tensor", _mask(module))
    mask.logical_and_(~least.view(mask.shape))


def _weight(module: nn.Module) -> Tensor:
    return cast("Tensor", module.weight)


def _mask(module: nn.Module) -> Tensor | None:
    return module._buffers.get(MASK)


def _zeros(weight: Tensor) -> int:
    return weight.numel() - int(torch.count_nonzero(weight))

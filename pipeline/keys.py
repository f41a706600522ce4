"""Content keys: a stage's result is named by everything that decides it, so equal beginnings are trained once."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import msgspec

from pipeline import catalog, files
from pipeline.errors import CheckpointError
from pipeline.recipe import Recipe

FORMAT = 1
"""Part of every key; raised whenever the same recipe would train to something else than before."""


def stage_keys(recipe: Recipe) -> list[str]:
    """Give the key of the baseline and of each stage, in order.

    A key is a hash of the backbone, the data, the seed, the baseline, the training settings and the stages up to
    and including its own. The name of the recipe, the device and the way of measuring are not part of it.

    Raises:
        CheckpointError: the baseline's checkpoint cannot be read.
        DatasetError: the dataset cannot be identified.
    """
    training: dict[str, Any] = msgspec.to_builtins(recipe.training)
    training.pop("device")
    content: list[Any] = [
        FORMAT,
        _backbone(recipe.backbone),
        recipe.dataset.fingerprint(),
        recipe.seed,
        _baseline(recipe),
        training,
    ]
    keys = [_digest(content)]
    for stage in recipe.stages:
        content.append(msgspec.to_builtins(stage))
        keys.append(_digest(content))
    return keys


def _backbone(name: str) -> list[str]:
    """Identify a backbone: ours by its name, one from outside by its path and the text of its file as well."""
    if not catalog.is_external(name):
        return [name]
    top, *inner = name.partition(":")[0].split(".")
    spec = importlib.util.find_spec(top)
    path = Path(spec.origin) if spec is not None and spec.origin else None
    if path is not None and inner:
        path = path.parent.joinpath(*inner[:-1], f"{inner[-1]}.py")
    return [name, files.sha256(path) if path is not None and path.is_file() else ""]


def _baseline(recipe: Recipe) -> dict[str, Any]:
    if recipe.baseline.checkpoint is None:
        return {"epochs": recipe.baseline.epochs, "learning_rate": recipe.baseline.learning_rate}
    path = Path(recipe.baseline.checkpoint)
    try:
        return {"checkpoint": files.sha256(path)}
    except OSError as error:
        raise CheckpointError(f"baseline.checkpoint {str(path)!r} cannot be read: {error.strerror}.") from None


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:20]

"""Content keys: what is stored is named by everything that decides it, so equal beginnings are trained once."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pipeline import catalog, files
from pipeline.errors import CheckpointError
from pipeline.protocols import Stage
from pipeline.recipe import Recipe, path_names
from pipeline.sections import Baseline

FORMAT = 2
"""Part of every key; raised whenever the same recipe would train to something else than before."""


_ELSEWHERE = ("device", "teacher_cache_mib")
"""Settings that change where and how fast a stage trains, not what it gives."""


def stage_keys(recipe: Recipe) -> list[str]:
    """Give the key of each entry of the recipe's plan, in order.

    A key is a hash of the backbone, the data, the seed, the baseline and the stages up to and including its own, each
    with the settings that it trains with, the content of the files that it names and its teacher. The name of the
    recipe, the device and the way of measuring are not part of it. A teacher has the key of the baseline of a recipe
    with that backbone.

    Raises:
        CheckpointError: a checkpoint that the recipe names cannot be read.
        DatasetError: the dataset cannot be identified.
    """
    known = _Known(recipe.dataset.fingerprint(), {path: _checksum(path, at) for at, path in recipe.paths.items()})
    return [_key(entry.recipe, known) for entry in recipe.plan]


def answers_key(teacher: Recipe, *, weights: str, views: str, arithmetic: str) -> str:
    """Give the key of a teacher's answers.

    Args:
        teacher: the recipe whose baseline it is.
        weights: checksum of its tensors.
        views: everything beside the data that decides what it is shown.
        arithmetic: everything that decides the last bits of a sum.
    """
    network = [_backbone(teacher.backbone), weights]
    return _digest([FORMAT, network, teacher.dataset.fingerprint(), views, arithmetic])


class _Known(Struct, frozen=True):
    """What is read once for all keys of a recipe."""

    data: str
    """Fingerprint of the dataset."""
    checksums: dict[str, str]
    """Checksum of each file that the recipe names, by its path."""


def _key(recipe: Recipe, known: _Known) -> str:
    content: list[Any] = [FORMAT, _backbone(recipe.backbone), known.data, recipe.seed]
    for count in range(len(recipe.stages) + 1):
        part = recipe.first(count)
        content.append(_content(part, known.checksums))
        teacher = part.last.teacher_in(part) if isinstance(part.last, Stage) else None
        if teacher is not None:
            content.append(_key(teacher, known))
    return _digest(content)


def _content(recipe: Recipe, checksums: Mapping[str, str]) -> dict[str, Any]:
    """Describe what a recipe does last; a file by what it holds, not by where it lies."""
    last = recipe.last
    found: dict[str, Any] = msgspec.to_builtins(last)
    for name in path_names(last):
        found[name] = checksums.get(found[name])
    if isinstance(last, Baseline) and last.checkpoint is not None:
        del found["learning_rate"]
    settings = msgspec.to_builtins(recipe.last_training)
    return found | {"training": {name: value for name, value in settings.items() if name not in _ELSEWHERE}}


def _backbone(name: str) -> list[str]:
    """Identify a backbone: ours by its name, one from elsewhere by its path and the text of its file as well."""
    if catalog.is_ours("backbones", name):
        return [name]
    path = catalog.source("backbones", name)
    return [name, files.sha256(path) if path is not None else ""]


def _checksum(path: str, where: str) -> str:
    try:
        return files.sha256(Path(path))
    except OSError as error:
        raise CheckpointError(f"{where} {path!r} cannot be read: {error.strerror}.") from None


def _digest(content: list[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:20]

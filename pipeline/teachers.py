"""Answers of teachers on disk: an epoch is computed once, for every student that sees the same views.

STORE/teachers/KEY/epoch-0.npy    logits of a whole epoch, float32 (samples, classes), then their SHA-256

The key hashes all that decides a logit, the last bits included, so reading and computing give the same student. The
tables take up a bounded space: those of other teachers that were not used for longest give way. A teacher's own do not:
students read its epochs in order, and would find the first ones gone each time.
"""

import contextlib
import hashlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipeline import files
from pipeline.keys import answers_key
from pipeline.recipe import Recipe
from pipeline.sections import Training

if TYPE_CHECKING:
    import torch
    from torch import nn

    from pipeline.engine.distillation import Teacher
    from pipeline.engine.task import Task

_MIB = 1024 * 1024
_DIGEST = hashlib.sha256().digest_size


class AnswerTables:
    """The tables of one teacher and one kind of views; ``pipeline.engine.distillation.Tables``."""

    def __init__(self, root: Path, key: str, *, limit_bytes: int) -> None:
        """Take note of where the tables lie.

        Args:
            root: holds the tables of all teachers.
            key: of these ones.
            limit_bytes: most that all tables may take up together.
        """
        self._root = root
        self._folder = root / key
        self._limit_bytes = limit_bytes

    def read(self, epoch: int) -> NDArray[np.float32] | None:
        """Give the table of an epoch; None when it is not there or damaged."""
        path = self._path(epoch)
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        table, digest = content[:-_DIGEST], content[-_DIGEST:]
        if hashlib.sha256(table).digest() != digest:
            return None
        found: NDArray[np.float32] = np.load(io.BytesIO(table), allow_pickle=False)
        return found

    def write(self, epoch: int, table: NDArray[np.float32]) -> None:
        """Keep the table of an epoch, unless there is no room for it or the disk will not take it."""
        buffer = io.BytesIO()
        np.save(buffer, table, allow_pickle=False)
        content = buffer.getvalue()
        content += hashlib.sha256(content).digest()
        # What is not kept is asked again: a full disk or a folder that somebody removes is no reason to fail.
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            if self._make_room(len(content), self._path(epoch)):
                files.write_bytes(self._path(epoch), content)

    def _path(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch}.npy"

    def _make_room(self, size_bytes: int, replaced: Path) -> bool:
        """Remove what must give way; tell whether there is room then. Nothing is removed in vain."""
        found = []
        for path in self._root.glob("*/*"):
            with contextlib.suppress(FileNotFoundError):
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        others = sorted(each for each in found if each[2].parent != self._folder)
        own = sum(size for _, size, path in found if path.parent == self._folder and path != replaced)
        if own + size_bytes > self._limit_bytes:
            return False
        left = own + sum(size for _, size, _ in others)
        for _, size, path in others:
            if left + size_bytes <= self._limit_bytes:
                break
            path.unlink(missing_ok=True)
            left -= size
        return True


def teacher(
    load: "Callable[[], nn.Module]", recipe: Recipe, *, weights: str, task: "Task", settings: Training, store: Path
) -> "Teacher":
    """Make a teacher that keeps its answers in a store.

    Args:
        load: gives the network, in evaluation mode; called when an answer is missing.
        recipe: the one whose baseline the teacher is.
        weights: checksum of its tensors.
        task: the data in the views of the student's stage.
        settings: those that the student trains with.
        store: the folder of the store.
    """
    import torch

    from pipeline.engine import acceleration
    from pipeline.engine.distillation import Teacher

    def undisturbed() -> "nn.Module":
        # A new network draws weights before its own are loaded; the student's streams must not notice whether it did.
        with torch.random.fork_rng(devices=[task.device] if task.device.type == "cuda" else []):
            return load()

    if not settings.teacher_cache_mib:
        return Teacher(undisturbed, task, settings)
    arithmetic = repr((*_machine(task.device), acceleration.precision(settings, task.device)))
    key = answers_key(recipe, weights=weights, views=task.views_key, arithmetic=arithmetic)
    tables = AnswerTables(store / "teachers", key, limit_bytes=settings.teacher_cache_mib * _MIB)
    return Teacher(undisturbed, task, settings, tables)


def _machine(device: "torch.device") -> tuple[object, ...]:
    """Tell what sums are computed by: another order of the same terms gives other last bits."""
    import torch

    if device.type == "cuda":
        return torch.__version__, torch.cuda.get_device_name(device)
    return torch.__version__, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()

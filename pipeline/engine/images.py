"""The task of classifying images: how a batch is fed, what the loss is, what is measured.

This is the only module of the engine that knows that an input is an image and that the metric is top-1. The data
lies on the training device as uint8 from start to end; a batch is cut, shifted, mirrored, normalised, blanked and
blended there in a few tensor operations, without loader processes. The view of an image is a pure function of (seed,
epoch, index), and of its neighbour in the batch where mixup blends the two; who that is follows from (seed, epoch).

Shape suffixes: N images, C channels, H height, W width.
"""

import copy
from collections.abc import Iterator
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.engine.determinism import derived_seed, generator
from pipeline.engine.task import Batch
from pipeline.errors import DatasetError
from pipeline.protocols import Augmentation, Splits
from pipeline.sections import Training


class ImageClassification:
    """Images of one dataset on one device, with a part of the training split held out; a ``Task``."""

    batch_size: int
    """Images in a step."""

    def __init__(self, splits: Splits, *, device: torch.device, seed: int, settings: Training) -> None:
        """Move the data to the device.

        Args:
            splits: the dataset; its test split is kept aside as it is.
            device: where the training runs.
            seed: decides which images are held out, their order and their views.
            settings: ``validation`` is the share of the training images held out, at least one of them;
                ``batch_size`` is cut to the size of the training split; the rest says how images are shown.

        Raises:
            DatasetError: there are too few images to hold some out.
        """
        total = len(splits.x_train)
        held_out = max(1, round(settings.validation * total))
        if total - held_out < 2:
            raise DatasetError(f"{total} training images are too few to hold out {settings.validation:g} of them.")
        order = torch.randperm(total, generator=generator(seed, "held out")).numpy()
        self.splits = splits
        self.device = device
        self.seed = seed
        self.x_train, self.y_train = self._to_device(splits, order[held_out:])
        self.x_validation, self.y_validation = self._to_device(splits, order[:held_out])
        self._take(settings)
        # (x / 255 - mean) / std as one multiplication and one subtraction.
        mean, std = (
            torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1) for values in (splits.mean, splits.std)
        )
        self._factor = (1 / (255 * std)).to(device)
        self._offset = (mean / std).to(device)

    def with_settings(self, settings: Training) -> Self:
        """Give the same images, their tensors shared, shown with the settings of another stage."""
        other = copy.copy(self)
        other._take(settings)
        return other

    def _take(self, settings: Training) -> None:
        self.batch_size = min(settings.batch_size, len(self.x_train))
        self.augmentation: Augmentation = self.splits.augmentation if settings.augment == "auto" else settings.augment
        self._settings = settings

    @property
    def num_classes(self) -> int:
        """How many classes there are."""
        return len(self.splits.classes)

    @property
    def in_channels(self) -> int:
        """Channels of an image: 1 or 3."""
        return int(self.splits.x_train.shape[1])

    @property
    def image_side(self) -> int:
        """The shorter side of an image in pixels."""
        return int(min(self.splits.x_train.shape[2:]))

    @property
    def num_samples(self) -> int:
        """How many training images there are, without those held out."""
        return len(self.x_train)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training split; a cut last one is left out, another one in each epoch."""
        return len(self.x_train) // self.batch_size

    @property
    def views_key(self) -> str:
        """Everything beside the images that decides which batches ``epoch`` yields, as one text."""
        wanted, normalisation = self._settings, (self.splits.mean, self.splits.std)
        views = (self.batch_size, self.augmentation, wanted.validation, wanted.cutout, wanted.mixup)
        return repr((self.seed, views, normalisation))

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of one pass: shuffled, each image in its view of that epoch."""
        count = len(self.x_train)
        stream = generator(self.seed, "views", epoch)
        order = torch.randperm(count, generator=stream)
        reach = self._shift_reach()
        shifts = torch.randint(0, 2 * reach + 1, (count, 2), generator=stream)
        mirrored = torch.rand(count, generator=stream) < 0.5
        if self.augmentation != "shift-flip":
            mirrored = torch.zeros_like(mirrored)
        centres = torch.rand((count, 2), generator=stream)
        order, shifts, mirrored, centres = (each.to(self.device) for each in (order, shifts, mirrored, centres))
        for step, share in enumerate(self._mixup_shares(epoch)):
            index = order[step * self.batch_size : (step + 1) * self.batch_size]
            inputs = self._views(self.x_train[index], shifts[index], mirrored[index], reach)
            targets = self.y_train[index]
            if self._settings.cutout:
                inputs = self._cut_out(inputs, centres[index])
            if self._settings.mixup:
                inputs, targets = self._mix(inputs, targets, share)
            yield Batch(inputs=inputs, targets=targets, index=index, epoch=epoch)

    def training_samples(self, count: int) -> Iterator[Batch]:
        """Yield batches of about ``count`` training images as they are."""
        everything = torch.arange(len(self.x_train), device=self.device)
        for index in everything[:count].split(self.batch_size):
            inputs = self.normalise(self.x_train[index])
            yield Batch(inputs=inputs, targets=self.y_train[index], index=index, epoch=0)

    def normalise(self, x_NCHW: Tensor) -> Tensor:
        """Turn uint8 images into what a network reads: float32 ``(x / 255 - mean) / std``."""
        return x_NCHW.float().mul_(self._factor).sub_(self._offset).contiguous(memory_format=torch.channels_last)

    def loss(self, batch: Batch, outputs: Tensor) -> Tensor:
        """Mean cross-entropy of logits ``(N, classes)`` against the classes ``(N,)`` of the batch, or their shares.

        With label smoothing s (Szegedy et al. 2016, section 7) each target becomes ``(1 - s) * target + s / classes``.
        """
        return functional.cross_entropy(outputs, batch.targets, label_smoothing=self._settings.label_smoothing)

    @torch.no_grad()
    def evaluate(self, model: nn.Module) -> dict[str, float]:
        """Measure a network on the held-out images: ``top1`` in percent and ``validation_loss``."""
        logits = self._logits(model, self.x_validation)
        loss = functional.cross_entropy(logits, self.y_validation).item()
        correct = (logits.argmax(1) == self.y_validation).float().mean().item()
        return {"top1": 100 * correct, "validation_loss": loss}

    @torch.no_grad()
    def test_answers(self, model: nn.Module) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
        """Classify the test images with a network of torch; ``(M,)`` classes."""
        logits = self._logits(model, torch.from_numpy(self.splits.x_test))
        return logits.argmax(1).cpu().numpy()

    def _logits(self, model: nn.Module, x_NCHW: Tensor) -> Tensor:
        was_training = model.training
        model.eval()
        parts = [model(self.normalise(part.to(self.device))) for part in x_NCHW.split(512)]
        model.train(was_training)
        return torch.cat(parts)

    def _shift_reach(self) -> int:
        # Four pixels at a side of 32, as all published CIFAR recipes have it, and as much in proportion elsewhere.
        return 0 if self.augmentation == "none" else max(1, self.image_side // 8)

    def _views(self, x_NCHW: Tensor, shifts: Tensor, mirrored: Tensor, reach: int) -> Tensor:
        if reach == 0:
            return self.normalise(x_NCHW)
        count, _, height, width = x_NCHW.shape
        padded = functional.pad(x_NCHW, (reach, reach, reach, reach))
        rows = torch.arange(height, device=self.device) + shifts[:, :1]
        columns = torch.arange(width, device=self.device).expand(count, width)
        columns = torch.where(mirrored[:, None], width - 1 - columns, columns) + shifts[:, 1:]
        images = torch.arange(count, device=self.device)[:, None, None]
        # Indices on both sides of the channel axis put it last, which is the memory layout wanted.
        x_NHWC = padded[images, :, rows[:, :, None], columns[:, None, :]]
        return self.normalise(x_NHWC.permute(0, 3, 1, 2))

    def _cut_out(self, x_NCHW: Tensor, centres: Tensor) -> Tensor:
        """Blank a square with the mean colour (DeVries and Taylor 2017), in place; it may reach over the edge.

        Args:
            x_NCHW: normalised images.
            centres: in [0, 1) of height and width, ``(N, 2)``.
        """
        side = max(1, round(self._settings.cutout * self.image_side))
        inside = []
        for axis, length in enumerate(x_NCHW.shape[2:]):
            first = (centres[:, axis : axis + 1] * length).long() - side // 2
            place = torch.arange(length, device=self.device) - first
            inside.append((place >= 0) & (place < side))
        rows, columns = inside
        return x_NCHW.masked_fill_((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)

    def _mixup_shares(self, epoch: int) -> list[float]:
        """Draw for each batch of a pass what its images keep of themselves: Beta(alpha, alpha); 1 without mixup."""
        alpha = self._settings.mixup
        if not alpha:
            return [1.0] * self.steps_per_epoch
        draws = np.random.default_rng(derived_seed(self.seed, "mixup", epoch))
        shares: list[float] = draws.beta(alpha, alpha, self.steps_per_epoch).tolist()
        return shares

    def _mix(self, x_NCHW: Tensor, y_N: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Blend each image and its class with those of its neighbour (Zhang et al. 2018, equation 1).

        The images were shuffled, so the neighbour is any other one.

        Returns:
            The images, and the share of each class in each of them, ``(N, classes)``.
        """
        targets = functional.one_hot(y_N, self.num_classes).float()
        inputs, targets = (share * each + (1 - share) * each.roll(1, 0) for each in (x_NCHW, targets))
        return inputs, targets

    def _to_device(self, splits: Splits, index: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> tuple[Tensor, Tensor]:
        x = torch.from_numpy(np.ascontiguousarray(splits.x_train[index]))
        y = torch.from_numpy(splits.y_train[index].astype(np.int64))
        return x.to(self.device), y.to(self.device)

"""The five contracts: what a stage, a backbone, a dataset, an export and a runtime are.

Each lives in one file of the folder of its kind and is found by its file name (see ``pipeline.catalog``).
Nothing here imports torch or numpy; their names appear in annotations only.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Protocol

import msgspec
from msgspec import Meta, Struct

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from pipeline.recipe import Recipe
    from pipeline.runs.store import Run
    from pipeline.session import Session

Overrides = Annotated[dict[str, Any], Meta(description="training settings of this stage alone")]
"""Options of the section ``[training]`` by name, where one stage or the baseline differs from it."""

Augmentation = Literal["none", "shift", "shift-flip"]
"""What may be done to a training image: nothing, shift by padded crop, shift and mirror left to right."""


class Stage(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="stage", tag=str.lower):
    """One step of a recipe: a trainable network in, a trainable network out.

    A subclass is its options. Its file ``pipeline/stages/<name>.py`` holds one subclass named like the file.
    """

    at_most_once: ClassVar[bool] = False
    """A recipe may hold this stage only once."""

    training: Overrides = {}

    @property
    def name(self) -> str:
        """The word that stands in the recipe."""
        return str(self.__struct_config__.tag)

    def teacher_in(self, recipe: "Recipe") -> "Recipe | None":
        """Name a network that must be trained before this stage: the teacher that it asks; None without one.

        Args:
            recipe: the recipe that the stage stands in.

        Returns:
            A recipe without stages, whose baseline is the teacher.

        Raises:
            RecipeError: the recipe does not say how that network is trained; begins with the option's name.
        """
        return None

    def caution(self, runtimes: Collection[str]) -> str:
        """Say in one sentence what this machine would do wrong to the result; empty where nothing.

        Args:
            runtimes: what executes the deployed file.
        """
        return ""

    def prepare(self, model: "nn.Module") -> "nn.Module":
        """Give the network what this stage adds to its structure, without training.

        ``apply`` calls it first. A saved result is restored by preparing a new network for each stage in turn
        and loading the saved tensors into it.
        """
        return model

    def apply(self, model: "nn.Module", session: "Session") -> "nn.Module":
        """Prepare and train the network; the result is as trainable as the input.

        Raises:
            StageError: this network cannot be treated so, or training failed.
        """
        raise NotImplementedError


class Splits(Struct, frozen=True, kw_only=True):
    """A dataset in memory, as plain arrays."""

    x_train: "NDArray[np.uint8]"
    """Training images, ``(N, C, H, W)``."""
    y_train: "NDArray[np.int64]"
    """Class of each training image, ``(N,)``, from 0."""
    x_test: "NDArray[np.uint8]"
    """Test images, ``(M, C, H, W)``; looked at once, for the report."""
    y_test: "NDArray[np.int64]"
    """Class of each test image, ``(M,)``."""
    classes: tuple[str, ...]
    """Name of each class, by its number."""
    mean: tuple[float, ...]
    """Mean of each channel of the images scaled to [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel of the images scaled to [0, 1]."""
    augmentation: Augmentation
    """What keeps the class of such an image the same."""


class Dataset(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="name", tag=str.lower):
    """Images with classes, in a training and a test split.

    A subclass is its options. Its file ``pipeline/datasets/<name>.py`` holds one subclass named like the file.
    """

    @property
    def name(self) -> str:
        """The word that stands in the recipe."""
        return str(self.__struct_config__.tag)

    def table(self) -> dict[str, Any]:
        """Give the name and the options, as they stand in the recipe."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found

    def fingerprint(self) -> str:
        """Identify the data: equal exactly when the images and labels are equal.

        Cheap enough to be called before a run is launched. Part of the key of every stage result.
        """
        raise NotImplementedError

    def absent(self) -> str | None:
        """Say in one sentence what is missing and how to get it; None when the data can be loaded now."""
        return None

    def load(self, progress: Callable[[int, int], None] | None = None) -> Splits:
        """Read the data, downloading it where the options say so.

        Args:
            progress: told the bytes done and the bytes in all while something is downloaded.

        Raises:
            DatasetError: the data is absent or not what it should be.
            MissingDependency: a package that reads it is absent or does not match the others.
        """
        raise NotImplementedError


class Backbone(Protocol):
    """A module ``pipeline/backbones/<name>.py``."""

    MIN_IMAGE_SIDE: int
    """Side in pixels of the smallest square image that the network accepts."""

    def build(self, *, num_classes: int, in_channels: int) -> "nn.Module":
        """Make the network with fresh random weights; images ``(N, C, H, W)`` in, logits ``(N, classes)`` out."""


Predict = Callable[["NDArray[np.uint8]"], "NDArray[np.float32]"]
"""Images ``(N, C, H, W)`` in, logits ``(N, classes)`` out."""


@dataclass(frozen=True)
class Loaded:
    """A deployed file, opened and ready to answer."""

    predict: Predict
    precision: Callable[[], dict[str, int]]
    """Count the convolutions and matrix products by the precision that they are executed in: ``int8``, ``float32``, ...
    It may open the file again, and of a runtime that compiles at the first call it is known after that alone."""


class Runtime(Protocol):
    """A module ``pipeline/runtimes/<name>.py``: executes a deployed file."""

    READS: str
    """Kind of the artifact that it opens: ``onnx`` or ``checkpoint``."""
    REQUIRES: tuple[str, ...]
    """Packages that it needs."""

    def load(self, path: Path, *, threads: int) -> Loaded:
        """Open a deployed file.

        Args:
            path: the file.
            threads: threads that it may use.

        Raises:
            MeasurementError: the file cannot be opened.
        """

    def version(self) -> str:
        """Version of the runtime, for the record."""


class NetworkFacts(Struct, frozen=True, kw_only=True):
    """What a person must know about a deployed network to use it."""

    shape: tuple[int, int, int]
    """Of one image: channels, height, width."""
    classes: tuple[str, ...]
    """Name of each class, by its number."""
    mean: tuple[float, ...]
    """Mean of each channel of the images scaled to [0, 1]."""
    std: tuple[float, ...]
    """Standard deviation of each channel of the images scaled to [0, 1]."""


class Export(Protocol):
    """A module ``pipeline/exports/<name>.py``: leaves a finished run as a file that other software opens."""

    SUMMARY: str
    """One phrase for a person."""
    READS: str
    """Kind of the artifact that it starts from; a run without one cannot be exported so."""
    SIZE: tuple[str, int]
    """What its files will take: an artifact's kind, ``dense`` or ``float32`` (the tensors of the deployed network as
    they are, or as float32), and the bytes on top, 0 where the artifact is copied as it is."""
    REQUIRES: tuple[str, ...]
    """Packages that it needs."""
    LOWERED: bool
    """The file computes what the deployed network computes, to rounding; else it is the network before lowering."""
    USAGE: str
    """How the file is opened and what it expects, as Markdown with at most ten lines of code; ``{file}``, ``{shape}``
    (of a batch of one), ``{mean}`` and ``{std}`` are filled in."""

    def write(self, run: "Run", folder: Path) -> list[Path]:
        """Write the files of a finished run into a folder that exists; the first one is what is opened.

        Raises:
            ExportError: the run has no such artifact, or the folder cannot be written.
        """

    def open(self, path: Path, run: "Run") -> Predict:
        """Open what ``write`` returned first, in the format's own runtime, to be tried on images of the run.

        Raises:
            PipelineError: it cannot be opened or executed.
        """

"""What CIFAR-10 and CIFAR-100 share: found in a folder or fetched into it, read by torchvision."""

import importlib.metadata
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
import platformdirs
from msgspec import Meta

from pipeline.datasets import _arrays, _download
from pipeline.errors import DatasetError, MissingDependency
from pipeline.protocols import Dataset, Splits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MIB = 1024 * 1024


class Cifar(Dataset, frozen=True, kw_only=True):
    """60,000 colour images of 32x32 pixels, 10,000 of which test."""

    title: ClassVar[str]
    """What a person calls it."""
    reader: ClassVar[str]
    """The class of ``torchvision.datasets`` that reads it, checks it and knows its address."""
    batches_folder: ClassVar[str]
    """Where the archive puts its files."""
    batches: ClassVar[tuple[str, ...]]
    """Those files."""
    archive: ClassVar[str]
    """File name of the archive."""
    archive_bytes: ClassVar[int]
    """Size of the archive."""
    published_mean: ClassVar[tuple[float, ...]]
    """Mean of the 50,000 training images."""
    published_std: ClassVar[tuple[float, ...]]
    """Standard deviation of the 50,000 training images."""

    folder: (
        Annotated[
            str,
            Meta(
                description="where the files lie; when not set, a folder of the user's cache",
                extra={"path": True},
            ),
        ]
        | None
    ) = None
    download: Annotated[bool, Meta(description="fetch it when it is absent (163 MiB)")] = False
    mean: _arrays.Mean | None = None
    std: _arrays.Std | None = None

    @property
    def location(self) -> Path:
        """The folder that holds, or shall hold, the files."""
        return Path(self.folder) if self.folder is not None else platformdirs.user_cache_path("pqd-workbench") / "data"

    def fingerprint(self) -> str:
        """Name the published data and the options that change how the network sees it."""
        changed = "" if self.mean is None and self.std is None else msgspec.json.encode([self.mean, self.std]).decode()
        return f"{self.name}-1{changed}"

    def absent(self) -> str | None:
        """Say that the files are not there, unless they may be fetched."""
        if self.download or self._is_extracted() or (self.location / self.archive).is_file():
            return None
        return (
            f"{self.title} is not in {str(self.location)!r}: set dataset.download = true, or run with --download, "
            f"to fetch it ({self.archive_bytes / MIB:.0f} MiB), or put {self.archive} there."
        )

    def load(self, progress: Callable[[int, int], None] | None = None) -> Splits:
        """Read the files, after fetching them where ``download`` allows it.

        Raises:
            DatasetError: the files are absent or damaged, or could not be fetched.
            MissingDependency: torchvision is absent or does not match torch.
        """
        import numpy as np

        reason = self.absent()
        if reason is not None:
            raise DatasetError(f"{reason[0].upper()}{reason[1:]}")
        published = getattr(_torchvision_datasets(), self.reader)
        if not self._is_extracted():
            self._obtain(published, progress)
        try:
            train, test = (published(root=self.location, train=train) for train in (True, False))
        except (OSError, RuntimeError):
            raise DatasetError(
                f"the files in {str(self.location / self.batches_folder)!r} are not the published {self.title}: "
                "remove that folder and let it be fetched again."
            ) from None
        return Splits(
            x_train=_images(train),
            y_train=np.asarray(train.targets, dtype=np.int64),
            x_test=_images(test),
            y_test=np.asarray(test.targets, dtype=np.int64),
            classes=tuple(train.classes),
            mean=self._checked(self.mean, "mean") or self.published_mean,
            std=self._checked(self.std, "std") or self.published_std,
            augmentation="shift-flip",
        )

    def _is_extracted(self) -> bool:
        return all((self.location / self.batches_folder / name).is_file() for name in self.batches)

    def _checked(self, given: tuple[float, ...] | None, name: str) -> tuple[float, ...] | None:
        import numpy as np

        if given is not None:
            nothing = np.zeros((1, 3, 1, 1), np.uint8)
            _arrays.normalisation(nothing, given if name == "mean" else None, given if name == "std" else None)
        return given

    def _obtain(self, published: Any, progress: Callable[[int, int], None] | None) -> None:
        """Fetch the archive unless it lies there, and unpack it so that the folder appears whole or not at all."""
        archive = self.location / published.filename
        was_there = archive.is_file()
        if not was_there:
            _download.fetch(published.url, archive, checksum=published.tgz_md5, progress=progress)
        elif _download.md5(archive) != published.tgz_md5:
            raise DatasetError(f"{str(archive)!r} is not the published archive of {self.title}: remove it.")
        try:
            with tempfile.TemporaryDirectory(dir=self.location) as unpacked:
                with tarfile.open(archive) as opened:
                    opened.extractall(unpacked, filter="data")
                self._move(Path(unpacked) / self.batches_folder)
        except (OSError, tarfile.TarError) as error:
            raise DatasetError(f"{str(archive)!r} could not be unpacked: {error}.") from None
        if not was_there:
            archive.unlink(missing_ok=True)

    def _move(self, unpacked: Path) -> None:
        target = self.location / self.batches_folder
        if target.is_dir() and not self._is_extracted():
            shutil.rmtree(target, ignore_errors=True)
        try:
            unpacked.rename(target)
        except OSError:
            # Another run that fetched it at the same time was first.
            if not self._is_extracted():
                raise


def _images(split: Any) -> "NDArray[np.uint8]":
    import numpy as np

    return np.ascontiguousarray(np.asarray(split.data, dtype=np.uint8).transpose(0, 3, 1, 2))


def _torchvision_datasets() -> ModuleType:
    try:
        import torchvision.datasets as found
    except (ImportError, RuntimeError, OSError) as error:
        versions = " and ".join(f"{name} {_version(name)}" for name in ("torch", "torchvision"))
        raise MissingDependency(
            f"CIFAR is read with torchvision, which fails to import ({str(error).splitlines()[0]}); installed: "
            f"{versions}; install a pair that belongs together with 'uv pip install --upgrade torch torchvision'."
        ) from error
    assert isinstance(found, ModuleType)
    return found


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "(none)"

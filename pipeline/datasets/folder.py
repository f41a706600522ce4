"""Your own pictures in folders: train/<class>/ and test/<class>/ with image files in each.

The name of the inner folder is the class; both splits must have the same classes. A picture is scaled until its
shorter side is ``size`` pixels and cropped to the middle square. Training images are shifted but not mirrored
unless ``augmentation = "shift-flip"`` says that a mirrored picture is of the same class, as it is in photographs.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline.datasets import _arrays
from pipeline.errors import DatasetError, MissingDependency
from pipeline.protocols import Augmentation, Dataset, Splits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

endings = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".webp", ".gif", ".tif", ".tiff"})


class Folder(Dataset, frozen=True, kw_only=True):
    """Pictures in a folder of yours."""

    path: Annotated[str, Meta(description="a folder with train/<class>/ and test/<class>/ in it", extra={"path": True})]
    size: Annotated[
        int, Meta(ge=4, le=1024, description="side of the square images that the network sees", extra={"unit": "px"})
    ] = 32
    channels: Annotated[Literal["rgb", "gray"], Meta(description="colour, or grey levels")] = "rgb"
    augmentation: Annotated[
        Augmentation,
        Meta(description="what keeps the class of an image: nothing, a shift, or a shift and mirroring"),
    ] = "shift"
    mean: _arrays.Mean | None = None
    std: _arrays.Std | None = None

    def fingerprint(self) -> str:
        """Hash name, size and time of change of every picture, and the options; the pictures are not read.

        Raises:
            DatasetError: the folder is absent or not laid out as it must be.
        """
        root = Path(self.path)
        train, test = self._files()
        digest = hashlib.sha256()
        for path in (path for split in (train, test) for paths in split.values() for path in paths):
            status = path.stat()
            digest.update(f"{path.relative_to(root)}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
        options = [self.size, self.channels, self.augmentation, self.mean, self.std]
        digest.update(msgspec.json.encode(options))
        return f"folder-{digest.hexdigest()}"

    def absent(self) -> str | None:
        """Say which folder is not there."""
        for folder in (Path(self.path), *(Path(self.path) / split for split in ("train", "test"))):
            if not folder.is_dir():
                return (
                    f"there is no folder {str(folder)!r}: set dataset.path to a folder "
                    "with train/<class>/ and test/<class>/."
                )
        return None

    def load(self, progress: Callable[[int, int], None] | None = None) -> Splits:
        """Read every picture.

        Raises:
            DatasetError: the folder is not laid out as it must be, or a picture cannot be read.
            MissingDependency: Pillow is not installed.
        """
        train, test = self._files()
        x_train, y_train = self._read(train)
        x_test, y_test = self._read(test)
        mean, std = _arrays.normalisation(x_train, self.mean, self.std)
        return Splits(
            x_train=x_train,
            y_train=y_train,
            x_test=x_test,
            y_test=y_test,
            classes=tuple(train),
            mean=mean,
            std=std,
            augmentation=self.augmentation,
        )

    def _files(self) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
        """List the pictures of each class of both splits, sorted."""
        reason = self.absent()
        if reason is not None:
            raise DatasetError(f"{reason[0].upper()}{reason[1:]}")
        train, test = (_pictures(Path(self.path) / split) for split in ("train", "test"))
        for split, other, name in ((train, test, "test"), (test, train, "train")):
            lacking = [cls for cls in split if cls not in other]
            if lacking:
                raise DatasetError(
                    f"{self.path}: {name}/ has no folder for the class {lacking[0]!r}"
                    f"{f' and {len(lacking) - 1} more' if len(lacking) > 1 else ''}; "
                    "train/ and test/ must hold the same classes."
                )
        if len(train) < 2:
            raise DatasetError(f"{self.path}: there are {len(train)} classes in train/; there must be at least 2.")
        return train, test

    def _read(self, split: dict[str, list[Path]]) -> "tuple[NDArray[np.uint8], NDArray[np.int64]]":
        import numpy as np

        count = sum(len(paths) for paths in split.values())
        mode: Literal["RGB", "L"] = "RGB" if self.channels == "rgb" else "L"
        images = np.empty((count, self.size, self.size, len(mode)), dtype=np.uint8)
        targets = np.empty(count, dtype=np.int64)
        index = 0
        for number, paths in enumerate(split.values()):
            for path in paths:
                images[index] = _picture(path, self.size, mode)
                targets[index] = number
                index += 1
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)), targets


def _pictures(split: Path) -> dict[str, list[Path]]:
    found = {}
    for folder in sorted(path for path in split.iterdir() if path.is_dir() and not path.name.startswith(".")):
        paths = (path for path in folder.iterdir() if path.suffix.lower() in endings and path.name[0] != ".")
        found[folder.name] = sorted(paths)
        if not found[folder.name]:
            raise DatasetError(f"{str(folder)!r} holds no picture; known endings are {', '.join(sorted(endings))}.")
    return found


def _picture(path: Path, size: int, mode: Literal["RGB", "L"]) -> "NDArray[np.uint8]":
    """Read one picture as ``(size, size, channels)``."""
    import numpy as np

    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise MissingDependency(
            f"the dataset 'folder' needs Pillow ({error}): install with 'uv pip install pillow'."
        ) from error
    try:
        with Image.open(path) as opened:
            if opened.mode[0] in "IF":
                raise DatasetError(f"{str(path)!r} has pixels of more than 8 bits; convert it to 8 bits a channel.")
            upright = ImageOps.exif_transpose(opened).convert(mode)
            square = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DatasetError(f"{str(path)!r} cannot be read as a picture: {error}.") from None
    return np.asarray(square, dtype=np.uint8).reshape(size, size, len(mode))

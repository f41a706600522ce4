"""CIFAR-100: 50,000 training and 10,000 test images of 100 kinds of things, 32x32 pixels in colour.

Labels are the 100 fine classes. Looked for in the folder that ``folder`` names, by default one in the user's
cache; fetched (161 MiB) only when ``download = true``. Every file is compared with its published checksum.
"""

from typing import ClassVar

from pipeline.datasets._cifar import Cifar


class Cifar100(Cifar, frozen=True, kw_only=True):
    """100 classes, 600 images of each."""

    title: ClassVar[str] = "CIFAR-100"
    reader: ClassVar[str] = "CIFAR100"
    batches_folder: ClassVar[str] = "cifar-100-python"
    batches: ClassVar[tuple[str, ...]] = ("train", "test", "meta")
    archive: ClassVar[str] = "cifar-100-python.tar.gz"
    archive_bytes: ClassVar[int] = 169_001_437
    published_mean: ClassVar[tuple[float, ...]] = (0.5071, 0.4865, 0.4409)
    published_std: ClassVar[tuple[float, ...]] = (0.2673, 0.2564, 0.2762)

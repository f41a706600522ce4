"""CIFAR-10: 50,000 training and 10,000 test images of 10 kinds of things, 32x32 pixels in colour.

Looked for in the folder that ``folder`` names, by default one in the user's cache; fetched (163 MiB) only when
``download = true``. Every file is compared with its published checksum.
"""

from typing import ClassVar

from pipeline.datasets._cifar import Cifar


class Cifar10(Cifar, frozen=True, kw_only=True):
    """10 classes, 6,000 images of each."""

    title: ClassVar[str] = "CIFAR-10"
    reader: ClassVar[str] = "CIFAR10"
    batches_folder: ClassVar[str] = "cifar-10-batches-py"
    batches: ClassVar[tuple[str, ...]] = (
        *(f"data_batch_{number}" for number in range(1, 6)),
        "test_batch",
        "batches.meta",
    )
    archive: ClassVar[str] = "cifar-10-python.tar.gz"
    archive_bytes: ClassVar[int] = 170_498_071
    published_mean: ClassVar[tuple[float, ...]] = (0.4914, 0.4822, 0.4465)
    published_std: ClassVar[tuple[float, ...]] = (0.2470, 0.2435, 0.2616)

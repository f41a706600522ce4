"""A dataset from outside the catalogue: named by a recipe, imported by the pipeline process alone."""

from collections.abc import Callable
from typing import Any

from msgspec import field

from pipeline import catalog, options
from pipeline.errors import DatasetError
from pipeline.protocols import Dataset, Splits


class External(Dataset, frozen=True, kw_only=True):
    """A dataset that a recipe names as ``package.module:Class``; its options are checked when it is loaded."""

    path: str
    """``package.module:Class``, where the class is a ``Dataset``."""
    options: dict[str, Any] = field(default_factory=dict)
    """What the recipe says beside the name."""

    @property
    def name(self) -> str:
        """The word that stands in the recipe."""
        return self.path

    def table(self) -> dict[str, Any]:
        """Give the name and the options, as they stand in the recipe."""
        return {"name": self.path, **self.options}

    def fingerprint(self) -> str:
        """Identify the data as the class does.

        Raises:
            PluginError: the class cannot be loaded.
            RecipeError: an option is wrong.
        """
        return self._resolved().fingerprint()

    def load(self, progress: Callable[[int, int], None] | None = None) -> Splits:
        """Read the data as the class does.

        Raises:
            PluginError: the class cannot be loaded.
            RecipeError: an option is wrong.
            DatasetError: the data is absent or not what it should be.
        """
        dataset = self._resolved()
        absent = dataset.absent()
        if absent is not None and not getattr(dataset, "download", False):
            raise DatasetError(absent)
        return dataset.load(progress)

    def _resolved(self) -> Dataset:
        record: type[Dataset] = catalog.load("datasets", self.path)
        return options.build(record, self.options, where="dataset")

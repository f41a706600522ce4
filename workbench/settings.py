"""What a person may set about the workbench itself, and how often it looks and draws."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

Marker = Literal["braille", "block", "ascii"]
"""What curves are drawn with: braille dots, half blocks, or plain letters for fonts that have neither."""

markers: tuple[Marker, ...] = ("braille", "block", "ascii")


class Settings(Struct, frozen=True, kw_only=True):
    """Settings of one session of the workbench."""

    poll_s: float = 0.25
    """Seconds between two looks at the store."""
    redraw_s: float = 0.5
    """Least seconds between two drawings of the same curves."""
    marker: Marker = "braille"
    """What curves are drawn with."""
    export_folder: Path = Path("exports")
    """Where exports are offered to go; a relative path counts from the folder in which the workbench was started."""
    read_only: bool = False
    """Nothing in the store is changed: no launch, no stop, no deletion, no notes."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read ``PQD_MARKER``; a value that is none of the markers is passed over."""
        values = os.environ if environment is None else environment
        for marker in markers:
            if values.get("PQD_MARKER") == marker:
                return cls(marker=marker)
        return cls()

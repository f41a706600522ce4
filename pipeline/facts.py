"""What a look at this machine found: the record that the pipeline process writes and the workbench reads."""

from typing import Literal

from msgspec import Struct

Outcome = Literal["ok", "warn", "bad"]


class Fact(Struct, frozen=True, kw_only=True):
    """One thing that was looked at."""

    about: str
    """What was looked at, in a word or two."""
    outcome: Outcome
    """``warn``: something cannot be done, or not well; ``bad``: nothing can be trained or kept."""
    text: str
    """What was found."""
    fix: str = ""
    """What to do, in one sentence; empty when all is well."""

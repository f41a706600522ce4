"""What a launch would do and cost, and how that is told: in Compose, in the dialog, on the command line."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from pipeline.runs.wording import MIB

LEAST_FREE_BYTES = 512 * MIB
"""Free space of the disk below which a launch is warned of, whatever the run needs."""


class Entry(Struct, frozen=True, kw_only=True):
    """One network of the plan."""

    stage: str
    epochs: int | None
    """Passes over the training data; None where nothing is trained."""
    is_reused: bool
    """Its result lies in the store."""
    seconds: float | None = None
    """How long its training takes; None where nothing like it has run here."""

    @property
    def is_trained(self) -> bool:
        """It costs epochs."""
        return bool(self.epochs) and not self.is_reused

    def cells(self) -> tuple[str, str, str, str]:
        """Give a line of a table: stage, epochs, what is done, how long it takes."""
        what = "reused" if self.is_reused else "train" if self.epochs else "calibrate or load"
        epochs = "" if self.epochs is None else count(self.epochs, "epoch")
        return self.stage, epochs, what, about(self.seconds) if self.is_trained and self.seconds is not None else ""


class Plan(Struct, frozen=True, kw_only=True):
    """What a launch would do."""

    entries: tuple[Entry, ...]
    dataset: str = ""
    """Name of the dataset."""
    absent: str = ""
    """What is missing of the data; empty when it can be loaded."""
    can_download: bool = False
    """The dataset has an option ``download``, and it is off."""
    will_download: bool = False
    """The option is on."""
    problem: str = ""
    """Why it cannot be told what is reused; empty when it can."""
    device: str = "auto"
    """Where it trains: as the recipe says, or as the newest run here when it says ``auto``."""
    runtimes: tuple[str, ...] = ()
    """What executes the deployed file."""
    threads: int = 1
    """Of the runtime."""
    cautions: tuple[str, ...] = ()
    """What this machine would do wrong to the result; each one sentence."""
    run_count: int = 0
    """Finished runs that the estimate of the time comes from."""
    rest_s: float = 0.0
    """Seconds that such runs took beside training: loading, lowering, measuring."""
    need_bytes: int | None = None
    """Disk space of what such runs left; None when there is none to look at."""
    free_bytes: int | None = None
    """Free space where the store lies; None where it cannot be told."""
    running: tuple[str, ...] = ()
    """Names of runs that go on here."""

    @property
    def epochs(self) -> int:
        """Epochs that have to be trained."""
        return sum(entry.epochs or 0 for entry in self.entries if not entry.is_reused)

    @property
    def reused(self) -> int:
        """Entries whose result lies in the store."""
        return sum(entry.is_reused for entry in self.entries)

    @property
    def is_ready(self) -> bool:
        """It can be launched."""
        return not self.problem and (not self.absent or self.will_download)

    @property
    def seconds(self) -> float | None:
        """How long it takes, without what never ran here; None where nothing like it has."""
        trained = [entry.seconds for entry in self.entries if entry.is_trained]
        known = [seconds for seconds in trained if seconds is not None]
        return self.rest_s + sum(known) if self.run_count and (known or not trained) else None

    def time_words(self) -> str:
        """Say how long it takes: ``about 31 min (from 3 runs)``."""
        if self.seconds is None:
            return "time unknown, nothing like it has run here"
        unknown = [entry.stage for entry in self.entries if entry.is_trained and entry.seconds is None]
        source = f"(from {count(self.run_count, 'run')})"
        return f"{about(self.seconds)} {source}" + (f" + {', '.join(unknown)}, unknown" if unknown else "")

    def disk_words(self) -> str:
        """Say what it needs on the disk and what is free."""
        free = "" if self.free_bytes is None else f"{space(self.free_bytes)} free"
        if self.need_bytes is None:
            return free
        return f"{space(self.need_bytes)} of {free}" if free else space(self.need_bytes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before it costs something; each one sentence."""
        found = []
        if self.free_bytes is not None and self.free_bytes < max(LEAST_FREE_BYTES, 2 * (self.need_bytes or 0)):
            found.append(f"the disk of the store is nearly full: {space(self.free_bytes)} free; delete runs first.")
        if self.running:
            found.append(f"{self.running[0]} goes on here; two at once slow each other; better queue it.")
        return (*found, *self.cautions)

    def lines(self) -> Iterator[str]:
        """Say what a launch amounts to, a sentence a line."""
        trained = count(self.epochs, "epoch")
        yield f"{self.reused} reused, {len(self.entries) - self.reused} to train: {trained}, device {self.device}."
        yield f"Then measured with {', '.join(self.runtimes)}, {count(self.threads, 'thread')}."
        words = self.time_words()
        yield f"{words[:1].upper()}{words[1:]}." if self.seconds is None else f"In all {words}."
        if disk := self.disk_words():
            yield f"Disk: {disk}."
        for warning in self.warnings:
            yield f"! {warning}"
        if self.problem:
            yield f"\n!! {self.problem}"
        elif self.will_download:
            yield f"\n{self.dataset} is downloaded first where it is not there yet."
        elif self.absent:
            yield f"\n!! {self.absent}"

    def document(self) -> dict[str, Any]:
        """Give everything as plain values, for ``run --dry-run --json``."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        added = ("is_ready", "reused", "epochs", "seconds", "warnings")
        return found | {name: getattr(self, name) for name in added}


def count(number: int, word: str) -> str:
    """Write a number of things: ``1 epoch``, ``2 epochs``."""
    return f"{number} {word}{'s' * (number != 1)}"


def about(seconds: float) -> str:
    """Say a span of time as roughly as an estimate is."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"


def space(size_bytes: int) -> str:
    """Write disk space in MiB or GiB."""
    mib = size_bytes / MIB
    return f"{mib / 1024:,.1f} GiB" if mib >= 1024 else f"{mib:.{0 if mib >= 10 else 1}f} MiB"

"""Side by side in one run: subjects take turns, medians are compared; a table for people, one line of JSON."""

import contextlib
import io
import json
import logging
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.measure.machine import machine
from pipeline.runs.process import training_environment

console = Console(width=110, highlight=False)


def as_in_a_run() -> None:
    """Start this program again in the environment that a pipeline process is launched with."""
    if any(os.environ.get(name) != value for name, value in training_environment.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **training_environment})


def training_step(
    model: nn.Module, inputs: Tensor, targets: Tensor, dtype: torch.dtype = torch.float32
) -> Callable[[], None]:
    """Make a function that does forward, cross-entropy, backward and a step of SGD with momentum."""
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, nesterov=True)

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = functional.cross_entropy(model(inputs).float(), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def interleave(subjects: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, list[float]]:
    """Time each subject once a round, seconds; the first round warms up and is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for turn in range(rounds + 1):
        for name, act in subjects.items():
            start = time.perf_counter()
            act()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratios(seconds: Mapping[str, list[float]], base: str) -> dict[str, float]:
    """Give the median, over the rounds, of each subject's time over the time of ``base`` in the same round."""
    return {
        name: round(statistics.median(mine / his for mine, his in zip(times, seconds[base], strict=True)), 3)
        for name, times in seconds.items()
    }


def spread(times: list[float], unit: float = 1e3) -> str:
    """Write the median and the range from the lower to the upper quartile."""
    low, middle, high = (value * unit for value in statistics.quantiles(times, n=4))
    digits = 2 if middle < 10 else 1 if middle < 100 else 0
    return f"{middle:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what the peers print and log from the table."""
    logging.disable(logging.WARNING)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def describe(packages: tuple[str, ...], *, threads: int) -> str:
    """Say what the numbers were measured on."""
    found = machine(("torch", *packages))
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"{found.cpu}, {found.instruction_set}, {found.cores} cores, {threads} threads, load {load:.2f}; {versions}"


def show(title: str, columns: list[str], rows: list[list[str]], notes: list[str]) -> None:
    """Print a table and what a person should know about it."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for note in notes:
        console.print(note, soft_wrap=True)


def last_line(result: Mapping[str, object]) -> None:
    """Print the result as one line of JSON."""
    print(json.dumps(result), flush=True)

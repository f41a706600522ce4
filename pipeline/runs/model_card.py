"""The README.md that leaves with an exported network: what it is, its numbers, how to run it."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline import files
from pipeline.protocols import FileFacts
from pipeline.report import Latency, Report
from pipeline.runs import wording
from pipeline.runs.state import RunState
from pipeline.runs.store import Run

LISTED_CLASSES = 200
"""More classes than these are left to the file's metadata."""


def write(run: Run, state: RunState, written: Sequence[tuple[Path, FileFacts]]) -> str:
    """Compose the card.

    Args:
        run: the finished run.
        state: its state.
        written: the files of the network, in the folder that is being made, with what is known about each.
    """
    recipe = run.recipe()
    stages = ", then ".join(stage.name for stage in recipe.stages)
    done = f"compressed: {stages}." if stages else "as it was trained, without compression."
    known = [facts for _, facts in written]
    parts = [
        f"# {_plain(recipe.name)}",
        f"The backbone {_plain(recipe.backbone)} on the dataset {_plain(recipe.dataset.name)}, {done} "
        f"Made by pqd-workbench; run `{run.id}`, seed {recipe.seed}. `recipe.toml` says exactly how, `report.json` "
        "holds every number.",
        "## Numbers",
        "\n".join(_numbers(state)),
        "\n\n".join(_conditions(state)),
        "## Files",
        "\n".join(_line(path) for path, _ in written),
        "All checksums are in `SHA256SUMS`; check them with `sha256sum --check SHA256SUMS`.",
        *(["## How to run it", *(facts.usage for facts in known)] if known else []),
        *_classes(next((facts.classes for facts in known if facts.classes), None)),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _line(path: Path) -> str:
    return f"- `{path.name}`, {path.stat().st_size:,} bytes, SHA-256 `{files.sha256(path)}`"


def _numbers(state: RunState) -> Iterator[str]:
    base, mine = state.baseline, state.deployed
    versus = mine.versus(base)
    points = "" if versus.top1_points is None else f"{versus.top1_points:+.2f} points"
    yield "| | baseline (FP32) | this network | difference |"
    yield "|---|---|---|---|"
    yield f"| top-1, 95 % interval | {_top1(base)} | {_top1(mine)} | {points} |"
    yield f"| checkpoint | {_size(base)} | {_size(mine)} | {_ratio(versus.size_ratio, 'smaller', 'larger')} |"
    for name in sorted(mine.latency):
        speedup = _ratio(versus.speedup.get(name), "faster", "slower")
        ours, theirs = _latency(mine.latency[name]), _latency(base.latency.get(name))
        yield f"| latency in {name}, median and p90 | {theirs} | {ours} | {speedup} |"


def _conditions(state: RunState) -> Iterator[str]:
    accuracy = state.deployed.accuracy
    if accuracy is not None:
        agreement = ""
        if accuracy.agreement is not None:
            agreement = f" It gives the answer of the trained network for {100 * accuracy.agreement:.2f} % of them."
        yield f"Accuracy: the file itself, run by {accuracy.runtime} on all {accuracy.total:,} test images.{agreement}"
    if state.deployed.size is not None:
        size = state.deployed.size
        zeros = 1 - size.num_nonzero / size.num_parameters if size.num_parameters else 0.0
        yield f"Checkpoint: the safetensors file as it lies on disk; {size.num_parameters:,} weights, {zeros:.1%} zero."
    for name, latency in sorted(state.deployed.latency.items()):
        machine = latency.machine
        noisy = " The machine was not quiet: the median is far above the fastest call." if latency.is_noisy else ""
        yield (
            f"Latency: {name} {machine.versions.get(name, '')}".rstrip() + f" on {_plain(machine.cpu)} "
            f"({machine.instruction_set}), {latency.threads} thread{'s' * (latency.threads != 1)}, batch "
            f"{latency.batch_size}, {latency.samples:,} calls, interleaved with the baseline.{noisy}"
        )


def _classes(names: Sequence[str] | None) -> Iterator[str]:
    if names is None:
        return
    yield "## Classes"
    listed = ", ".join(f"{number}: {_plain(name)}" for number, name in enumerate(names[:LISTED_CLASSES]))
    rest = len(names) - LISTED_CLASSES
    yield listed + (f", and {rest:,} more in the file's metadata under `classes`." if rest > 0 else ".")


def _top1(report: Report) -> str:
    if report.accuracy is None:
        return "not measured"
    low, high = report.accuracy.interval
    return f"{report.accuracy.top1:.2f} % [{low:.2f}, {high:.2f}]"


def _size(report: Report) -> str:
    if report.size is None:
        return "not measured"
    return f"{report.size.size_bytes / wording.MIB:.4g} MiB ({report.size.size_bytes:,} bytes)"


def _latency(latency: Latency | None) -> str:
    return "not measured" if latency is None else f"{latency.median_ms:.3f} ms, {latency.p90_ms:.3f} ms"


def _ratio(value: float | None, better: str, worse: str) -> str:
    if value is None or value <= 0:
        return ""
    return f"{value:.2f} times {better}" if value >= 1 else f"{1 / value:.2f} times {worse}"


def _plain(text: str) -> str:
    """Keep a name from being read as markup of the card."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in text)

"""The README.md that leaves with an exported network: what it is, its numbers, how to run it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pipeline import files
from pipeline.protocols import NetworkFacts
from pipeline.report import Latency
from pipeline.runs import portable, wording
from pipeline.runs.export import Check
from pipeline.runs.state import RunState
from pipeline.runs.store import Run, read_environment

VERIFY = """\
All checksums are in `SHA256SUMS`. Check them in this folder with

```sh
sha256sum --check SHA256SUMS
```"""
LISTED_CLASSES = 200
"""More classes than these are left to the files' metadata."""


def write(run: Run, folder: Path, checks: Sequence[Check], usages: Mapping[str, str], facts: NetworkFacts) -> str:
    """Compose the card.

    Args:
        run: the finished run.
        folder: holds the files of the network.
        checks: what was written, and what it answered when it was opened again.
        usages: how the files of each format are opened; see ``protocols.Export.USAGE``.
        facts: about the network.

    Raises:
        PipelineError: a file of the run cannot be read.
    """
    recipe, state = run.recipe(), run.state()
    stages = ", then ".join(wording.stage_words(stage) for stage in recipe.stages)
    done = f"compressed: {_plain(stages)}." if stages else "as it was trained, without compression."
    parts = [
        f"# {_plain(recipe.name)}",
        f"The backbone {_plain(recipe.backbone)} on the dataset {_plain(recipe.dataset.name)}, {done}",
        "## Numbers",
        "\n".join(_numbers(state)),
        "\n\n".join(_conditions(state)),
        "## Files",
        "\n".join(_line(folder / name, check) for check in checks for name in check.files),
        VERIFY,
        "\n".join(f"- `{check.files[0]}`: {check.sentence}" for check in checks),
        "## How to run it",
        *_preprocessing(facts, checks),
        *(_usage(usages[check.format], check, facts) for check in checks),
        "## Classes",
        _classes(facts.classes),
        "## Provenance",
        *_provenance(run, state),
    ]
    return "\n\n".join(part.rstrip("\n") for part in parts if part) + "\n"


def _line(path: Path, check: Check) -> str:
    return f"- `{path.name}` ({check.format}), {path.stat().st_size:,} bytes, SHA-256 `{files.sha256(path)}`"


def _numbers(state: RunState) -> Iterator[str]:
    base, mine = state.baseline, state.deployed
    versus = mine.versus(base)
    yield "| | baseline (FP32) | this network | difference |"
    yield "|---|---|---|---|"
    for name, accuracy in mine.accuracies.items():
        theirs = base.accuracies.get(name)
        points = accuracy.top1 - theirs.top1 if theirs is not None else None
        difference = f"{wording.points(points, accuracy.versus_baseline)} points"
        yield (
            f"| top-1 in {name}, 95 % interval | {wording.accuracy(theirs)} | {wording.accuracy(accuracy)} "
            f"| {difference} |"
        )
    smaller = wording.times(versus.size_ratio, "smaller", "larger")
    yield f"| checkpoint | {wording.size(base.size)} | {wording.size(mine.size)} | {smaller} |"
    for name, latency in sorted(mine.latency.items()):
        faster = wording.times(versus.speedup.get(name), "faster", "slower")
        theirs_ms = wording.latency(base.latency.get(name))
        yield f"| latency in {name} | {theirs_ms} | {wording.latency(latency)} | {faster} |"


def _conditions(state: RunState) -> Iterator[str]:
    for name, accuracy in state.deployed.accuracies.items():
        said = [f"Accuracy: the file itself, run by {name} {accuracy.version} on all {accuracy.total:,} test images."]
        if accuracy.agreement is not None:
            said.append(f"It gives the answer of the trained network for {wording.agreement(accuracy)} of them.")
        if versus := wording.versus_baseline(accuracy):
            said.append(f"Beside the baseline's, top-1 is {versus}.")
        yield " ".join(said)
    size = state.deployed.size
    if size is not None:
        zeros = 1 - size.num_nonzero / size.num_parameters if size.num_parameters else 0.0
        yield (
            f"Checkpoint: the compact file as it lies on disk; {size.num_parameters:,} weights, {zeros:.1%} zero. "
            f"Not entropy-coded it would take {wording.bytes_of(size.dense_bytes)}."
        )
    for name, latency in sorted(state.deployed.latency.items()):
        yield _timing(name, latency)


def _timing(name: str, latency: Latency) -> str:
    machine = latency.machine
    version = machine.versions.get(latency.runtime, "")
    precision = wording.precision(latency)
    precision = f" Products by precision: {precision}." if precision else ""
    noisy = f" Not to be trusted: {reason}." if (reason := wording.contention(latency)) else ""
    return (
        f"Latency in {name}: {latency.runtime} {version}".rstrip() + f" on {_plain(machine.cpu)} "
        f"({machine.instruction_set}), {latency.threads} thread{'s' * (latency.threads != 1)}, batch "
        f"{latency.batch_size}, {latency.samples:,} calls, interleaved with the baseline.{precision}{noisy}"
    )


def _preprocessing(facts: NetworkFacts, checks: Sequence[Check]) -> Iterator[str]:
    """Say what the network takes, once for all formats."""
    if any(check.lowered for check in checks):
        channels, height, width = facts.shape
        yield (
            f"Images are raw pixels: uint8 `(N, {channels}, {height}, {width})` from 0 to 255, any N, channels in the "
            "order of the dataset (RGB where there are three). Give no other preprocessing: the network itself "
            "subtracts the mean and divides by the deviation. Images that were scaled to [0, 1] or normalised before "
            "are refused, or, by a runtime that converts them to uint8, turn black, and the answers mean nothing. "
            "Logits are float32, one for each class; the largest is the answer."
        )


def _usage(usage: str, check: Check, facts: NetworkFacts) -> str:
    shape = (1, *facts.shape)
    text = usage.format(file=check.files[0], shape=shape, mean=list(facts.mean), std=list(facts.std))
    return f"### {check.format}\n\n{text}"


def _classes(names: Sequence[str]) -> str:
    listed = ", ".join(f"{number}: {_plain(name)}" for number, name in enumerate(names[:LISTED_CLASSES]))
    rest = len(names) - LISTED_CLASSES
    return listed + (f", and {rest:,} more in the files' metadata under `classes`." if rest > 0 else ".")


def _provenance(run: Run, state: RunState) -> Iterator[str]:
    found = read_environment(run)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.get("versions", {}).items()))
    where = f" on {_plain(str(found['cpu']))}" if "cpu" in found else ""
    yield (
        f"Made by pqd-workbench; run `{run.id}`, trained on {state.device or 'an unknown device'}{where}"
        f"{f', with {_plain(versions)}' if versions else ''}. `report.json` holds every number; `recipe.toml` says "
        "exactly how it was made:"
    )
    recipe = portable.toml(run.recipe()).strip()
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", recipe)), default=0))  # one that no name in it can end
    yield f"{fence}toml\n{recipe}\n{fence}"


def _plain(text: str) -> str:
    """Keep a name from being read as markup of the card."""
    return "".join(f"\\{letter}" if letter in r"\`*_[]<>|#" else letter for letter in text)

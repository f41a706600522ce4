"""``show``: everything about one run."""

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.runs import wording
from pipeline.runs.store import RunStore, read_environment
from workbench import locations
from workbench.cli import exit_codes, numbers, output, reporting


def main(arguments: argparse.Namespace) -> int:
    """Print what the run is, its numbers, the recipe, the surroundings and what to do next, or all of it as JSON.

    Raises:
        PipelineError: there is no such run, or it cannot be read.
    """
    run = RunStore(locations.store_folder(arguments.store)).open(arguments.run)
    if arguments.json:
        output.document(run.describe())
        return exit_codes.DONE
    state = run.state()
    reporting.report(run, state, store=arguments.store)
    misfortune = reporting.misfortune(run, state)
    if misfortune is not None:
        output.say(misfortune)
    layers = state.stages[-1].layer_sparsity if state.stages else {}
    size = state.deployed.size
    if size is not None and size.tensors:
        output.say("\nthe deployed checkpoint; bits: a value in the file, and at its entropy bound")
        output.console().print(numbers.layers(size, all_of_them=arguments.layers))
    elif any(layers.values()):
        listed = ", ".join(f"{name} {wording.percent(100 * share, 1)}" for name, share in layers.items())
        output.say(f"\nzeros by layer: {listed}")
    output.say(f"\nrecipe\n{_indented(run.recipe().to_toml())}")
    environment = read_environment(run)
    if environment:
        output.say("\nenvironment\n" + "\n".join(f"  {line}" for line in _lines(environment)))
    output.say("")
    reporting.ending(run, state, store=arguments.store)
    return exit_codes.DONE


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.rstrip().splitlines())


def _lines(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}: {value}"

"""``run``: launch a recipe in a process of its own and follow it."""

import argparse
import json
from pathlib import Path

import msgspec

from pipeline import options, presets, recipe
from pipeline.errors import RecipeError
from pipeline.recipe import Recipe
from pipeline.runs import process
from pipeline.runs.index import Index
from pipeline.runs.store import Run, RunStore
from workbench import locations
from workbench.cli import exit_codes, follow, output, reporting
from workbench.estimates import Estimator


def main(arguments: argparse.Namespace) -> int:
    """Launch, then follow unless told to detach.

    Raises:
        PipelineError: the recipe, its data or the store is not as it must be.
        Refusal: there is no such preset, or the data is absent.
    """
    wanted = load(arguments)
    if arguments.dry_run:
        return plan(wanted, arguments)
    refuse_absent_data(wanted)
    run = process.launch(RunStore(locations.store_folder(arguments.store)), wanted, queue=arguments.queue)
    return launched(run, arguments)


def plan(wanted: Recipe, arguments: argparse.Namespace) -> int:
    """Print what a launch would do and cost, and launch nothing.

    Raises:
        OSError: the store cannot be read.
    """
    store = RunStore(locations.store_folder(arguments.store))
    index = Index(store)
    index.look()
    found = Estimator(store).plan(wanted, index.rows)
    if arguments.json:
        output.document(found.document() | {"recipe": wanted.document()})
        return exit_codes.DONE
    table = output.table("stage", "epochs", "", "time", right=("epochs", "time"), whole=("stage", ""))
    for entry in found.entries:
        stage, epochs, what, time = entry.cells()
        table.add_row(stage, epochs.partition(" ")[0], what, time)
    output.console().print(table)
    for line in found.lines():
        output.say(line)
    if found.absent and found.can_download:
        output.say("--download lets the run download it.")
    return exit_codes.DONE


def launched(run: Run, arguments: argparse.Namespace) -> int:
    """Say which run was launched, then follow it unless told to detach.

    Raises:
        PipelineError: a file of the run cannot be read.
    """
    if arguments.detach:
        if arguments.json:
            output.document({"id": run.id, "folder": str(run.folder)})
        else:
            output.say(run.id)
            output.remark(f"To follow it: {reporting.command(arguments.store, 'watch', run.id)}")
        return exit_codes.DONE
    (output.remark if arguments.json else output.say)(f"run {run.id}")
    return follow.to_the_end(run, arguments)


def load(arguments: argparse.Namespace) -> Recipe:
    """Read the recipe that the command line names, with its changes.

    Raises:
        Refusal: there is no such preset or file.
        RecipeError: the recipe or a change to it is wrong.
    """
    try:
        path = presets.find(arguments.recipe, locations.presets_folder())
    except RecipeError as error:
        raise exit_codes.Refusal(str(error), exit_codes.NOT_FOUND) from None
    overrides = list(arguments.overrides)
    if arguments.name is not None:
        overrides.append(f"name={json.dumps(arguments.name, ensure_ascii=False)}")
    if arguments.seed is not None:
        overrides.append(f"seed={arguments.seed}")
    wanted = recipe.load(path, overrides=overrides)
    declared = {option.name for option in options.options_of(type(wanted.dataset))}
    if arguments.download and "download" in declared:
        dataset = msgspec.structs.replace(wanted.dataset, download=True)
        return msgspec.structs.replace(wanted, dataset=dataset)
    return wanted


def refuse_absent_data(wanted: Recipe) -> None:
    """Find out before the launch what the run would fail for at once.

    Raises:
        Refusal: the dataset or a checkpoint is not there.
    """
    absent = wanted.dataset.absent()
    if absent is not None:
        raise exit_codes.Refusal(absent)
    for where, path in wanted.paths.items():
        if not Path(path).is_file():
            raise exit_codes.Refusal(f"{where}: there is no file {path!r}.")

"""``annotate``: tags, a note and a pin of runs, as a person gives them."""

import argparse

import msgspec

from pipeline.runs.annotations import Annotations, problem_of
from pipeline.runs.store import RunStore
from workbench import locations
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Change what is asked for, in all of the runs or in none, and print what they have then.

    Raises:
        PipelineError: there is no such run, or what it has cannot be read or written.
        Refusal: a tag or the note is not legal.
    """
    store = RunStore(locations.store_folder(arguments.store))
    known = {run.id: run.annotations() for run in map(store.open, arguments.runs)}
    wanted = {run_id: _changed(found, arguments) for run_id, found in known.items()}
    for problem in filter(None, map(problem_of, wanted.values())):
        raise exit_codes.Refusal(problem)
    for run_id, annotations in wanted.items():
        if annotations != known[run_id]:
            store.run(run_id).annotate(annotations)
    if arguments.json:
        output.document([{"run": run_id, **msgspec.to_builtins(found)} for run_id, found in wanted.items()])
        return exit_codes.DONE
    for run_id, found in wanted.items():
        output.say("  ".join([run_id, *["pinned"] * found.pinned, *(f"#{tag}" for tag in found.tags)]))
        for line in found.note.splitlines():
            output.say(f"  {line}")
    return exit_codes.DONE


def _changed(known: Annotations, arguments: argparse.Namespace) -> Annotations:
    return msgspec.structs.replace(
        known.tagged(*([tag.removeprefix("#") for tag in tags] for tags in (arguments.tags, arguments.untags))),
        note=known.note if arguments.note is None else arguments.note.rstrip(),
        pinned=known.pinned if arguments.pinned is None else arguments.pinned,
    )

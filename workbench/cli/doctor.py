"""``doctor``: look over this machine, the store and the terminal."""

import argparse

from msgspec import structs

from workbench import doctor, locations
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Print each fact as soon as it is known, or all of them as JSON; 1 when something is bad."""
    found = []
    for fact in doctor.facts(locations.store_folder(arguments.store)):
        found.append(fact)
        if not arguments.json:
            output.say(doctor.line(fact))
    bad = any(fact.outcome == "bad" for fact in found)
    if arguments.json:
        output.document({"passed": not bad, "facts": [structs.asdict(fact) for fact in found]})
    return exit_codes.RUN_FAILED if bad else exit_codes.DONE

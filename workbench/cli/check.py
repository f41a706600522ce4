"""``check``: try whether a backbone can be trained, pruned, quantised, exported and run."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from pipeline import catalog
from workbench.cli import exit_codes, output


def main(arguments: argparse.Namespace) -> int:
    """Print what each check finds as soon as it is known, or all of it as JSON.

    Raises:
        UnknownPlugin: no backbone has that name.
        Refusal: a size makes no sense, or the process that checks ended without a word.
    """
    catalog.check("backbones", arguments.backbone)
    for name, least in (("classes", 2), ("channels", 1), ("side", 1)):
        if getattr(arguments, name) < least:
            raise exit_codes.Refusal(f"--{name} is {getattr(arguments, name)}; it must be at least {least}.")
    found = []
    for finding in _findings(arguments):
        found.append(finding)
        if not arguments.json:
            output.say(f"{finding['outcome']:<5} {finding['check']:<10}  {finding['text']}")
    failed = [finding["check"] for finding in found if finding["outcome"] == "fail"]
    if arguments.json:
        output.document({"backbone": arguments.backbone, "passed": not failed, "findings": found})
    else:
        output.say(f"{arguments.backbone} " + (f"fails: {', '.join(failed)}." if failed else "can be compressed."))
    return exit_codes.RUN_FAILED if failed else exit_codes.DONE


def _findings(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Check in a process of its own: torch and a person's code stay out of this one."""
    command = [sys.executable, "-m", "pipeline", "check", arguments.backbone]
    for name in ("classes", "channels", "side"):
        command += [f"--{name}", str(getattr(arguments, name))]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode not in (0, 1):
        raise exit_codes.Refusal(
            f"the process that checks ended with {process.returncode}; what it said stands above.", exit_codes.TROUBLE
        )

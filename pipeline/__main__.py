"""Entry of the pipeline process; people use ``pqd-workbench``."""

import argparse
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GRACE_S = 3.0
"""Seconds that a main thread that was interrupted has to leave."""


def main() -> int:
    """Read the command line of whoever launched this process and do what it says."""
    parser = argparse.ArgumentParser(prog="python -m pipeline")
    verbs = parser.add_subparsers(dest="verb", required=True)
    work = verbs.add_parser("work", help="do the run in a folder")
    work.add_argument("folder", type=Path)
    work.add_argument("--lock", type=int, required=True, help="descriptor that holds run.lock")
    check = verbs.add_parser("check", help="try a backbone; one JSON record a line for each check")
    check.add_argument("backbone")
    check.add_argument("--classes", type=int, required=True)
    check.add_argument("--channels", type=int, required=True)
    check.add_argument("--side", type=int, required=True)
    measure = verbs.add_parser("measure", help="measure finished runs again; one JSON record a line")
    measure.add_argument("folders", type=Path, nargs="+")
    measure.add_argument("--wanted", default="{}", help="a record pipeline.remeasure.Wanted as JSON")
    export = verbs.add_parser("export", help="leave a finished run in a folder; one JSON record a line")
    export.add_argument("run", type=Path)
    export.add_argument("--to", type=Path, required=True)
    export.add_argument("--name", required=True, help="of the folder that is made in --to")
    export.add_argument("--temporary", required=True, help="its name until it is whole")
    export.add_argument("formats", nargs="+")
    verbs.add_parser("doctor", help="look over this machine; one JSON record a line for each fact")
    arguments = parser.parse_args()
    if arguments.verb == "doctor":
        return _doctor()
    if arguments.verb == "check":
        return _check(arguments)
    if arguments.verb == "export":
        return _export(arguments)
    if arguments.verb == "measure":
        return _measure(arguments)

    from pipeline import worker

    return worker.work(arguments.folder, arguments.lock)


def _check(arguments: argparse.Namespace) -> int:
    """Write what each check finds; returns 1 when one fails."""
    from pipeline import check
    from pipeline.errors import PipelineError

    failed = False

    def tell(finding: check.Finding) -> None:
        nonlocal failed
        failed = failed or finding.outcome == "fail"
        write(finding)

    write = _records()
    shape = {"num_classes": arguments.classes, "in_channels": arguments.channels}
    try:
        model = check.build(arguments.backbone, **shape)
        count = sum(tensor.numel() for tensor in model.parameters())
        tell(check.Finding(check="build", outcome="pass", text=f"it builds, with {count:,} parameters."))
        for finding in check.findings(model, **shape, side=arguments.side):
            tell(finding)
    except PipelineError as error:
        tell(check.Finding(check="build", outcome="fail", text=str(error)))
    except KeyboardInterrupt:
        return 130
    return int(failed)


def _doctor() -> int:
    """Write each fact as soon as it is known."""
    from pipeline import doctor

    write = _records()
    for fact in doctor.facts():
        write(fact)
    return 0


def _measure(arguments: argparse.Namespace) -> int:
    """Write what goes on, then put the numbers on the runs' records; returns 1 when something was not measured."""
    import msgspec

    from pipeline import remeasure
    from pipeline.runs.store import Run

    failures: set[str] = set()

    def tell(told: remeasure.Told) -> None:
        # One reason can keep many files from being measured.
        if told.text not in failures:
            write(told)
        failures.update([told.text] if told.failed else [])

    write = _records()
    wanted = msgspec.json.decode(arguments.wanted, type=remeasure.Wanted)
    try:
        facts = remeasure.measure([Run(folder) for folder in arguments.folders], wanted, tell=tell)
        # From here on it takes an instant, and half of it would be worse than all of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        remeasure.record(facts, tell=tell)
    except KeyboardInterrupt:
        return 130
    return int(bool(failures))


def _records() -> Callable[[Any], None]:
    """Give what writes records, one a line; what a person's own code prints must not stand between them."""
    import msgspec

    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return lambda record: print(msgspec.json.encode(record).decode(), file=answer, flush=True)


def _export(arguments: argparse.Namespace) -> int:
    """Write how far it is and what came of it; returns 1 when that is an error, 130 when standard input ended first."""
    write = _records()
    _leave_when_left(arguments.to / arguments.temporary)
    # A training or a timing on this machine comes first.
    os.nice(5)
    from pipeline.errors import PipelineError
    from pipeline.exports import _folder
    from pipeline.runs.export import Answer
    from pipeline.runs.store import Run

    run, target = Run(arguments.run), arguments.to / arguments.name
    try:
        made = _folder.make(run, target, arguments.formats, temporary=arguments.to / arguments.temporary, tell=write)
        said = Answer(checks=made.checks, files=made.files)
    except PipelineError as error:
        said = Answer(error=type(error).__name__, sentence=str(error))
    except KeyboardInterrupt:
        return 130
    write(said)
    return int(bool(said.error))


def _leave_when_left(temporary: Path) -> None:
    """Interrupt the main thread once, by a signal or at the end of standard input; what then tidies up is let alone.

    A main thread that does not hear it, in a long call or where the exception was swallowed, is ended a little later.
    """
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def leave(*_: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def watch() -> None:
        while os.read(0, 4096):
            pass
        signal.pthread_kill(main_thread, signal.SIGTERM)
        time.sleep(GRACE_S)
        shutil.rmtree(temporary, ignore_errors=True)
        os._exit(130)

    for number in numbers:
        signal.signal(number, leave)
    main_thread = threading.get_ident()
    threading.Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

"""Entry of the pipeline process; people use ``pqd-workbench``."""

import argparse
import os
import sys
from pathlib import Path


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
    arguments = parser.parse_args()
    if arguments.verb == "check":
        return _check(arguments)

    from pipeline import worker

    return worker.work(arguments.folder, arguments.lock)


def _check(arguments: argparse.Namespace) -> int:
    """Write what each check finds; returns 1 when one fails."""
    import msgspec

    from pipeline import check
    from pipeline.errors import PipelineError

    failed = False

    def tell(finding: check.Finding) -> None:
        nonlocal failed
        failed = failed or finding.outcome == "fail"
        print(msgspec.json.encode(finding).decode(), file=answer, flush=True)

    # What a person's own code prints must not stand between the records.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
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


if __name__ == "__main__":
    sys.exit(main())

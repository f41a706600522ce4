"""``pqd-workbench``: without a verb the app, else one verb, headless.

Answers go to stdout, everything else to stderr. Torch is never imported here.
"""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from pipeline.errors import PipelineError
from workbench.cli import exit_codes, parser


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; returns the exit code (``workbench.cli.exit_codes``).

    Args:
        argv: the arguments after the program's name; None for those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _main(argv)
        if sys.stdout is not None:
            sys.stdout.flush()
    except (PipelineError, exit_codes.Refusal) as error:
        print(f"pqd-workbench: {error}", file=sys.stderr)
        return exit_codes.code_of(error)
    except KeyboardInterrupt:
        return exit_codes.DETACHED
    except BrokenPipeError:
        # Whoever read our output has had enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return exit_codes.DONE
    except OSError as error:
        place = f" {str(error.filename)!r}" if error.filename else ""
        print(f"pqd-workbench: the system refused{place}: {error.strerror}.", file=sys.stderr)
        return exit_codes.TROUBLE
    return code


def _main(argv: Sequence[str] | None) -> int:
    declared = parser.make()
    arguments = declared.parse_args(argv)
    if arguments.version:
        print(f"pqd-workbench {_version()}")
        return exit_codes.DONE
    if arguments.verb is not None:
        code: int = importlib.import_module(f"workbench.cli.{arguments.verb}").main(arguments)
        return code
    is_served = "TEXTUAL_DRIVER" in os.environ
    if not is_served and not all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout)):
        declared.print_help()
        raise exit_codes.Refusal("the app needs a terminal, and this is none; name a verb.")
    return _open_app(arguments)


def _open_app(arguments: argparse.Namespace) -> int:
    from workbench import start

    flags = {name: getattr(arguments, name) for name in start.FLAGS}
    return start.open_app(arguments.store, flags, forget_view=bool(arguments.reset_view))


def _version() -> str:
    from importlib import metadata

    return metadata.version("pqd-workbench")

"""The verbs and flags of ``pqd-workbench``, declared without importing what they do."""

import argparse
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from workbench.cli import exit_codes
from workbench.locations import CONFIG_VARIABLE, STATE_VARIABLE, STORE_VARIABLE

VERBS: dict[str, str] = {
    "run": "launch a recipe and follow it",
    "list": "list the runs, newest first",
    "show": "show the numbers, the recipe and the surroundings of a run",
    "watch": "follow a run that was launched before",
    "stop": "end a run; what its finished stages learnt is kept",
    "resume": "launch the recipe of an unfinished run again; an interrupted stage goes on where it was",
    "delete": "put runs that are over into the trash, which keeps them for a day",
    "restore": "bring runs back from the trash",
    "annotate": "add tags, a note or a pin to runs, and show what they have",
    "queue": "show the runs that wait for their turn, or change how many go on at once",
    "measure": "measure finished runs again, side by side on this machine",
    "export": "leave finished runs in a folder, as files that other software opens",
    "frontier": "compare finished runs by accuracy, size and latency",
    "compare": "set runs side by side: where their recipes differ, and what came of it",
    "metrics": "give every number that trainings recorded, as a table or a document",
    "check": "try whether a backbone of your own can be trained, pruned, quantised and exported",
    "presets": "list, print or copy the recipes that come with the workbench",
    "config": "show, check and edit the settings of the workbench",
    "doctor": "look over this machine, the store and the terminal, and say how to mend what is missing",
    "serve": "show the app in a browser of this machine",
}
"""One phrase for each verb; each is a module of this package."""

RUN_HELP = "an id, its beginning or ending, the name of a recipe (its newest run), or 'last'"

FILTER_HELP = "only the runs that pass, as in 'top1>90 size<2MiB !failed' or 'tag:int8 | pinned'"


class Parser(argparse.ArgumentParser):
    """Answers a wrong command line with one sentence; a verb declares its flags when it is the one that is asked."""

    declare: "Callable[[Parser], None] | None" = None
    """Declares the flags; None once it did."""

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> tuple[Any, list[str]]:  # type: ignore[override]
        """Declare, then read the command line."""
        if self.declare is not None:
            self.declare(self)
            self.declare = None
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        unknown = re.match(r"argument VERB: invalid choice: '(.*?)' ", message)
        if unknown:
            import difflib

            near = difflib.get_close_matches(unknown[1], VERBS, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            message = f"there is no verb {unknown[1]!r}; {hint}Known: {', '.join(VERBS)}"
        raise exit_codes.Refusal(f"{message}; see '{self.prog} --help'.")


def make() -> Parser:
    """Build the parser of the whole command line; ``verb`` is None where none is given."""
    parser = Parser(
        prog="pqd-workbench",
        description="Compress neural networks: prune, quantize, distill, in any order. Without a verb the app opens.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("--store", metavar="PATH", help="folder of the runs")
    _app(parser)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for verb, phrase in VERBS.items():
        sub = verbs.add_parser(verb, help=phrase, description=f"{phrase[0].upper()}{phrase[1:]}.", allow_abbrev=False)
        # Suppressed: what stands before the verb holds unless it is said again after it.
        sub.add_argument("--store", metavar="PATH", default=argparse.SUPPRESS, help="folder of the runs")
        sub.declare = _declare[verb]
    return parser


def _app(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    app = parser.add_argument_group("the app")
    flags: dict[str, Any] = {"action": "store_true", "default": default}
    app.add_argument("--read-only", help="change nothing in the store", **flags)
    app.add_argument("--low-bandwidth", help="draw little, for a slow line", **flags)
    app.add_argument(
        "--fps", type=_fps, metavar="N", default=default,
        help="frames a second at most, 1 to 60 (60; for a slow line 4)",
    )  # fmt: skip
    app.add_argument(
        "--theme", metavar="NAME", default=default,
        help="auto, dark, light, high-contrast, colour-blind, ansi or another",
    )  # fmt: skip
    app.add_argument("--reset-view", help="forget filter, order and whatever else was left so", **flags)


def _fps(text: str) -> int:
    """Take a number of frames a second."""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 60")
    return int(text)


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("recipe", metavar="PRESET_OR_FILE", help="the name of a preset, or a recipe file (.toml)")
    parser.add_argument(
        "--set", metavar="KEY.PATH=VALUE", action="append", default=[], dest="overrides",
        help="replace a value of the recipe, as in stages.0.sparsity=0.8; may be given again",
    )  # fmt: skip
    parser.add_argument("--name", help="call the run so instead of by the recipe's name")
    parser.add_argument("--seed", type=int, metavar="N", help="start of every random stream")
    parser.add_argument("--dry-run", action="store_true", help="say what it would train, reuse and need; launch none")
    parser.add_argument("--download", action="store_true", help="let the dataset be downloaded if it is absent")
    _launched(parser)


def _launched(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--queue", action="store_true", help="let it wait for its turn; see the verb queue")
    parser.add_argument("--detach", action="store_true", help="print the id and return at once")
    _json(parser, "print one JSON document at the end; progress goes to stderr")


def _list(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("filter", metavar="FILTER", nargs="*", help=FILTER_HELP)
    _json(parser)


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument("--layers", action="store_true", help="list every tensor of the checkpoint")
    _json(parser)


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", nargs="?", default="last", help=f"{RUN_HELP} (default)")
    _json(parser, "print one JSON document at the end; progress goes to stderr")


def _stop(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    parser.add_argument(
        "--after", choices=("epoch", "stage"),
        help="let it end the epoch or the stage at work; default: it ends at its next step",
    )  # fmt: skip
    parser.add_argument("--withdraw", action="store_true", help="let it go on after all, as long as it does")
    parser.add_argument("--no-wait", action="store_true", help="ask, and do not wait until it is over")


def _resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=RUN_HELP)
    _launched(parser)


def _delete(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_HELP)
    _json(parser)


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help=f"of the trash: {RUN_HELP}; default: all runs of the last deletion"
    )
    _json(parser)


def _annotate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_HELP)
    parser.add_argument(
        "--tag", metavar="TAG", action="append", default=[], dest="tags", help="add a word; may be given again"
    )
    parser.add_argument(
        "--untag", metavar="TAG", action="append", default=[], dest="untags",
        help="take a word away; may be given again",
    )  # fmt: skip
    parser.add_argument("--note", metavar="TEXT", help="replace the note; an empty one takes it away")
    pin = parser.add_mutually_exclusive_group()
    pin.add_argument("--pin", action="store_true", default=None, dest="pinned", help="keep above the others in the app")
    pin.add_argument("--unpin", action="store_false", default=None, dest="pinned", help="let go")
    _json(parser)


def _queue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, metavar="N", help="let N runs go on at once")
    parser.add_argument("--start", metavar="RUN", help="let a waiting run begin at once, whatever goes on")
    parser.add_argument("--first", metavar="RUN", help="put a waiting run before all others")
    _json(parser)


def _measure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="*", help=RUN_HELP)
    parser.add_argument("--all", action="store_true", help="all finished runs of the store")
    parser.add_argument("--report", action="store_true", help="60 s and 1,000 calls of each file at least")
    parser.add_argument(
        "--runtime", metavar="NAME", action="append", dest="runtimes",
        help="what executes the files; may be given again; default: as each recipe says",
    )  # fmt: skip
    parser.add_argument("--threads", type=int, metavar="N", help="threads of the runtime; default: as each recipe says")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", action="append", dest="batch_sizes",
        help="images in a call; may be given again; default: as each recipe says",
    )  # fmt: skip
    _json(parser, "print the runs as one JSON document at the end; progress goes to stderr")


def _export(parser: argparse.ArgumentParser) -> None:
    from pipeline import catalog
    from pipeline.runs import naming

    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_HELP)
    parser.add_argument("--to", metavar="FOLDER", required=True, help="each run gets a folder of its own here")
    parser.add_argument(
        "--format", metavar="FORMAT", action="append", dest="formats",
        help=f"{', '.join(catalog.names('exports'))}; may be given again; default: all that can be written",
    )  # fmt: skip
    known = ", ".join(f"{{{name}}}" for name in naming.fields)
    parser.add_argument(
        "--name", metavar="TEMPLATE", default=naming.DEFAULT,
        help=f"of each run's folder, with {known} (default: {naming.DEFAULT})",
    )  # fmt: skip
    _json(parser, "print files, checksums and checks as one JSON document; progress goes to stderr")


def _frontier(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("filter", metavar="FILTER", nargs="*", help="show the runs that pass, as the line / of the app")
    for axis, default, words in (
        ("x", "size", "what to sort and to plot by"),
        ("y", "top1", "what stands on the other axis"),
        ("z", "latency", "the third quantity of the front"),
    ):
        parser.add_argument(
            f"--{axis}", type=_quantity, metavar="QUANTITY", default=default, help=f"{words} ({default})"
        )
    parser.add_argument("--all", action="store_true", help="also measured runs that did not finish")
    parser.add_argument(
        "--out", metavar="FILE", action="append", default=[],
        help="write the figure; the ending decides: .svg .png .txt .csv .json; may be given again",
    )  # fmt: skip
    _json(parser)


def _quantity(text: str) -> str:
    """Take the name of a quantity that can stand on an axis."""
    from workbench.columns import columns

    known = [column.key for column in columns.values() if column.is_number]
    if text not in known:
        raise argparse.ArgumentTypeError(f"invalid choice: {text!r} (choose from {', '.join(known)})")
    return text


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help=f"{RUN_HELP}; the first is what others are compared with"
    )
    parser.add_argument("--all", action="store_true", help="also what is equal in all runs")
    parser.add_argument("--out", metavar="FILE", help="write the table; .csv or .txt")
    _json(parser)


def _metrics(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="+", help=RUN_HELP)
    parser.add_argument("--out", metavar="FILE", help="write them; .csv or .json")
    _json(parser)


def _check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("backbone", metavar="BACKBONE", help="package.module:build, or a name of the catalogue")
    parser.add_argument("--classes", type=int, default=10, metavar="N", help="classes of the logits (10)")
    parser.add_argument("--channels", type=int, default=3, metavar="N", help="channels of the images (3)")
    parser.add_argument("--side", type=int, default=32, metavar="PIXELS", help="side of the images (32)")
    _json(parser)


def _presets(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help="print this preset")
    parser.add_argument("--copy", metavar="FILE", help="write the preset to a new file, to be changed")


def _config(parser: argparse.ArgumentParser) -> None:
    from workbench.cli.config import ACTIONS

    words = "; ".join(f"{name}: {phrase}" for name, phrase in ACTIONS.items())
    parser.add_argument("action", metavar="ACTION", choices=tuple(ACTIONS), nargs="?", default="show", help=words)
    _json(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    _json(parser)


def _serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="port on 127.0.0.1 (8000)")
    # Suppressed, as the store: said before the verb or after it.
    _app(parser, argparse.SUPPRESS)


def _json(parser: argparse.ArgumentParser, words: str = "print one JSON document") -> None:
    parser.add_argument("--json", action="store_true", help=words)


_declare = {verb: globals()[f"_{verb}"] for verb in VERBS}


def _epilog() -> str:
    codes = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in exit_codes.MEANINGS.items())
    return (
        f"exit codes:\n{codes}\n\nenvironment:\n"
        f"  {STORE_VARIABLE}   folder of the runs, where --store is not given\n"
        f"  {CONFIG_VARIABLE}  folder of the settings and of saved presets\n"
        f"  {STATE_VARIABLE}   folder of what is remembered of the view, and of the workbench's own log\n"
        f"  PQD_THEME, PQD_MARKER, PQD_...  a setting, as in config.toml\n"
        f"  NO_COLOR              no colours"
    )

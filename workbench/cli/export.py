"""``export``: leave finished runs in a folder, as files that other software opens."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline import catalog
from pipeline.errors import ExportError, PipelineError
from pipeline.runs import export, naming
from pipeline.runs.export import Exported, Progress
from pipeline.runs.rows import row_of
from pipeline.runs.store import Run, RunStore
from workbench import exporting, locations
from workbench.cli import exit_codes, output

Tell = Callable[[Progress], None]


def main(arguments: argparse.Namespace) -> int:
    """Export each run into a folder of its own, and say where; what one run lacks does not keep the others back.

    Raises:
        PipelineError: a run or a format is unknown, or a run is not finished. Nothing has been written then.
        Refusal: the template of the names is wrong, or two runs would have one name.
    """
    store = RunStore(locations.store_folder(arguments.store))
    for name in arguments.formats or ():
        catalog.check("exports", name)
    # All are looked up before the first is written: a slip of the finger costs nothing.
    runs = list({run.id: run for run in map(store.open, arguments.runs)}.values())
    formats = [export.choose(run, arguments.formats) for run in runs]
    names = _names(arguments.name, runs)
    documents, code = [], exit_codes.DONE
    for run, chosen, name in zip(runs, formats, names, strict=True):
        try:
            with _view(run, chosen) as tell:
                made = export.export(run, Path(arguments.to).expanduser(), chosen, name=name, progress=tell)
        except PipelineError as error:
            output.remark(f"pqd-workbench: {error}")
            documents.append({"run": run.id, "error": str(error)})
            code = code or exit_codes.code_of(error)
        else:
            documents.append(_document(run, made))
            if not arguments.json:
                _say(run, made)
    if arguments.json:
        output.document(documents)
    return code


def _names(template: str, runs: Sequence[Run]) -> list[str]:
    try:
        return naming.names(template, [row_of(run.id, run.recipe(), run.state(), run.annotations()) for run in runs])
    except ExportError as error:
        raise exit_codes.Refusal(str(error)) from None


def _document(run: Run, made: Exported) -> dict[str, Any]:
    return {"run": run.id, "folder": str(made.folder), "files": made.files, "checks": made.checks}


def _say(run: Run, made: Exported) -> None:
    output.say(f"{run.id}: exported to {made.folder}")
    for one in made.files:
        output.say(f"  {one.name}  {one.bytes:,} bytes  sha256 {one.sha256}")
    for check in made.checks:
        output.say(f"  {check.files[0]}: {check.sentence}")


@contextlib.contextmanager
def _view(run: Run, formats: Sequence[str]) -> Iterator[Tell]:
    """Show one line for each format while they are written; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Group
    from rich.live import Live
    from rich.table import Table
    from rich.text import Text

    told: dict[str, Progress] = {}

    def drawn() -> Group:
        table = Table.grid(padding=(0, 2))
        for justify in ("left", "left", "right", "left"):
            table.add_column(justify=justify)
        for name in formats:
            table.add_row(*map(Text, exporting.row(name, told.get(name))))
        return Group(Text(f"exporting {run.id}"), table)

    with Live(drawn(), console=output.console(stderr=True), auto_refresh=False, transient=True) as live:

        def tell(progress: Progress) -> None:
            told[progress.format] = progress
            live.update(drawn(), refresh=True)

        live.refresh()
        yield tell

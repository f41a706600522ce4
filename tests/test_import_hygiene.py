"""Who imports what, in fresh interpreters: a deferred import is invisible to a graph of the source."""

import subprocess
import sys

import pytest

from pipeline.runs.store import RunStore
from tests.workbench import fakes

heavy = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "openvino", "sklearn", "safetensors", "PIL")


def modules_after(code: str, *, is_whole: bool = False) -> set[str]:
    """Run code in a new interpreter; returns the top-level, or the whole, names of what it imported."""
    name = "name" if is_whole else "name.partition('.')[0]"
    script = f"{code}\nimport sys\nprint('\\n'.join({{{name} for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


read_every_preset = (
    "from pipeline import catalog, presets, recipe\n"
    "for path in presets.presets().values(): recipe.load(path)\n"
    "for kind in catalog.single:\n"
    "    for name in catalog.names(kind): catalog.describe(kind, name)\n"
)


@pytest.mark.parametrize(
    "code",
    [
        "import workbench.app",
        "import workbench.cli",
        "import pipeline.runs.store, pipeline.runs.process, pipeline.runs.export, pipeline.keys",
        read_every_preset,
    ],
    ids=["the app", "the verbs", "the read API", "every preset"],
)
def test_what_a_person_waits_for_imports_nothing_heavy(code):
    assert not modules_after(code) & set(heavy)


open_runs = """
import asyncio, sys
from pathlib import Path
from pipeline.runs.store import RunStore
from workbench.app import Workbench

async def main():
    app = Workbench(RunStore(Path({store!r})), Path({store!r}))
    async with app.run_test(size=(80, 24)) as pilot:
        while app.shelf.rows is None or not app.shelf.is_complete:
            await pilot.pause(0.01)
        assert app.current_mode == "runs"

asyncio.run(main())
"""
unneeded = {*heavy, "plotext", "textual_plotext", "numpy", "tomlkit", "psutil", "constriction"}


def test_the_list_of_runs_opens_without_what_only_other_screens_need(tmp_path):
    store = RunStore(tmp_path)
    ours = fakes.recipe_of("pq", "PQ")
    fakes.add_run(store, ours, fakes.whole(ours))
    found = modules_after(open_runs.format(store=str(tmp_path))) & unneeded
    assert not found


def test_the_first_frame_waits_for_neither_plug_ins_nor_what_reads_the_store():
    before = modules_after("import textual.app, textual.widgets", is_whole=True)
    app = modules_after("import workbench.cli, workbench.app", is_whole=True)
    ours = app - before
    assert not ours & {"sqlite3", "tomli", "tomlkit", "difflib", "importlib.metadata", "json"}
    assert not ours & {"pipeline.recipe", "pipeline.catalog", "pipeline.runs.index", "pipeline.runs.description"}


def test_reading_the_command_line_imports_neither_the_app_nor_the_catalogue():
    code = "from workbench.cli import parser; parser.make().parse_args(['--store', 'x'])"
    assert not modules_after(code, is_whole=True) & {"textual", "rich", "pipeline.catalog", "importlib.metadata"}


def test_the_pipeline_runs_where_there_is_no_terminal_interface():
    block = "import sys\nfor name in ('textual', 'textual_plotext', 'plotext', 'rich'): sys.modules[name] = None\n"
    imported = modules_after(f"{block}import pipeline.worker, pipeline.deployment, pipeline.engine.training")
    assert "torch" in imported


def test_the_timing_process_does_not_import_torch():
    assert "torch" not in modules_after("import pipeline.measure.latency, pipeline.runtimes.onnxruntime")

"""Who imports what, in fresh interpreters: a deferred import is invisible to a graph of the source."""

import subprocess
import sys

import pytest

heavy = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript", "openvino", "sklearn", "safetensors", "PIL")


def modules_after(code: str) -> set[str]:
    """Run code in a new interpreter; returns the top-level names of what it imported."""
    script = f"{code}\nimport sys\nprint('\\n'.join({{name.partition('.')[0] for name in sys.modules}}))"
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


def test_the_pipeline_runs_where_there_is_no_terminal_interface():
    block = "import sys\nfor name in ('textual', 'textual_plotext', 'plotext', 'rich'): sys.modules[name] = None\n"
    imported = modules_after(f"{block}import pipeline.worker, pipeline.deployment, pipeline.engine.training")
    assert "torch" in imported


def test_the_timing_process_does_not_import_torch():
    assert "torch" not in modules_after("import pipeline.measure.latency, pipeline.runtimes.onnxruntime")

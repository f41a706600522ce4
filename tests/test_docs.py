"""What the documents say is what the program does."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import catalog, presets, recipe, sections
from pipeline.options import options_of

root = Path(__file__).resolve().parents[1]
readme = (root / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", readme, flags=re.DOTALL)


@pytest.mark.parametrize("kind", list(catalog.single))
def test_readme_names_every_plugin(kind):
    for name in catalog.names(kind):
        assert f"`{name}`" in readme or f"--format {name}" in readme, name


@pytest.mark.parametrize("name", ["options", "report"])
def test_a_page_says_what_the_declarations_say(name):
    specification = importlib.util.spec_from_file_location(f"{name}_page", root / "docs" / f"{name}.py")
    page = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(page)
    assert page.page.read_text(encoding="utf-8") == page.text(), f"run: python docs/{name}.py"


def test_every_field_of_the_report_is_explained():
    rows = re.findall(r"^\| `.*\|$", (root / "docs" / "report.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert len(rows) > 80
    assert not [row for row in rows if row.endswith("|  |")]


def test_readme_names_options_that_exist_with_their_defaults():
    for name in catalog.names("stages"):
        (row,) = [line for line in readme.splitlines() if line.startswith(f"| `{name}` |")]
        declared = {option.name: option.default for option in options_of(catalog.load("stages", name))}
        named = re.findall(r"`(\w+)` ([\d.]+|\w[\w-]*)", row)
        assert named
        for key, default in named:
            assert key in declared, f"{name}.{key}"
            written = str(declared[key]).lower()
            assert default.rstrip(".") in (written, written.removesuffix(".0")), f"{name}.{key}"


@pytest.mark.parametrize("record", [sections.Baseline, sections.Training, sections.Measure])
def test_readme_names_options_of_a_section_that_exist(record):
    (row,) = [line for line in readme.splitlines() if line.startswith(f"| `[{record.__name__.lower()}]` |")]
    declared = {option.name for option in options_of(record)}
    named = set(re.findall(r"`(\w+)`", row.split("|", 2)[2]))
    assert named & declared


def test_readme_names_every_preset():
    for name in presets.presets():
        assert f"`{name}`" in readme, name


def test_readmes_recipe_is_legal():
    (text,) = blocks("toml")
    found = recipe.loads(text, source="README", folder=root)
    assert found.letters == "PQD"


def test_readme_names_every_verb_and_exit_code():
    from workbench.cli import exit_codes

    help_text = subprocess.run(
        [sys.executable, "-m", "workbench", "--help"], capture_output=True, text=True, check=True
    ).stdout
    for verb in re.findall(r"^    (\w+) {2,}", help_text, flags=re.MULTILINE):
        assert f"`{verb}" in readme or f" {verb} " in readme, verb
    sentence = readme[readme.index("Exit codes:") :].partition(".")[0]
    for code in exit_codes.MEANINGS:
        assert re.search(rf"\b{int(code)} ", sentence), code


def test_every_linked_file_is_there():
    for document in root.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text(encoding="utf-8")):
            assert (root / target).exists(), f"{document.name}: {target}"


def test_every_test_that_the_architecture_names_is_there():
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/.]+)`", text)
    assert len(named) > 10
    assert not [path for path in named if not (root / path).exists()]


def test_readmes_own_network_builds():
    import torch

    (script,) = [block for block in blocks("python") if "def build" in block]
    names: dict[str, object] = {}
    exec(script, names)
    model = names["build"](num_classes=4, in_channels=3)
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 4)


@pytest.mark.slow
def test_readmes_script_gives_the_answers_that_the_report_counts(tmp_path):
    """The script runs in a process that has seen nothing of ours: onnxruntime and numpy alone."""
    from pipeline.datasets.digits import Digits
    from pipeline.runs import export
    from pipeline.runs.store import RunStore
    from tests.e2e.conftest import make_recipe, run_here

    run = run_here(RunStore(tmp_path / "store"), make_recipe("Q"))
    folder = export.export(run, tmp_path / "exports", ["onnx"]).folder
    splits = Digits().load()
    np.savez(tmp_path / "digits.npz", images=splits.x_test, labels=splits.y_test)
    (script,) = [block for block in blocks("python") if "onnxruntime" in block]
    (tmp_path / "answer.py").write_text(script)
    done = subprocess.run(
        [sys.executable, "-I", "answer.py", str(folder / "model.onnx"), "digits.npz"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    accuracy = run.state().deployed.accuracy
    assert done.stdout.splitlines()[-1] == f"{accuracy.correct} of {accuracy.total} right"

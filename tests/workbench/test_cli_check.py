"""``check`` and ``run`` with a backbone and a dataset of a person's own, in the folder where they work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workbench.commands import refusal

root = Path(__file__).resolve().parents[2]

network = """
from pipeline.backbones import tiny

print("a word of its own")


def build(*, num_classes, in_channels):
    return tiny.build(num_classes=num_classes, in_channels=in_channels)


def broken(*, num_classes, in_channels):
    return build(num_classes=num_classes + 1, in_channels=in_channels)
"""

dataset = """
from pipeline.datasets.digits import Digits
from pipeline.protocols import Dataset


class Few(Dataset, frozen=True, kw_only=True):
    '''The digits, by another name.'''

    level: int = 1

    def fingerprint(self):
        return f"few-{self.level}"

    def load(self, progress=None):
        return Digits().load(progress)
"""

recipe = """
name = "mine"
backbone = "my_nets:build"
dataset = { name = "my_data:Few", level = LEVEL }

[baseline]
epochs = 1

[training]
device = "cpu"

[[stages]]
stage = "quantize"
epochs = 0

[measure]
eager_baseline = false
"""


@pytest.fixture
def workplace(tmp_path):
    (tmp_path / "my_nets.py").write_text(network)
    (tmp_path / "my_data.py").write_text(dataset)
    return tmp_path


def call(folder, *words, code=0):
    """Run the installed command where a person works: the folder itself is not on the command's path."""
    program = f"import sys; sys.path[:] = [p for p in sys.path if p]; sys.path.insert(0, {str(root)!r})\n"
    program += "from workbench.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        env=os.environ | {"PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.slow
def test_a_backbone_in_the_current_folder_is_checked_line_by_line(workplace):
    done = call(workplace, "check", "my_nets:build", "--channels", "1", "--side", "8")
    lines = done.stdout.splitlines()
    assert all(line.startswith("pass ") for line in lines[:-1])
    assert lines[-1] == "my_nets:build can be compressed."
    assert "a word of its own" in done.stderr


def test_a_failure_ends_with_exit_code_1_and_stands_in_the_json(workplace):
    done = call(workplace, "check", "my_nets:broken", "--json", code=1)
    found = json.loads(done.stdout)
    assert (found["backbone"], found["passed"]) == ("my_nets:broken", False)
    assert [(finding["check"], finding["outcome"]) for finding in found["findings"]] == [
        ("build", "pass"),
        ("shapes", "fail"),
    ]


def test_a_backbone_that_cannot_be_imported_fails_in_one_sentence(workplace):
    done = call(workplace, "check", "my_nets:nothing", code=1)
    assert "module 'my_nets' has no attribute 'nothing'" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resnet81"], "no backbone is called 'resnet81'; did you mean 'resnet18'"),
        (["tiny", "--classes", "1"], "--classes is 1; it must be at least 2."),
        (["my nets:build"], "not of the form package.module:attribute"),
    ],
)
def test_wrong_usage_is_refused_in_one_sentence(words, message):
    assert message in refusal("check", *words, code=2)


@pytest.mark.slow
def test_a_run_uses_a_backbone_and_a_dataset_in_the_current_folder(workplace):
    (workplace / "recipe.toml").write_text(recipe.replace("LEVEL", "2"))
    done = call(workplace, "run", "recipe.toml", "--store", "store", "--json")
    found = json.loads(done.stdout)
    assert found["recipe"]["dataset"] == {"name": "my_data:Few", "level": 2}


def test_a_wrong_option_of_ones_own_dataset_fails_the_run_in_one_sentence(workplace):
    (workplace / "recipe.toml").write_text(recipe.replace("LEVEL", "'high'"))
    done = call(workplace, "run", "recipe.toml", "--store", "store", code=1)
    assert "dataset.level is 'high'; it must be a whole number." in done.stdout + done.stderr

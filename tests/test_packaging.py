"""What an installed wheel holds."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

root = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(["uv", "build", "--wheel", "--quiet", "--out-dir", str(folder), str(root)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_presets_and_the_styles(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    for preset in (root / "presets").glob("*.toml"):
        assert f"pipeline/_presets/{preset.name}" in names
    for style in (root / "workbench").rglob("*.tcss"):
        assert style.relative_to(root).as_posix() in names
    assert not [name for name in names if name.startswith("tests/")]


def test_the_presets_are_found_in_an_installed_wheel(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = "from pipeline import presets; print(presets.shipped); print(*presets.presets())"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    folder, names = done.stdout.splitlines()
    assert Path(folder) == tmp_path / "pipeline" / "_presets"
    assert "quickstart" in names.split()

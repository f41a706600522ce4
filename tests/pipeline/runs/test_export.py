import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import events as e
from pipeline.errors import ExportError, OutputMismatch, UnknownPlugin
from pipeline.runs.export import export
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


def test_an_export_holds_the_network_the_recipe_the_numbers_and_a_card(store, tmp_path):
    run = recorded.finished(store)
    folder = export(run, tmp_path / "new" / "exports")
    assert folder == tmp_path / "new" / "exports" / run.id
    names = {"README.md", "SHA256SUMS", "model.onnx", "model.safetensors", "recipe.toml", "report.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "recipe.toml").read_bytes() == (run.folder / "recipe.toml").read_bytes()
    assert json.loads((folder / "report.json").read_text())["deployed"]["top1"] == 94.0
    assert [path.name for path in folder.parent.iterdir()] == [run.id]


def test_the_checksums_are_those_of_the_files(store, tmp_path):
    folder = export(recorded.finished(store), tmp_path)
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert len((folder / "SHA256SUMS").read_text().splitlines()) == 5


def test_the_card_gives_the_three_numbers_with_spread_and_conditions(store, tmp_path):
    card = (export(recorded.finished(store, min_ms=1.0), tmp_path) / "README.md").read_text()
    assert "94.00 % [92.35, 95.31]" in card
    assert "-1.00 points" in card
    assert "(250 bytes)" in card
    assert "4.00 times smaller" in card
    assert "2.000 ms, 2.200 ms" in card
    assert "2.00 times faster" in card
    assert "onnxruntime 1.23.0 on Example CPU (avx512_vnni)" in card
    assert "The machine was not quiet" in card
    assert "1: one\\_\\[x\\]" in card


def test_the_code_in_the_card_runs_as_it_stands(store, tmp_path):
    folder = export(recorded.finished(store), tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['zero']"
    assert len([line for line in code.splitlines() if line]) <= 10


def test_only_the_formats_that_were_asked_for_are_written(store, tmp_path):
    folder = export(recorded.finished(store), tmp_path, ["checkpoint", "checkpoint"])
    assert not (folder / "model.onnx").exists()
    card = (folder / "README.md").read_text()
    assert 'load_file("model.safetensors")' in card
    assert "onnxruntime.InferenceSession" not in card
    assert "0: zero" in card


def test_exporting_again_changes_nothing(store, tmp_path):
    run = recorded.finished(store)
    first = export(run, tmp_path)
    before = {path.name: path.stat().st_mtime_ns for path in first.iterdir()}
    assert export(run, tmp_path) == first
    assert {path.name: path.stat().st_mtime_ns for path in first.iterdir()} == before


def test_something_else_of_that_name_is_never_overwritten(store, tmp_path):
    run = recorded.finished(store)
    folder = export(run, tmp_path / "exports")
    (folder / "README.md").write_text("mine")
    with pytest.raises(ExportError, match="exists and holds something else"):
        export(run, tmp_path / "exports")
    assert (folder / "README.md").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == [run.id]


def test_a_file_of_that_name_is_never_overwritten(store, tmp_path):
    run = recorded.finished(store)
    (tmp_path / run.id).write_text("mine")
    with pytest.raises(ExportError, match="exists and holds something else"):
        export(run, tmp_path)


def test_an_export_that_fails_leaves_nothing(store, tmp_path):
    run = recorded.finished(store)
    (run.folder / "artifacts" / "deployed" / "model.onnx").write_bytes(b"broken")
    with pytest.raises(OutputMismatch):
        export(run, tmp_path / "exports")
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_measured_file_that_no_reader_opens_is_refused(store, tmp_path):
    run, _ = recorded.create(store)
    broken = run.folder / "model.onnx"
    broken.write_bytes(b"no network")
    recorded.record(run, [*recorded.trained(), recorded.artifact(run, "deployed", "onnx", broken), e.RunFinished()])
    with pytest.raises(ExportError, match=r"model\.onnx cannot be read back"):
        export(run, tmp_path / "exports")
    assert list((tmp_path / "exports").iterdir()) == []


def test_without_formats_all_that_the_run_has_are_written(store, tmp_path):
    run, _ = recorded.create(store)
    file = run.folder / "model.onnx"
    recorded.write_onnx(file)
    recorded.record(run, [*recorded.trained(), recorded.artifact(run, "deployed", "onnx", file), e.RunFinished()])
    folder = export(run, tmp_path)
    assert (folder / "model.onnx").exists()
    assert not (folder / "model.safetensors").exists()
    with pytest.raises(ExportError, match="wrote no checkpoint file"):
        export(run, tmp_path / "other", ["checkpoint"])


def test_a_run_without_any_file_cannot_be_exported(store, tmp_path):
    run, _ = recorded.create(store)
    recorded.record(run, [*recorded.trained(), e.RunFinished()])
    with pytest.raises(ExportError, match="has no file"):
        export(run, tmp_path)


@pytest.mark.parametrize("last", [e.RunStopped(), e.RunFailed(reason="no")])
def test_only_a_finished_run_can_be_exported(store, tmp_path, last):
    run = recorded.finished(store, last=last)
    with pytest.raises(ExportError, match="only a finished run"):
        export(run, tmp_path / "exports")
    assert not (tmp_path / "exports").exists()


def test_an_unknown_format_names_the_nearest(store, tmp_path):
    with pytest.raises(UnknownPlugin, match="did you mean 'onnx'"):
        export(recorded.finished(store), tmp_path, ["onnxx"])


def test_a_folder_that_cannot_be_made_is_one_sentence(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written: Not a directory"):
        export(recorded.finished(store), tmp_path / "file")

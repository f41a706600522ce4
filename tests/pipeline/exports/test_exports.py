import importlib
from pathlib import Path

import pytest

from pipeline import catalog, files
from pipeline.errors import ExportError, OutputMismatch
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded

EXPORTS = catalog.names("exports")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_says_what_it_is_and_what_it_needs(name):
    module = importlib.import_module(f"pipeline.exports.{name}")
    assert module.SUMMARY
    assert isinstance(module.REQUIRES, tuple)
    assert catalog.describe("exports", name)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_writes_the_very_file_that_was_measured(name, store, tmp_path):
    run = recorded.finished(store)
    (path,) = catalog.load("exports", name).write(run, tmp_path)
    kind = catalog.constant("exports", name, "READS")
    (artifact,) = [one for one in run.state().artifacts if one.subject == "deployed" and one.kind == kind]
    assert files.sha256(path) == artifact.sha256
    assert [found.name for found in tmp_path.iterdir() if found != store.folder] == [path.name]


@pytest.mark.parametrize("name", EXPORTS)
def test_a_file_that_changed_since_it_was_measured_is_refused(name, store, tmp_path):
    run = recorded.finished(store)
    file = recorded.KINDS[catalog.constant("exports", name, "READS")]
    with (run.folder / "artifacts" / "deployed" / file).open("ab") as opened:
        opened.write(b"!")
    with pytest.raises(OutputMismatch, match="is not the file that was measured"):
        catalog.load("exports", name).write(run, tmp_path)
    assert not (tmp_path / file).exists()


@pytest.mark.parametrize("name", EXPORTS)
def test_a_file_that_is_gone_is_named(name, store, tmp_path):
    run = recorded.finished(store)
    file = recorded.KINDS[catalog.constant("exports", name, "READS")]
    (run.folder / "artifacts" / "deployed" / file).unlink()
    with pytest.raises(ExportError, match=f"is gone: .*{file}"):
        catalog.load("exports", name).write(run, tmp_path)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_folder_that_cannot_be_written_is_named(name, store, tmp_path):
    run = recorded.finished(store)
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written"):
        catalog.load("exports", name).write(run, tmp_path / "file")


def test_a_log_cannot_make_an_export_read_outside_the_store(store, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    run, _ = recorded.create(store)
    event = recorded.artifact(run, "deployed", "onnx", run.folder / "recipe.toml")
    outside = {"path": "../secret", "sha256": files.sha256(secret)}
    recorded.record(run, [*recorded.trained(), type(event)(**{**event_fields(event), **outside})])
    with pytest.raises(ExportError, match="outside its store"):
        catalog.load("exports", "onnx").write(run, tmp_path)


def event_fields(event) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}

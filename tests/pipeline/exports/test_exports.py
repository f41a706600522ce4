import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from pipeline import catalog, events, files
from pipeline.backbones import tiny
from pipeline.errors import CheckpointError, ExportError, MeasurementError, OutputMismatch
from pipeline.exports import _check
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded

EXPORTS = catalog.names("exports")
COPIES = ("checkpoint", "onnx")
LOWERED = [name for name in EXPORTS if catalog.constant("exports", name, "LOWERED")]


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A run and the files of every format."""
    folder = tmp_path_factory.mktemp("written")
    run = recorded.finished(RunStore(folder / "store"))
    return run, {name: catalog.load("exports", name).write(run, folder) for name in EXPORTS}


def samples():
    with np.load(recorded.network() / "samples.npz") as opened:
        return opened["images"], opened["logits"]


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_says_what_it_is_and_what_it_needs(name):
    module = importlib.import_module(f"pipeline.exports.{name}")
    assert module.SUMMARY
    assert isinstance(module.REQUIRES, tuple)
    assert catalog.describe("exports", name)
    (code,) = re.findall(r"```python\n(.*?)```", module.USAGE, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) <= 10


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_the_very_file_that_was_measured(name, written):
    run, paths = written
    kind = catalog.constant("exports", name, "READS")
    (artifact,) = [one for one in run.state().artifacts if one.subject == "deployed" and one.kind == kind]
    assert [files.sha256(path) for path in paths[name]] == [artifact.sha256]


@pytest.mark.parametrize("name", LOWERED)
def test_what_was_written_answers_as_the_lowered_network(name, written):
    run, paths = written
    check = _check.check(name, catalog.load("exports", name), paths[name], run)
    images, logits = samples()
    found = catalog.load("exports", name).open(paths[name][0], run)(images)
    assert check.largest_difference == pytest.approx(np.abs(found - logits).max(), abs=1e-6)
    assert check.spread == pytest.approx(logits.std(axis=0).mean())
    assert check.agreement >= 1 - 1 / len(images)
    assert check.files == tuple(path.name for path in paths[name])


@pytest.mark.parametrize("name", LOWERED)
def test_images_scaled_to_one_are_refused_by_every_runtime_that_can(name, written):
    run, paths = written
    images, _ = samples()
    scaled = images.astype(np.float32) / 255
    if name == "openvino":
        import openvino

        network = openvino.compile_model(paths[name][0], "CPU")
        black = network(np.zeros_like(images))[0]
        # Nothing in the file can refuse: Python casts the array first. The model card warns of it.
        assert np.array_equal(network(np.minimum(scaled, 0.99))[0], black)
        assert "black" in catalog.load("exports", name).USAGE
    with pytest.raises((ValueError, RuntimeError, MeasurementError), match=r"uint8|dtype"):
        catalog.load("exports", name).open(paths[name][0], run)(scaled)


def test_a_pt2_file_opens_where_this_package_is_not_imported_and_takes_any_batch(written, tmp_path):
    _, paths = written
    images, logits = samples()
    np.save(tmp_path / "images.npy", images)
    script = (
        "import sys, numpy, torch\n"
        "network = torch.export.load(sys.argv[1]).module()\n"
        "images = torch.from_numpy(numpy.load(sys.argv[2]))\n"
        "numpy.save(sys.argv[3], torch.cat([network(images[:1]), network(images[1:])]).detach().numpy())\n"
        "assert not [name for name in sys.modules if name.startswith('pipeline')]\n"
    )
    words = [paths["torch"][0], tmp_path / "images.npy", tmp_path / "logits.npy"]
    subprocess.run([sys.executable, "-I", "-c", script, *words], check=True, cwd=tmp_path)
    np.testing.assert_allclose(np.load(tmp_path / "logits.npy"), logits, atol=1e-5)


def test_a_pt2_file_names_no_folder_of_the_machine_that_wrote_it(written):
    _, paths = written
    content = paths["torch"][0].read_bytes()
    assert str(Path(recorded.__file__).parents[3]).encode() not in content
    assert b"pqd" not in content


def test_a_state_dict_is_float32_by_the_backbones_names_with_the_mask_applied(store, tmp_path):
    run = recorded.finished(store)
    weights = run.folder / "artifacts" / "deployed" / recorded.KINDS["weights"]
    tensors = load_file(weights)
    tensors["conv1.weight_mask"] = np.random.default_rng(0).random(tensors["conv1.weight"].shape) < 0.5
    save_file(tensors, weights)
    recorded.record(run, [recorded.artifact(run, "deployed", "weights", weights)])
    (path,) = catalog.load("exports", "state_dict").write(run, tmp_path)
    network = tiny.build(num_classes=3, in_channels=1)
    found = {name: torch.from_numpy(tensor) for name, tensor in load_file(path).items()}
    network.load_state_dict(found, strict=True)
    assert {tensor.dtype for name, tensor in found.items() if "num_batches" not in name} == {torch.float32}
    expected = tensors["conv1.weight"] * tensors["conv1.weight_mask"]
    assert np.array_equal(found["conv1.weight"].numpy(), expected)
    with safe_open(path, framework="np") as opened:
        metadata = opened.metadata()
    assert json.loads(metadata["mean"]) == [recorded.MEAN]
    assert json.loads(metadata["std"]) == [recorded.STD]
    assert metadata["preprocessing"] == "(pixels / 255 - mean) / std"


def test_what_a_state_dict_answers_is_told_and_not_demanded(written):
    run, paths = written
    check = _check.check("state_dict", catalog.load("exports", "state_dict"), paths["state_dict"], run)
    assert not check.lowered
    assert check.largest_difference > 0
    assert "before lowering" in check.sentence


def other_samples(run, **changes):
    """Leave samples with other contents."""
    path = run.folder / "artifacts" / "deployed" / recorded.KINDS["samples"]
    images, logits = samples()
    np.savez(path, **({"images": images, "logits": logits} | changes))
    recorded.record(run, [recorded.artifact(run, "deployed", "samples", path)])


def test_a_file_that_answers_otherwise_is_refused(store, tmp_path):
    run = recorded.finished(store)
    other_samples(run, logits=-samples()[1])
    export = catalog.load("exports", "onnx")
    with pytest.raises(
        OutputMismatch, match=r"model\.onnx does not compute what the deployed network computes: \d+ of 32"
    ):
        _check.check("onnx", export, export.write(run, tmp_path), run)


@pytest.mark.parametrize(("share", "passes"), [(0.2, True), (0.3, False)])
def test_logits_may_differ_by_a_quarter_of_their_spread(store, tmp_path, share, passes):
    run = recorded.finished(store)
    _, logits = samples()
    # The same on every logit of a sample, so that no answer changes.
    shift = share * logits.std(axis=0).mean() * np.where(np.arange(len(logits)) % 2, 1, -1)[:, None]
    spread = (logits + shift).std(axis=0).mean()
    shift *= spread / logits.std(axis=0).mean()
    other_samples(run, logits=(logits + shift).astype(np.float32))
    export = catalog.load("exports", "onnx")
    paths = export.write(run, tmp_path)
    if passes:
        assert _check.check("onnx", export, paths, run).agreement == 1
    else:
        with pytest.raises(OutputMismatch, match="root mean square"):
            _check.check("onnx", export, paths, run)


def test_a_float_network_must_agree_much_closer(store, tmp_path):
    run = recorded.finished(store)
    _, logits = samples()
    other_samples(run, logits=logits + np.float32(0.05 * logits.std(axis=0).mean()))
    export = catalog.load("exports", "onnx")
    paths = export.write(run, tmp_path)
    assert _check.check("onnx", export, paths, run).agreement == 1
    recorded.record(run, [events.ModelLowered(subject="deployed", operators={"FusedConv": 2})])
    with pytest.raises(OutputMismatch, match="root mean square"):
        _check.check("onnx", export, paths, run)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_file_that_changed_since_it_was_measured_is_refused(name, store, tmp_path):
    run = recorded.finished(store)
    file = recorded.KINDS[catalog.constant("exports", name, "READS")]
    with (run.folder / "artifacts" / "deployed" / file).open("ab") as opened:
        opened.write(b"!")
    with pytest.raises(OutputMismatch, match="is not the file that was measured"):
        catalog.load("exports", name).write(run, tmp_path)
    assert [path for path in tmp_path.iterdir() if path != store.folder] == []


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
    with pytest.raises((ExportError, CheckpointError), match=r"cannot (be written|write)"):
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

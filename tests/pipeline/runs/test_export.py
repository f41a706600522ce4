import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline import catalog
from pipeline import events as e
from pipeline.errors import ExportError, MissingDependency, OutputMismatch, UnknownPlugin
from pipeline.exports import _folder
from pipeline.runs.export import Estimate, Progress, estimate, export
from pipeline.runs.state import RunState
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded

STEPS = ["writing", "opening", "checking", "checked"]
LIGHT = ["onnx"]
"""Needs no torch."""
NAMES = {
    *("README.md", "SHA256SUMS", "recipe.toml", "report.json"),
    *("model.onnx", "model.pqd.safetensors", "model.xml", "model.bin", "model.pt2", "weights.safetensors"),
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A run that a process of its own exported to every format."""
    folder = tmp_path_factory.mktemp("exported")
    run = recorded.finished(RunStore(folder / "store"), min_ms=1.0)
    return run, export(run, folder / "new" / "exports")


def made(run, folder, formats=LIGHT):
    """Export in this process; gives the folder."""
    return _folder.make(run, folder / run.id, formats).folder


def test_an_export_holds_the_network_the_recipe_the_numbers_and_a_card(exported):
    run, (folder, checks) = exported[0], (exported[1].folder, exported[1].checks)
    assert folder.name == run.id
    assert {path.name for path in folder.iterdir()} == NAMES
    assert (folder / "recipe.toml").read_bytes() == (run.folder / "recipe.toml").read_bytes()
    assert json.loads((folder / "report.json").read_text())["deployed"]["accuracies"]["onnxruntime"]["correct"] == 940
    assert [path.name for path in folder.parent.iterdir()] == [run.id]
    assert [check.format for check in checks] == catalog.names("exports")
    assert all(check.samples == 32 and check.agreement >= 0.96 for check in checks if check.lowered)


def test_the_checksums_are_those_of_the_files(exported):
    folder = exported[1].folder
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert len((folder / "SHA256SUMS").read_text().splitlines()) == len(NAMES) - 1


def test_the_card_gives_the_three_numbers_with_spread_and_conditions(exported):
    card = (exported[1].folder / "README.md").read_text()
    assert "94.00 % [92.4, 95.3]" in card
    assert "-1.00 points" in card
    assert "(250 bytes)" in card
    assert "4.00x smaller" in card
    assert "2.000 ms median, 2.200 ms p90" in card
    assert "2.00x faster" in card
    assert "onnxruntime 1.23.0 on Example CPU (avx512_vnni)" in card
    assert "Not to be trusted: the median is 2.00 times the fastest call" in card
    assert "1: one\\_\\[x\\]" in card
    assert "torch 2.15" in card
    assert 'stage = "quantize"' in card


def test_the_card_says_what_each_file_answered_and_what_the_network_takes(exported):
    card = (exported[1].folder / "README.md").read_text()
    for check in exported[1].checks:
        assert f"- `{check.files[0]}`: {check.sentence}" in card
    assert "raw pixels: uint8 `(N, 1, 8, 8)` from 0 to 255" in card
    assert "turn black" in card
    assert "mean, std = torch.tensor([0.5]), torch.tensor([0.25])" in card


@pytest.mark.parametrize("name", catalog.names("exports"))
def test_the_code_in_the_card_runs_as_it_stands(exported, name):
    folder = exported[1].folder
    section = (folder / "README.md").read_text().split(f"### {name}\n")[1]
    code = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    if name == "state_dict":
        code = f"from pipeline.backbones import tiny\nnetwork = tiny.build(num_classes=3, in_channels=1)\n{code}"
        code += f"print([{recorded.CLASSES!r}[logits.argmax(1)]])"
    needs_us = name in ("state_dict", "checkpoint")
    words = [sys.executable, *([] if needs_us else ["-I"]), "-c", code]
    root = str(Path(recorded.__file__).parents[3])
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, check=True, env={"PYTHONPATH": root, "PATH": ""}
    )
    assert done.stdout.strip() in {str([name]) for name in recorded.CLASSES}


@pytest.mark.slow
def test_exporting_again_changes_nothing(exported):
    run, first = exported
    before = {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()}
    assert export(run, first.folder.parent) == first
    assert {path.name: path.stat().st_mtime_ns for path in first.folder.iterdir()} == before


def test_only_the_formats_that_were_asked_for_are_written(store, tmp_path):
    folder = made(recorded.finished(store), tmp_path, ["checkpoint", "checkpoint"])
    assert not (folder / "model.onnx").exists()
    card = (folder / "README.md").read_text()
    assert 'pipeline.load("model.pqd.safetensors")' in card
    assert "onnxruntime.InferenceSession" not in card
    assert "0: zero" in card


def test_an_error_of_the_process_keeps_its_class_and_its_sentence(store, tmp_path):
    run = recorded.finished(store)
    (run.folder / "artifacts" / "deployed" / "model.onnx").write_bytes(b"broken")
    with pytest.raises(OutputMismatch, match="is not the file that was measured"):
        export(run, tmp_path / "exports", LIGHT)
    assert list((tmp_path / "exports").iterdir()) == []


def test_a_process_that_dies_is_one_sentence(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ExportError, match=r"ended with 1; it said last: nothing\.$"):
        export(recorded.finished(store), tmp_path, LIGHT)


def test_something_else_of_that_name_is_never_overwritten(store, tmp_path):
    run = recorded.finished(store)
    folder = made(run, tmp_path / "exports")
    (folder / "README.md").write_text("mine")
    with pytest.raises(ExportError, match="exists and holds something else"):
        made(run, tmp_path / "exports")
    assert (folder / "README.md").read_text() == "mine"
    assert [path.name for path in folder.parent.iterdir()] == [run.id]


def test_a_file_of_that_name_is_never_overwritten(store, tmp_path):
    run = recorded.finished(store)
    (tmp_path / run.id).write_text("mine")
    with pytest.raises(ExportError, match="exists and holds something else"):
        made(run, tmp_path)


def test_a_file_that_answers_otherwise_fails_the_export_and_leaves_nothing(store, tmp_path):
    run = recorded.finished(store)
    path = run.folder / "artifacts" / "deployed" / "model.onnx"
    path.write_bytes(b"no network")
    recorded.record(run, [recorded.artifact(run, "deployed", "onnx", path)])
    with pytest.raises(OutputMismatch, match=r"model\.onnx was written and cannot be opened again"):
        made(run, tmp_path / "exports")
    assert list((tmp_path / "exports").iterdir()) == []


def test_without_formats_all_that_the_run_has_are_written(store, tmp_path):
    run, _ = recorded.create(store)
    kept = {}
    for kind in ("weights", "samples"):
        kept[kind] = run.folder / recorded.KINDS[kind]
        kept[kind].write_bytes((recorded.network() / recorded.KINDS[kind]).read_bytes())
    written = [recorded.artifact(run, "deployed", kind, path) for kind, path in kept.items()]
    recorded.record(run, [*recorded.trained(), *written, e.RunFinished()])
    with pytest.raises(ExportError, match="wrote no checkpoint file"):
        made(run, tmp_path, None)
    with pytest.raises(ExportError, match="wrote no onnx file"):
        made(run, tmp_path)


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


def test_a_format_whose_package_is_absent_says_what_to_install(store, tmp_path, monkeypatch):
    monkeypatch.setattr(catalog, "missing", lambda kind, name: ["openvino"])
    with pytest.raises(MissingDependency, match="uv pip install openvino"):
        made(recorded.finished(store), tmp_path, ["openvino"])


def test_a_folder_that_cannot_be_made_is_one_sentence(store, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="cannot be written: Not a directory"):
        made(recorded.finished(store), tmp_path / "file")


def test_what_leaves_names_no_folder_of_the_machine(tmp_path):
    run = recorded.finished(RunStore(tmp_path / "secret-folder" / "store"))
    text = (run.folder / "recipe.toml").read_text()
    table = f'\n[dataset]\nname = "npz"\npath = "{tmp_path}/secret-folder/few.npz"\n'
    (run.folder / "recipe.toml").write_text(text.replace('dataset = "digits"', "") + table)
    folder = made(run, tmp_path / "out")
    report = json.loads((folder / "report.json").read_text())
    assert report["folder"] == f"runs/{run.id}"
    assert report["artifacts"][0]["path"] == f"runs/{run.id}/artifacts/deployed/model.onnx"
    assert report["recipe"]["dataset"]["path"] == "few.npz"
    assert 'path = "few.npz"' in (folder / "recipe.toml").read_text()
    for path in folder.iterdir():
        assert b"secret-folder" not in path.read_bytes(), path.name


def test_how_far_an_export_is_is_told_format_by_format(store, tmp_path):
    told: list[Progress] = []
    found = export(recorded.finished(store), tmp_path, ["onnx", "checkpoint"], progress=told.append)
    steps = [(one.format, one.step) for one in told]
    assert steps == [(name, step) for name in ("onnx", "checkpoint") for step in STEPS]
    assert tuple(one.check for one in told if one.check) == found.checks
    assert told[3].bytes == (found.folder / "model.onnx").stat().st_size
    assert told[3].check.short == "opened again: 32 of 32 predictions equal"
    assert {one.name for one in found.files} == {path.name for path in found.folder.iterdir()} - {"SHA256SUMS"}
    sums = (found.folder / "SHA256SUMS").read_text()
    assert all(f"{one.sha256}  {one.name}\n" in sums for one in found.files)


def test_an_export_goes_into_a_folder_of_the_wanted_name(store, tmp_path):
    run = recorded.finished(store)
    assert export(run, tmp_path, LIGHT, name="mine").folder == tmp_path / "mine"
    assert [path.name for path in tmp_path.iterdir() if path != store.folder] == ["mine"]
    for name in ("", "..", "a/b"):
        with pytest.raises(ExportError, match="cannot be the name of a folder"):
            export(run, tmp_path, LIGHT, name=name)


class Enough(Exception):
    """Somebody cancelled."""


@pytest.mark.parametrize("wanted", ["onnx", "torch"])
def test_a_cancelled_export_leaves_nothing(store, tmp_path, wanted):
    begun = []

    def interrupt():
        if begun:
            raise Enough

    with pytest.raises(Enough):
        export(recorded.finished(store), tmp_path / "out", [wanted], progress=begun.append, interrupt=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_process_that_hears_nothing_is_killed_and_what_it_wrote_removed(store, tmp_path, monkeypatch):
    deaf = tmp_path / "deaf"
    deaf.write_text(
        "#!/bin/sh\ntrap '' TERM INT HUP\nfor word; do case $word in --to=*) to=${word#--to=};; "
        "--temporary=*) name=${word#--temporary=};; esac; done\n"
        "mkdir -p $to/$name; touch $to/$name/half\n"
        'echo \'{"type":"progress","format":"onnx","step":"writing"}\'\nexec sleep 600\n'
    )
    deaf.chmod(0o755)
    run = recorded.finished(store)
    monkeypatch.setattr(sys, "executable", str(deaf))
    monkeypatch.setattr("pipeline.runs.export.PATIENCE_S", 0.1)
    begun = []

    def interrupt():
        if begun:
            raise Enough

    with pytest.raises(Enough):
        export(run, tmp_path / "out", LIGHT, progress=begun.append, interrupt=interrupt)
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_asked_for_an_export_may_die_in_any_way_and_nothing_half_written_stays(store, tmp_path, number):
    run = recorded.finished(store)
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.runs import export\nfrom pipeline.runs.store import Run\n"
        "export.export(Run(Path(sys.argv[1])), Path(sys.argv[2]), progress=lambda told: print(told.step, flush=True))\n"
    )
    words = [sys.executable, "-c", code, str(run.folder), str(tmp_path / "out")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        (hidden,) = (tmp_path / "out").iterdir()
        for _ in range(2):  # impatient
            process.send_signal(number)
    deadline_s = time.monotonic() + 40
    while hidden.exists():
        assert time.monotonic() < deadline_s
        time.sleep(0.02)
    assert list((tmp_path / "out").iterdir()) == []


def test_sizes_are_known_beforehand_exactly_where_a_file_is_copied(exported):
    run, found = exported
    sizes = {one.name: one.bytes for one in found.files}
    state = run.state()
    for wanted, name in (("checkpoint", "model.pqd.safetensors"), ("onnx", "model.onnx")):
        assert estimate(state, wanted) == Estimate(sizes[name], is_exact=True)
    for wanted in ("openvino", "state_dict", "torch"):
        assert not estimate(state, wanted).is_exact
    assert estimate(RunState(), "onnx") is None

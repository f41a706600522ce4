import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded
from tests.workbench.commands import COMMAND, call, on_terminal, refusal, without_colours


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


def break_file(run):
    (run.folder / "artifacts" / "deployed" / "model.onnx").write_bytes(b"broken")


def test_folders_are_named_by_a_template(store, tmp_path):
    recorded.finished(store, "one")
    words = ["--to", tmp_path / "out", "--format", "onnx", "--store", store.folder]
    call("export", "last", "--name", "{name}_{stages}_{seed} {top1}%", *words)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one_PQ_0-94.0%"]


def test_two_runs_of_one_name_are_told_apart(store, tmp_path):
    runs = [recorded.finished(store, "one") for _ in range(2)]
    ids = [run.id for run in runs]
    words = ["--to", tmp_path / "out", "--format", "onnx", "--store", store.folder]
    call("export", *ids, ids[0], "--name", "{name}", *words)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {f"one-{name[-4:]}" for name in ids}


def test_a_wrong_template_is_refused_before_anything_is_written(store, tmp_path):
    recorded.finished(store)
    words = ["--to", tmp_path / "out", "--store", store.folder]
    assert "did you mean 'backbone'?" in refusal("export", "last", "--name", "{bakbone}", *words, code=2)
    assert not (tmp_path / "out").exists()


def test_the_document_holds_checks_and_checksums(store, tmp_path):
    run = recorded.finished(store)
    out = tmp_path / "out"
    done = call("export", "last", "--to", out, "--format", "onnx", "--json", "--store", store.folder)
    (found,) = json.loads(done.stdout)
    assert (found["run"], found["folder"]) == (run.id, str(out / run.id))
    assert found["checks"][0]["agreement"] == 1.0
    sums = "".join(f"{one['sha256']}  {one['name']}\n" for one in found["files"])
    assert (out / run.id / "SHA256SUMS").read_text() == sums
    assert done.stderr == ""


def test_what_one_run_lacks_does_not_keep_the_others_back(store, tmp_path):
    good, bad = recorded.finished(store, "good"), recorded.finished(store, "bad")
    break_file(bad)
    words = ["--to", tmp_path / "out", "--format", "onnx", "--store", store.folder]
    done = call("export", bad.id, good.id, "--json", *words, code=6)
    (sentence,) = done.stderr.splitlines()
    assert "is not the file that was measured" in sentence
    first, second = json.loads(done.stdout)
    assert f"pqd-workbench: {first['error']}" == sentence
    assert Path(second["folder"]) == tmp_path / "out" / good.id
    assert [path.name for path in (tmp_path / "out").iterdir()] == [good.id]


def test_a_terminal_shows_a_line_for_each_format(store, tmp_path):
    recorded.finished(store)
    words = ["--to", tmp_path / "out", "--format", "onnx", "--format", "checkpoint", "--store", store.folder]
    code, written = on_terminal("export", "last", *words)
    shown = without_colours(written)
    assert code == 0
    assert re.search(r">  +onnx +writing", shown)
    assert "..  checkpoint" in shown
    assert "opened again: 32 of 32 predictions equal" in shown
    assert "exported to" in shown


def test_the_checksums_can_be_checked_by_the_command_in_the_card(store, tmp_path):
    run = recorded.finished(store)
    call("export", "last", "--to", tmp_path / "out", "--format", "onnx", "--store", store.folder)
    folder = tmp_path / "out" / run.id
    command = (folder / "README.md").read_text().split("```sh\n")[1].split("\n```")[0]
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)
    assert "model.onnx: OK" in done.stdout


def test_an_impatient_interrupt_leaves_nothing(store, tmp_path):
    recorded.finished(store)
    out = tmp_path / "out"
    words = ["export", "last", "--to", str(out), "--store", str(store.folder)]
    with subprocess.Popen([*COMMAND, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        deadline_s = time.monotonic() + 60
        while not (out.is_dir() and any(out.iterdir())):
            assert time.monotonic() < deadline_s
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        printed = process.communicate(timeout=60)
    assert process.returncode == 130
    assert printed == (b"", b"")
    while any(out.iterdir()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from pipeline import events as e
from pipeline import presets, recipe
from pipeline.keys import stage_keys
from pipeline.runs.log import EventWriter
from pipeline.runs.state import Status
from pipeline.runs.store import Run, RunStore
from tests.pipeline.exports import recorded
from tests.workbench.commands import COMMAND, call, on_terminal, refusal, without_colours
from workbench.cli import parser
from workbench.cli import run as run_verb

chosen = ["baseline.epochs=1", *(f"stages.{place}.epochs=1" for place in range(3))]
chosen += ["training.device=cpu", "measure.latency=off"]
SHORT = tuple(word for option in chosen for word in ("--set", option))
ENDLESS = ("--set", "baseline.epochs=1000000", "--set", "training.device=cpu")


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture
def working(store: RunStore) -> tuple[Run, int]:
    """A run that this test does the work of: its lock is held here."""
    run, lock = recorded.create(store)
    recorded.record(run, recorded.trained())
    return run, lock


def watch(store: RunStore, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "watch", "--store", str(store.folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines_until(process: subprocess.Popen[str], wanted: str) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return lines
    raise AssertionError(f"{wanted!r} never came: {lines}")


def test_watching_prints_a_line_for_each_fact_and_then_the_table(store):
    run = recorded.finished(store)
    printed = call("watch", "--store", store.folder).stdout
    facts = [
        "started on box, training on cpu: 3 entries in the plan",
        "waiting: another run trains the same stage: waiting for it",
        "downloading: 0.0010 MiB of 0.0039 MiB",
        "baseline: reused, top-1 92.50 % (cost 1 min 01 s then)",
        "1 prune: begins, 2 epochs, 20 steps",
        "1 prune: epoch 1/2, loss 0.25, top-1 91.00 %, 50.0 % zeros, 1,234 images/s, 20 s left",
        "1 prune: finished in 20 s, top-1 91.00 %, 50.0 % zeros",
        "note: channels last was chosen",
        "measuring accuracy",
        "measuring latency",
        "finished",
        f"run {run.id} is finished",
    ]
    places = [printed.splitlines().index(fact) for fact in facts]
    assert places == sorted(places)
    assert "baseline: epoch" not in printed


@pytest.mark.parametrize(
    ("last", "code"),
    [(e.RunFinished(), 0), (e.RunFailed(reason="The loss is nan."), 1), (e.RunStopped(), 5)],
)
def test_the_exit_code_tells_how_the_run_ended(store, last, code):
    run = recorded.finished(store, last=last)
    done = call("watch", run.id, "--json", "--store", store.folder, code=code)
    assert json.loads(done.stdout)["id"] == run.id
    assert "1 prune: epoch 1/2" in done.stderr
    assert (f"pqd-workbench: the run {run.id} failed: The loss is nan." in done.stderr) == (code == 1)
    assert (str(run.log_path) in done.stderr) == (code == 1)


def test_a_run_whose_process_died_is_lost(store, working):
    run, lock = working
    os.close(lock)
    done = call("watch", "--store", store.folder, code=4)
    assert f"the run {run.id} is lost: its process died without a word." in done.stderr
    assert f"run {run.id} is lost" in done.stdout


def test_watching_goes_on_until_the_run_is_over(store, working):
    run, lock = working
    process = watch(store)
    lines_until(process, "2 quantize: finished")
    with EventWriter(run.events_path) as log:
        log.append(e.Measuring(what="latency"))
        lines_until(process, "measuring latency")
        assert process.poll() is None
        log.append(e.RunFinished())
    rest, _ = process.communicate(timeout=30)
    os.close(lock)
    assert process.returncode == 0
    assert f"run {run.id} is finished" in rest


def test_ctrl_c_detaches_and_says_how_to_come_back(store, working):
    run, lock = working
    process = watch(store)
    lines_until(process, "2 quantize: finished")
    process.send_signal(signal.SIGINT)
    printed, remarks = process.communicate(timeout=30)
    assert process.returncode == 130
    assert f"the run {run.id} goes on" in remarks
    assert f"pqd-workbench watch {run.id} --store {store.folder}" in remarks
    assert f"pqd-workbench stop {run.id} --store {store.folder}" in remarks
    assert "Traceback" not in printed + remarks
    assert run.is_alive()
    assert not run.stop_path.exists()
    os.close(lock)


def test_a_log_that_breaks_while_it_is_watched_is_one_sentence(store, working):
    run, lock = working
    process = watch(store)
    lines_until(process, "2 quantize: finished")
    with run.events_path.open("a") as log:
        log.write("no event\n")
    _, remarks = process.communicate(timeout=30)
    os.close(lock)
    assert process.returncode == 6
    assert remarks.startswith("pqd-workbench: ")
    assert "is not an event" in remarks


def test_a_terminal_shows_a_bar_for_each_entry_of_the_plan(store):
    run = recorded.finished(store)
    code, written = on_terminal("watch", "--store", store.folder)
    assert code == 0
    shown = without_colours(written)
    for piece in ("baseline", "reused", "1 prune", "━" * 18, "91.00 %", "2 quantize", f"run {run.id} is finished"):
        assert piece in shown
    assert all(len(line) <= 80 for line in shown.split("checkpoint")[0].splitlines())


def test_stopping_asks_and_need_not_wait(store, working):
    run, lock = working
    assert "was asked to stop" in call("stop", "last", "--no-wait", "--store", store.folder).stdout
    assert run.stop_path.exists()
    os.close(lock)


def test_a_run_that_is_over_cannot_be_stopped(store):
    run = recorded.finished(store)
    assert refusal("stop", "last", "--store", store.folder, code=6) == (
        f"the run {run.id} is not running: it is finished."
    )


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["smokee"], 3, "did you mean 'smoke'?"),
        (["none.toml"], 3, "there is no recipe file 'none.toml'."),
        (["smoke", "--set", "stages.0.sparsity=2"], 2, "stages[0].sparsity is 2; it must be a number at least 0 and"),
        (["smoke", "--set", "stages.0.sparsety=0.5"], 2, "did you mean 'sparsity'?"),
        (["smoke", "--set", "nothing"], 2, "'nothing' is not of the form key.path=value."),
        (["smoke", "--name", "two\nlines"], 2, "it must be a text on one line."),
        (["smoke", "--seed=-1"], 2, "seed is -1; it must be a whole number at least 0"),
        (["smoke", "--set", "dataset=cifar10"], 2, "CIFAR-10 is not in"),
        (["smoke", "--set", 'baseline={checkpoint="/no/such.pt"}'], 2, "there is no file '/no/such.pt'."),
    ],
)
def test_what_would_fail_at_once_is_never_launched(store, words, code, sentence):
    assert sentence in refusal("run", *words, "--store", store.folder, code=code)
    assert not store.folder.exists()


def test_a_dry_run_says_what_a_launch_would_do_and_launches_nothing(store):
    lines = call("run", "smoke", "--dry-run", "--store", store.folder).stdout.splitlines()
    assert [line.split()[:3] for line in lines[2:6]] == [
        ["baseline", "2", "train"], ["prune", "1", "train"], ["quantize", "1", "train"], ["distill", "1", "train"],
    ]  # fmt: skip
    assert lines[6] == "0 reused, 4 to train: 5 epochs, device auto."
    assert lines[7] == "Then measured with onnxruntime, 1 thread."
    assert lines[8] == "Time unknown, nothing like it has run here."
    assert lines[9].startswith("Disk: ")
    assert not store.folder.exists()


def test_a_dry_run_as_json_tells_reused_stages_absent_data_and_the_recipe(store):
    key = stage_keys(recipe.load(presets.find("smoke")))[0]
    (store.stages_folder / key).mkdir(parents=True)
    (store.stages_folder / key / "result.json").write_text("{}")
    words = ("--dry-run", "--json", "--store", store.folder)
    found = json.loads(call("run", "smoke", *words).stdout)
    assert [entry["is_reused"] for entry in found["entries"]] == [True, False, False, False]
    assert (found["is_ready"], found["reused"], found["epochs"], found["seconds"]) == (True, 1, 3, None)
    assert found["recipe"]["stages"][1]["stage"] == "quantize"
    absent = json.loads(call("run", "smoke", "--set", "dataset=cifar10", *words).stdout)
    assert not absent["is_ready"]
    assert "CIFAR-10 is not in" in absent["absent"]
    assert absent["can_download"]
    assert store.runs() == []


def test_a_dry_run_refuses_a_wrong_recipe_as_a_launch_does(store):
    words = ("smoke", "--dry-run", "--set", "stages.0.sparsity=2", "--store", store.folder)
    assert "stages[0].sparsity is 2" in refusal("run", *words, code=2)


def test_the_smallest_preset_is_exact_on_every_processor():
    (quantize,) = [stage for stage in recipe.load(presets.find("smoke")).stages if stage.name == "quantize"]
    assert quantize.reduce_range


def test_a_store_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal("run", "smoke", "--store", tmp_path / "file", code=6)


@pytest.mark.slow
def test_a_recipe_is_run_to_its_end_and_answered_with_one_json_document(store):
    name = 'quo"ted [name]'
    done = call("run", "smoke", "--json", "--name", name, "--seed", "7", *SHORT, "--store", store.folder)
    found = json.loads(done.stdout)
    assert (found["status"], found["name"], found["recipe"]["seed"]) == ("finished", name, 7)
    assert found["deployed"]["size"]["size_bytes"] < found["baseline"]["size"]["size_bytes"]
    assert f"run {found['id']}" in done.stderr
    assert "3 distill: finished in" in done.stderr
    exported = store.folder / "exported"
    call("export", "last", "--to", exported, "--store", store.folder)
    assert (exported / found["id"] / "model.onnx").stat().st_size > 0

    again = call("run", "smoke", "--seed", "7", *SHORT, "--store", store.folder).stdout
    assert "3 distill: reused" in again
    assert "pqd-workbench export" in again


def test_a_detached_run_goes_on_until_it_is_stopped(store):
    done = call("run", "smoke", "--detach", "--json", *ENDLESS, "--store", store.folder)
    launched = json.loads(done.stdout)
    run = store.open(launched["id"])
    assert launched["folder"] == str(run.folder)
    assert run.is_alive()
    process = watch(store, run.id)
    lines_until(process, "baseline: begins")
    assert call("stop", "last", "--store", store.folder).stdout == f"the run {run.id} is stopped.\n"
    process.communicate(timeout=30)
    assert process.returncode == 5
    assert run.state().status is Status.STOPPED


@pytest.mark.parametrize(("dataset", "allowed"), [("cifar10", True), ("digits", None)])
def test_download_is_allowed_where_the_dataset_knows_of_it(dataset, allowed):
    words = ["run", "smoke", "--download", "--set", f"dataset={dataset}"]
    wanted = run_verb.load(parser.make().parse_args(words))
    assert getattr(wanted.dataset, "download", None) is allowed

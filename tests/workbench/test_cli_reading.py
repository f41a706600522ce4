import json
import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from pipeline import events as e
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded
from tests.workbench.commands import call, on_terminal, refusal, without_colours


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "store")


@pytest.fixture
def mixed(store: RunStore) -> dict[str, str]:
    """A finished, a lost and three unreadable runs; gives their ids by kind."""
    finished = recorded.finished(store, "good")
    lost, lock = recorded.create(store, "lost one")
    recorded.record(lost, recorded.trained())
    os.close(lock)
    cut, lock = recorded.create(store, "cut")
    cut.events_path.write_text("no event\n")
    os.close(lock)
    old, lock = recorded.create(store, "old")
    mad, mad_lock = recorded.create(store, "mad")
    recorded.record(mad, [e.StageStarted(index=3, steps=1)])
    os.close(mad_lock)
    (old.folder / "recipe.toml").write_text('name = "old"\nbackbone = "gone"\ndataset = "digits"\n')
    os.close(lock)
    return {"finished": finished.id, "lost": lost.id, "cut": cut.id, "old": old.id, "mad": mad.id}


def test_an_empty_store_says_what_to_type(store):
    assert "To launch one: pqd-workbench run smoke" in call("list", "--store", store.folder).stdout
    assert json.loads(call("list", "--json", "--store", store.folder).stdout) == []


def test_the_list_shows_each_run_with_its_numbers(store, mixed):
    lines = call("list", "--store", store.folder).stdout.splitlines()
    (row,) = [line for line in lines if line.startswith(mixed["finished"])]
    assert row.split()[1:] == ["PQ", "finished", "94.00", "-1.00", "0.0002", "2.000"]
    assert any(mixed["lost"] in line and "lost" in line for line in lines)


def test_the_list_hides_no_run_that_cannot_be_read(store, mixed):
    printed = call("list", "--store", store.folder).stdout
    assert f"{mixed['cut']}: " in printed
    assert "is not an event" in printed
    assert f"{mixed['old']}: " in printed
    assert "no backbone is called 'gone'" in printed
    assert f"{mixed['mad']}: an event of the log (StageStarted) names entry 3 of a plan of 0." in printed


def test_the_list_is_newest_first_as_json_too(store, mixed):
    rows = json.loads(call("list", "--json", "--store", store.folder).stdout)
    assert [row["id"] for row in rows] == sorted(mixed.values(), reverse=True)
    by_id = {row["id"]: row for row in rows}
    good = by_id[mixed["finished"]]
    assert (good["status"], good["top1"], good["size_bytes"], good["median_ms"]) == ("finished", 94.0, 250, 2.0)
    assert good["error"] is None
    assert by_id[mixed["lost"]]["status"] == "lost"
    assert by_id[mixed["cut"]]["status"] == "unreadable"
    assert "is not an event" in by_id[mixed["cut"]]["error"]


def test_a_run_at_work_shows_how_far_it_is(store):
    run, lock = recorded.create(store)
    recorded.record(run, recorded.trained()[:-4])
    assert "running 80 %" in call("list", "--store", store.folder).stdout
    os.close(lock)


def test_show_sets_the_deployed_network_beside_its_baseline(store):
    run = recorded.finished(store, min_ms=1.0)
    printed = call("show", run.id, "--store", store.folder).stdout
    for piece in (
        f"run {run.id} is finished",
        "small: tiny on digits, prune -> quantize",
        "95.00 % [93.5, 96.2]",
        "94.00 % [92.4, 95.3]",
        "-1.00 points",
        "99.80 %",
        "250 bytes",
        "4.00x smaller",
        "2.000 ms median",
        "2.200 ms p90",
        "2.00x faster",
        "latency: Example CPU, avx512_vnni, onnxruntime 1.23.0, 1 thread, batch 1, 400 calls, load 0.10.",
        "noisy: the deployed's median in onnxruntime is 2.00 times its fastest call",
        "note: channels last was chosen",
        "1 min 01 s (earlier)",
        f"pqd-workbench export {run.id} --to FOLDER --store {store.folder}",
        'stage = "prune"',
        "versions.torch: 2.15",
        str(run.folder / "artifacts" / "deployed" / "model.onnx"),
    ):
        assert piece in printed


def test_a_network_that_got_slower_or_larger_is_called_so(store):
    recorded.finished(store, size_bytes=2000, median_ms=8.0)
    printed = call("show", "last", "--store", store.folder).stdout
    assert "2.00x larger" in printed
    assert "2.00x slower" in printed


def test_show_tells_the_zeros_of_each_layer_and_how_fast_each_stage_trained(store):
    achieved = {"top1": 94.0, "images_per_s": 1234.5, "percent_of_peak": 27.4}
    layers = {"stem": 0.125, "layer1.conv": 0.5}
    events = [
        replace(event, metrics=achieved, layer_sparsity=layers)
        if isinstance(event, e.StageFinished) and event.index == 2
        else event
        for event in recorded.trained()
    ]
    run, lock = recorded.create(store)
    recorded.record(run, events)
    os.close(lock)
    printed = call("show", run.id, "--store", store.folder).stdout
    assert "zeros by layer: stem 12.5 %, layer1.conv 50.0 %" in printed
    (row,) = [line for line in printed.splitlines() if line.startswith("2 quantize")]
    assert "1,234" in row
    assert "27 %" in row


def test_show_fits_a_terminal_of_80_columns(store):
    recorded.finished(store)
    code, written = on_terminal("show", "last", "--store", store.folder)
    assert code == 0
    table = without_colours(written).splitlines()[2:8]
    assert max(map(len, table)) <= 80
    assert any("95.00 % [93.5, 96.2]  94.00 % [92.4, 95.3]  -1.00 points" in line for line in table)


def test_show_as_json_is_the_description_of_the_run(store):
    run = recorded.finished(store)
    done = call("show", "last", "--json", "--store", store.folder)
    assert json.loads(done.stdout) == json.loads(json.dumps(run.describe()))
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["last", "small", "id", "ending"])
def test_a_run_is_found_by_id_ending_name_or_last(store, name):
    run = recorded.finished(store)
    word = {"id": run.id, "ending": run.id[-4:]}.get(name, name)
    assert json.loads(call("show", word, "--json", "--store", store.folder).stdout)["id"] == run.id


def test_an_unknown_run_names_the_nearest(store):
    run = recorded.finished(store)
    assert f"did you mean {run.id!r}?" in refusal("show", f"{run.id}x", "--store", store.folder, code=3)


def test_a_run_that_cannot_be_read_is_one_sentence(store, mixed):
    assert "is not an event" in refusal("show", mixed["cut"], "--json", "--store", store.folder, code=6)


def test_show_says_why_a_run_failed(store):
    run = recorded.finished(store, last=e.RunFailed(reason="The loss is nan at step 3."))
    printed = call("show", "last", "--store", store.folder).stdout
    assert f"the run {run.id} failed: The loss is nan at step 3. What it printed is in" in printed
    assert str(run.log_path) in printed


def test_names_are_shown_letter_by_letter(store):
    name = "[bold]b[/bold] :smile: [/]"
    recorded.finished(store, name)
    for verb in (["show", "last"], ["frontier"]):
        assert name in call(*verb, "--store", store.folder).stdout


def test_what_would_steer_the_terminal_is_not_passed_on(store):
    run = recorded.finished(store, last=e.RunFailed(reason="a\x1b]0;title\x07b"))
    for verb, code in ((["show", run.id], 0), (["watch", run.id], 1)):
        done = call(*verb, "--store", store.folder, code=code)
        assert "\x1b" not in done.stdout + done.stderr


def test_no_color_is_respected(store):
    recorded.finished(store)
    for verb in (["list"], ["show", "last"], ["watch", "last"], ["frontier"]):
        code, written = on_terminal(*verb, "--store", store.folder, NO_COLOR="1")
        assert code == 0
        assert "\x1b[3" not in written
        assert ";3" not in written


def test_the_frontier_marks_what_no_other_run_beats(store):
    small = recorded.finished(store, "small", correct=900, size_bytes=100)
    right = recorded.finished(store, "right", correct=950, size_bytes=300)
    beaten = recorded.finished(store, "beaten", correct=890, size_bytes=310, median_ms=3.0)
    wide = recorded.finished(store, "wide", backbone="resnet18", correct=960, size_bytes=900)
    (group,) = json.loads(call("frontier", "--json", "--store", store.folder).stdout)
    assert group["dataset"] == "digits"
    assert [(run["id"], run["backbone"], run["on_front"]) for run in group["runs"]] == [
        (small.id, "tiny", True), (right.id, "tiny", True), (beaten.id, "tiny", False), (wide.id, "resnet18", True),
    ]  # fmt: skip


def test_the_frontier_sorts_by_latency_when_asked(store):
    slow = recorded.finished(store, "slow", size_bytes=100, median_ms=9.0)
    fast = recorded.finished(store, "fast", size_bytes=300, median_ms=1.0)
    (group,) = json.loads(call("frontier", "--x", "latency", "--json", "--store", store.folder).stdout)
    assert [run["id"] for run in group["runs"]] == [fast.id, slow.id]


def test_only_finished_runs_stand_on_the_frontier_unless_all_are_asked_for(store):
    recorded.finished(store, "ended", last=e.RunStopped())
    assert "no finished run" in call("frontier", "--store", store.folder).stdout
    assert "ended (stopped)" in call("frontier", "--all", "--store", store.folder).stdout


def test_the_frontier_is_a_table_in_a_pipe_and_a_plot_beside_it_on_a_terminal(store):
    recorded.finished(store)
    assert "┤" not in call("frontier", "--store", store.folder).stdout
    for x, label in (("size", "checkpoint, MiB"), ("latency", "median latency, ms")):
        code, written = on_terminal("frontier", "--x", x, "--store", store.folder)
        assert code == 0
        assert "┤" in written
        assert label in written


def test_latencies_of_different_conditions_are_pointed_out(store):
    run = recorded.finished(store)
    text = run.events_path.read_text().replace('"threads":1', '"threads":4')
    recorded.finished(store)
    run.events_path.write_text(text)
    assert "different conditions" in call("frontier", "--store", store.folder).stdout


def test_the_presets_are_listed_with_their_first_comment(empty_home):
    printed = call("presets").stdout
    assert "smoke" in printed
    assert "shipped" in printed
    assert "Seconds on any machine" in printed


def test_a_preset_is_printed_and_copied_as_it_stands(tmp_path):
    text = (Path(__file__).parents[2] / "presets" / "smoke.toml").read_text()
    assert call("presets", "smoke").stdout == text
    copy = tmp_path / "copy.toml"
    call("presets", "smoke", "--copy", copy)
    assert copy.read_text() == text
    assert "exists; choose another name" in refusal("presets", "smoke", "--copy", copy, code=2)
    assert "cannot be written" in refusal("presets", "smoke", "--copy", tmp_path / "no" / "copy.toml", code=6)


def test_a_saved_preset_hides_a_shipped_one(tmp_path):
    (tmp_path / "presets").mkdir()
    (tmp_path / "presets" / "smoke.toml").write_text("# my own [smoke]\n")
    printed = call("presets", PQD_WORKBENCH_CONFIG=str(tmp_path)).stdout
    assert "my own [smoke]" in printed
    assert "saved" in printed


def test_an_unknown_preset_names_the_nearest():
    assert "did you mean 'smoke'?" in refusal("presets", "smokee", code=3)
    assert refusal("presets", "--copy", "x.toml", code=2).startswith("--copy needs the name of a preset")


def test_runs_are_exported_into_folders_of_their_own(store, tmp_path):
    runs = [recorded.finished(store, name) for name in ("one", "two")]
    printed = call("export", *(run.id for run in runs), "--to", tmp_path / "out", "--store", store.folder).stdout
    for run in runs:
        assert f"{run.id}: exported to {tmp_path / 'out' / run.id}" in printed
        assert (tmp_path / "out" / run.id / "model.onnx").exists()


def test_an_export_of_chosen_formats_holds_only_those(store, tmp_path):
    run = recorded.finished(store)
    call("export", "last", "--to", tmp_path, "--format", "checkpoint", "--store", store.folder)
    assert not (tmp_path / run.id / "model.onnx").exists()
    assert (tmp_path / run.id / "model.safetensors").exists()


def test_nothing_is_exported_when_one_name_is_wrong(store, tmp_path):
    recorded.finished(store)
    words = ["--to", tmp_path / "out", "--store", store.folder]
    refusal("export", "last", "nothing like it", *words, code=3)
    assert "did you mean 'onnx'?" in refusal("export", "last", "--format", "onx", *words, code=2)
    assert not (tmp_path / "out").exists()


def test_a_run_that_did_not_finish_is_not_exported(store, tmp_path):
    recorded.finished(store, last=e.RunStopped())
    assert "only a finished run" in refusal("export", "last", "--to", tmp_path, "--store", store.folder, code=6)

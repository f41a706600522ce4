import json
import os
from pathlib import Path

import pytest
from msgspec.json import encode
from msgspec.structs import replace

from pipeline import events as e
from pipeline.report import Accuracy, CheckpointSize, Latency, Paired, TensorSize
from pipeline.runs import description
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
    assert (good["problem"], good["folder"]) == ("", str(store.folder / "runs" / mixed["finished"]))
    assert by_id[mixed["lost"]]["status"] == "lost"
    assert "is not an event" in by_id[mixed["cut"]]["problem"]


def test_the_list_takes_the_filter_of_the_app(store, mixed):
    printed = call("list", "top1>90 !lost", "--store", store.folder).stdout
    assert mixed["finished"] in printed
    assert mixed["lost"] not in printed
    rows = json.loads(call("list", "lost", "|", "unreadable", "--json", "--store", store.folder).stdout)
    assert mixed["finished"] not in {row["id"] for row in rows}
    assert mixed["lost"] in {row["id"] for row in rows}
    none = call("list", "seed>5", "--store", store.folder).stdout
    assert "none of 5 runs" in none
    assert "passes the filter 'seed>5'" in none


def test_a_wrong_filter_is_wrong_usage_in_one_sentence(store):
    sentence = refusal("list", "tpo1>90", "--store", store.folder, code=2)
    assert sentence.startswith("'tpo1>90': there is no 'tpo1'; did you mean 'top1'? Known: run, stages,")


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
        "1 prune: sparsity 0.5, importance magnitude, epochs 2",
        "accuracy: 94.00 % top-1 in onnxruntime",
        "size: 250 bytes instead of 1,000 bytes, 4.00x smaller.",
        "latency: 2.000 ms a call in onnxruntime instead of 4.000 ms, 2.00x faster.",
        "zeros: 50.0 % of the weights; single zeros buy bytes, not milliseconds",
        "[93.5, 96.2]  [92.4, 95.3]",
        "latency: Example CPU, avx512_vnni, onnxruntime 1.23.0, 1 thread, batch 1, 400 calls, load 0.10.",
        "contended: deployed in onnxruntime: the median is 2.00 times the fastest call.",
        f"to measure again on a quiet machine: pqd-workbench measure {run.id} --store {store.folder}",
        "note: channels last was chosen",
        "1 min 01 s",
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


def rich_run(store: RunStore):
    """A run with everything that can be known: two runtimes, two sizes of the batch, pairs, tensors, eager torch."""
    run = recorded.finished(store)
    happened = [e.LatencyMeasured(subject="baseline", latency=latency("torch", 1.9, 1))]
    paired = Paired(total=10000, gained=150, lost=200)
    numbers = {"baseline": (9213, None, 0.7, 2_949_000), "deployed": (9163, paired, 0.33, 430_000)}
    tensors = tuple(
        TensorSize(name=f"layer{index}.weight", shape=(64, 64, 3, 3), dtype="int8", num_nonzero=18432,
                   coded_bytes=20_000 + index, bound_bytes=19_000.0)
        for index in range(20)
    )  # fmt: skip
    for subject, (correct, versus, ms, size_bytes) in numbers.items():
        size = CheckpointSize(size_bytes=size_bytes, num_parameters=737_280, num_nonzero=368_640, dense_bytes=740_000,
                              float_bytes=2_949_120, bound_bytes=400_000.0, tensors=tensors)  # fmt: skip
        happened.append(e.SizeMeasured(subject=subject, size=size))
        for runtime in ("onnxruntime", "openvino"):
            accuracy = Accuracy(correct=correct, total=10_000, runtime=runtime, agreement=0.998, versus_baseline=versus)
            happened.append(e.AccuracyMeasured(subject=subject, accuracy=accuracy))
            timed = (latency(runtime, ms * batch, batch) for batch in (1, 8))
            happened += [e.LatencyMeasured(subject=subject, latency=found) for found in timed]
    run.append(happened)
    return run


def latency(runtime: str, ms: float, batch: int) -> Latency:
    return Latency(
        runtime=runtime, median_ms=ms, p90_ms=1.1 * ms, p99_ms=1.3 * ms, min_ms=0.95 * ms, samples=200, threads=1,
        batch_size=batch, machine=recorded.machine(), precision={"int8": 21, "float32": 1}, roof_ms=0.1 * batch,
        busy_elsewhere=0.7 if batch == 8 else 0.0,
    )  # fmt: skip


def test_show_compares_in_pairs_and_with_what_most_people_run(store):
    rich_run(store)
    printed = call("show", "last", "--store", store.folder).stdout
    for piece in (
        "smaller by 0.50 ± 0.37 points (p = 0.0087) on 10,000 samples.",
        "2.12x faster; 5.76x faster than the FP32 baseline in eager torch (1.900 ms)",
        "executed as int8 21, float32 1, 0.100 ms at the roof.",
        "contended: deployed in openvino, batch 8: something else kept 0.7 cores busy.",
        "8 more: --layers",
    ):
        assert piece in printed
    (row,) = [line.split() for line in printed.splitlines() if line.startswith("layer19.weight")]
    assert row[1:] == ["64x64x3x3", "50.0", "4.34", "4.12", "20,019", "4.7"]
    assert "layer0.weight" not in printed
    assert "layer0.weight" in call("show", "last", "--layers", "--store", store.folder).stdout


def test_show_and_the_lists_fit_a_terminal_of_80_columns(store):
    run = rich_run(store)
    for verb in (["show", "last"], ["list"], ["frontier"]):
        code, written = on_terminal(*verb, "--store", store.folder)
        assert code == 0
        lines = [line for line in without_colours(written).splitlines() if run.id not in line and "│" not in line]
        assert [line for line in lines if len(line) > 80] == []
    assert "-0.50 ± 0.37" in on_terminal("list", "--store", store.folder)[1]


def test_a_contended_latency_is_marked_in_the_lists(store):
    recorded.finished(store, min_ms=1.0)
    for verb in ("list", "frontier"):
        printed = call(verb, "--store", store.folder).stdout
        assert "2.000!" in printed
        assert "! contended, so not to be trusted; to measure again: pqd-workbench measure RUN" in printed


def test_show_as_json_is_the_description_of_the_run(store, tmp_path):
    run = rich_run(store)
    done = call("show", "last", "--json", "--store", store.folder)
    assert done.stderr == ""
    (tmp_path / "report.json").write_text(done.stdout)
    assert encode(description.load(tmp_path / "report.json")) == encode(run.describe())


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
    for x, label in (("size", "MiB, log"), ("latency", "ms, log")):
        code, written = on_terminal("frontier", "--x", x, "--store", store.folder)
        assert code == 0
        assert "┤" in written
        assert "top1 %" in written
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
    printed = call(
        "export", *(run.id for run in runs), "--to", tmp_path / "out", "--format", "onnx", "--store", store.folder
    ).stdout  # fmt: skip
    for run in runs:
        assert f"{run.id}: exported to {tmp_path / 'out' / run.id}" in printed
        assert (tmp_path / "out" / run.id / "model.onnx").exists()
    assert printed.count("  model.onnx: opened again, it gives the deployed network's answer to ") == 2


def test_an_export_of_chosen_formats_holds_only_those(store, tmp_path):
    run = recorded.finished(store)
    call("export", "last", "--to", tmp_path, "--format", "checkpoint", "--store", store.folder)
    assert not (tmp_path / run.id / "model.onnx").exists()
    assert (tmp_path / run.id / "model.pqd.safetensors").exists()


def test_nothing_is_exported_when_one_name_is_wrong(store, tmp_path):
    recorded.finished(store)
    words = ["--to", tmp_path / "out", "--store", store.folder]
    refusal("export", "last", "nothing like it", *words, code=3)
    assert "did you mean 'onnx'?" in refusal("export", "last", "--format", "onx", *words, code=2)
    assert not (tmp_path / "out").exists()


def test_a_run_that_did_not_finish_is_not_exported(store, tmp_path):
    recorded.finished(store, last=e.RunStopped())
    assert "only a finished run" in refusal("export", "last", "--to", tmp_path, "--store", store.folder, code=6)

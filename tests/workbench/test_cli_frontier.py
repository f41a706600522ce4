"""The verbs ``frontier`` and ``compare`` with their options."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded
from tests.workbench.commands import call, on_terminal, refusal


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    made = RunStore(tmp_path / "store")
    recorded.finished(made, "small", correct=900, size_bytes=100)
    recorded.finished(made, "right", correct=950, size_bytes=300)
    recorded.finished(made, "beaten", correct=890, size_bytes=310, median_ms=3.0)
    return made


def test_a_filter_narrows_the_runs_down(store):
    (group,) = json.loads(call("frontier", "right", "--json", "--store", store.folder).stdout)
    assert [(run["run"], run["on_front"]) for run in group["runs"]] == [("right", True)]
    assert "passes 'nothing'" in call("frontier", "nothing", "--store", store.folder).stdout


def test_any_quantity_can_be_an_axis(store):
    printed = call("frontier", "--x", "roof", "--y", "latency", "--store", store.folder, code=0).stdout
    assert "no finished run" in printed or "of roof" in printed
    sentence = refusal("frontier", "--y", "beauty", "--store", store.folder, code=2)
    assert "invalid choice: 'beauty' (choose from top1, " in sentence


def test_figures_are_written_and_the_same_each_time(store, tmp_path):
    for name in ("one", "two"):
        outs = [word for ending in ("svg", "csv", "txt") for word in ("--out", tmp_path / f"{name}.{ending}")]
        assert "written: " in call("frontier", *outs, "--store", store.folder).stderr
    for ending in ("svg", "csv", "txt"):
        assert (tmp_path / f"one.{ending}").read_bytes() == (tmp_path / f"two.{ending}").read_bytes()
    runs = list(csv.DictReader(io.StringIO((tmp_path / "one.csv").read_text())))
    assert [run["run"] for run in runs if run["on_front"] == "True"] == ["small", "right"]
    assert "is there already" in refusal("frontier", "--out", tmp_path / "one.svg", "--store", store.folder, code=6)


def test_a_terminal_shows_a_plot_with_the_front_apart(store):
    code, written = on_terminal("frontier", "--store", store.folder)
    assert code == 0
    assert "@@ front" in written
    assert "oo beaten by another" in written
    assert "MiB, log" in written
    assert "┌" not in call("frontier", "--store", store.folder).stdout.partition("latency:")[2]
    one = on_terminal("frontier", "small", "--store", store.folder, "--y", "seed")
    assert one[0] == 0


def test_a_figure_is_written_without_the_app_s_toolkit(store, tmp_path):
    code = (
        "import sys\nfor name in ('textual', 'plotext'): sys.modules[name] = None\n"
        "from workbench.__main__ import main\n"
        f"sys.argv[1:] = ['frontier', '--out', {str(tmp_path / 'a.txt')!r}, '--out', {str(tmp_path / 'a.svg')!r},"
        f" '--store', {str(store.folder)!r}]\nsys.exit(main())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.txt").exists()


def test_compare_prints_differences_and_all_on_request(store):
    printed = call("compare", "small", "right", "--store", store.folder).stdout
    assert "95.0 (+5.0 pt)" in printed
    assert "backbone" not in printed
    assert "backbone" in call("compare", "small", "right", "--all", "--store", store.folder).stdout


def test_compare_as_json_and_as_a_file(store, tmp_path):
    document = json.loads(call("compare", "small", "right", "--json", "--store", store.folder).stdout)
    assert [run["name"] for run in document["runs"]] == ["small", "right"]
    assert {"section": "numbers", "name": "top1 %", "values": ["90.0", "95.0"]} in document["table"]
    call("compare", "small", "right", "--out", tmp_path / "table.csv", "--store", store.folder)
    assert (tmp_path / "table.csv").read_text().startswith("section,name,")
    told = refusal("compare", "small", "right", "--out", "x.pdf", "--store", store.folder, code=6)
    assert "'x.pdf' ends in none of .csv, .txt" in told


def test_metrics_are_printed_and_written_and_no_file_is_overwritten(store, tmp_path):
    printed = call("metrics", "small", "--store", store.folder).stdout
    assert printed.splitlines()[0].startswith("run,stage,place,is_epoch,epoch,step,time_s")
    path = tmp_path / "metrics.json"
    call("metrics", "small", "right", "--out", path, "--store", store.folder)
    assert json.loads(path.read_text()) == json.loads(
        call("metrics", "small", "right", "--json", "--store", store.folder).stdout
    )
    assert "is there already" in refusal("metrics", "small", "--out", path, "--store", store.folder, code=6)
    assert "ends in none of .csv, .json" in refusal(
        "metrics", "small", "--out", "x.pdf", "--store", store.folder, code=6
    )


def test_compare_wants_two_runs_that_exist(store):
    assert refusal("compare", "small", "--store", store.folder, code=2) == (
        "1 run was named; name two or more to compare."
    )
    assert "there is no run 'gone'" in refusal("compare", "small", "gone", "--store", store.folder, code=3)

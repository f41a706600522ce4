"""The document of a run: what follows from the facts is written out, and it is read back whole or refused."""

import json
import math

import msgspec
import pytest

from pipeline import events as e
from pipeline.errors import CorruptRun
from pipeline.report import Paired
from pipeline.runs import description
from pipeline.runs.store import RunStore
from tests.pipeline.exports import recorded


@pytest.fixture
def document(tmp_path) -> dict:
    run = recorded.finished(RunStore(tmp_path / "store"), min_ms=1.0)
    paired = Paired(total=1000, gained=10, lost=20)
    accuracy = msgspec.structs.replace(run.state().deployed.accuracy, versus_baseline=paired)
    run.append([e.AccuracyMeasured(subject="deployed", accuracy=accuracy)])
    return json.loads(msgspec.json.encode(run.describe()))


def test_what_follows_from_the_facts_is_written_out(document):
    accuracy = document["deployed"]["accuracies"]["onnxruntime"]
    assert (accuracy["correct"], accuracy["total"], accuracy["top1"]) == (940, 1000, 94.0)
    low, high = accuracy["interval"]
    assert low < 94.0 < high
    paired = accuracy["versus_baseline"]
    assert (paired["gained"], paired["lost"], paired["points"]) == (10, 20, -1.0)
    # Exact McNemar: twice the lower tail of a binomial of 30 fair throws.
    assert paired["p_value"] == pytest.approx(2 * sum(math.comb(30, k) for k in range(11)) / 2**30)
    latency = document["deployed"]["latency"]["onnxruntime"]
    assert (latency["contended"], latency["of_roof"]) == (True, None)
    assert (document["format"], document["size_ratio"], document["speedup"]) == (1, 4.0, {"onnxruntime": 2.0})
    assert [entry["reused"] for entry in document["stages"]] == [True, False, False]
    subjects = [file["subject"] for file in document["artifacts"]]
    assert subjects == sorted(subjects, reverse=True)


def test_a_document_with_fields_of_tomorrow_is_read(document, tmp_path):
    document["tomorrow"] = {"deep": [1]}
    document["deployed"]["tomorrow"] = 1
    (tmp_path / "report.json").write_text(json.dumps(document))
    assert description.load(tmp_path / "report.json").id == document["id"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "has the format 2; this version reads 1: install a newer pqd-workbench."),
        ({"status": "great" * 1000}, r"is no report of a run: Invalid enum value 'great.{150,200}\.\.\.\."),
        ({"id": None}, r"Expected `str`, got `null` - at `\$\.id`\."),
    ],
)
def test_a_document_that_is_wrong_is_one_sentence(document, tmp_path, change, reason):
    (tmp_path / "report.json").write_text(json.dumps(document | change))
    with pytest.raises(CorruptRun, match=reason):
        description.load(tmp_path / "report.json")


def test_what_is_no_report_is_one_sentence(tmp_path):
    path = tmp_path / "report.json"
    with pytest.raises(CorruptRun, match="cannot be read: No such file"):
        description.load(path)
    path.write_bytes(b"[" * 100_000)
    with pytest.raises(CorruptRun, match="is no report of a run"):
        description.load(path)
    with path.open("wb") as opened:
        opened.truncate(description.LARGEST_BYTES + 1)
    with pytest.raises(CorruptRun, match="has more than 64 MiB"):
        description.load(path)

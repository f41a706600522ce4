"""Every recorded number of a run leaves as a table or a document, exactly as the log has it."""

import csv
import io
import json
import math

import pytest

from pipeline import events as e
from pipeline.runs import metrics
from pipeline.runs.store import RunStore
from tests.workbench import fakes


@pytest.fixture
def run(tmp_path):
    of = fakes.recipe_of(stages="P", epochs=2)
    happened = [fakes.started(of), *fakes.training(of, 0, fakes.START_S), *fakes.training(of, 1, 2e9, epochs=1)]
    bad = e.Progressed(time_s=2e9 + 11, index=1, step=21, metrics={"loss": math.nan, "bad_steps": 1.0})
    return fakes.add_run(RunStore(tmp_path / "store"), of, [*happened, bad])


def test_a_record_says_where_in_the_training_it_was_taken(run):
    found = metrics.records([run])
    assert [record.stage for record in found] == ["baseline"] * 10 + ["prune"] * 6
    part, whole = found[2], found[4]
    assert (part.is_epoch, part.epoch, part.step, part.place) == (False, 0.75, 15, 0)
    assert (whole.is_epoch, whole.epoch, whole.step) == (True, 1, 20)
    assert whole.metrics["top1"] == pytest.approx(90 - 40 * math.exp(-2))
    assert found[-1].metrics == {"loss": None, "bad_steps": 1.0}


def test_the_table_has_a_column_for_each_metric_and_gaps_where_none_was_recorded(run):
    rows = list(csv.DictReader(io.StringIO(metrics.csv(metrics.records([run])).decode())))
    assert len(rows) == 16
    assert rows[4]["run"] == run.id
    assert float(rows[4]["validation_loss"]) > 0
    assert rows[0]["validation_loss"] == ""
    assert (rows[-1]["loss"], rows[-1]["bad_steps"]) == ("", "1.0")


def test_the_document_is_the_same_in_json(run):
    document = json.loads(metrics.json(metrics.records([run, run])))
    assert len(document) == 32
    assert document[4]["metrics"]["learning_rate"] == pytest.approx(metrics.records([run])[4].metrics["learning_rate"])
    assert document[-1]["metrics"]["loss"] is None

"""A key changes with everything that decides a result, and with nothing else."""

import sys
from pathlib import Path

import pytest

from pipeline import recipe
from pipeline.errors import CheckpointError
from pipeline.keys import answers_key, stage_keys


def make(folder=Path("/"), *, stages=({"stage": "distill", "epochs": 1},), **changes):
    document = {"name": "x", "backbone": "tiny", "dataset": "digits", "baseline": {"epochs": 2}, "stages": [*stages]}
    return recipe.parse(document | changes, folder=folder)


def distill(**options):
    return ({"stage": "distill", "epochs": 1, **options},)


def test_where_and_how_fast_a_stage_trains_is_no_part_of_its_key():
    free = {"device": "cpu", "teacher_cache_mib": 0}
    assert stage_keys(make(training=free, name="y", measure={"threads": 2})) == stage_keys(make())
    assert not set(stage_keys(make(training={"momentum": 0.5}))) & set(stage_keys(make()))


def test_settings_of_one_stage_alone_leave_the_keys_before_it():
    prune = {"stage": "prune", "epochs": 1}
    plain, other = make(stages=[prune]), make(stages=[prune | {"training": {"momentum": 0.5}}])
    assert stage_keys(plain)[0] == stage_keys(other)[0]
    assert stage_keys(plain)[1] != stage_keys(other)[1]


def test_a_teacher_has_the_key_of_the_baseline_of_a_recipe_with_its_backbone():
    taught = make(stages=distill(teacher="resnet20"))
    assert [entry.name for entry in taught.plan] == ["baseline", "teacher", "distill"]
    baseline, teacher, student = stage_keys(taught)
    assert teacher == stage_keys(make(backbone="resnet20", stages=()))[0]
    assert [baseline, student] != stage_keys(make())
    assert baseline == stage_keys(make())[0]


def test_a_checkpoint_counts_by_what_it_holds_and_not_by_where_it_lies(tmp_path):
    for name, content in {"a": b"1", "b": b"1", "c": b"2"}.items():
        (tmp_path / f"{name}.pt").write_bytes(content)
    a, b, c = (stage_keys(make(tmp_path, stages=distill(teacher_checkpoint=f"{name}.pt"))) for name in "abc")
    assert a == b
    assert a[0] == c[0]
    assert not set(a[1:]) & set(c[1:])
    loaded = make(tmp_path, baseline={"checkpoint": "a.pt"}, stages=())
    assert stage_keys(loaded) == [a[1]]


def test_a_checkpoint_that_cannot_be_read_is_named_by_its_option(tmp_path):
    with pytest.raises(CheckpointError, match=r"stages\[0\]\.teacher_checkpoint '.*none\.pt' cannot be read: No such"):
        stage_keys(make(tmp_path, stages=distill(teacher_checkpoint="none.pt")))


def test_a_teacher_from_outside_counts_by_the_text_of_its_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "outside_teacher.py"
    taught = make(stages=distill(teacher="outside_teacher:build"))
    module.write_text("def build(*, num_classes, in_channels): ...\n")
    before = stage_keys(taught)
    module.write_text("def build(*, num_classes, in_channels): return None\n")
    after = stage_keys(taught)
    assert "outside_teacher" not in sys.modules
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, False]


def test_answers_have_another_key_when_anything_that_decides_them_changes():
    facts = {"weights": "w", "views": "v", "arithmetic": "a"}
    keys = {answers_key(make(stages=()), **facts | change) for change in ({}, *({name: "other"} for name in facts))}
    keys.add(answers_key(make(stages=(), backbone="resnet20"), **facts))
    assert len(keys) == 5

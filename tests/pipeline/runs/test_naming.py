import pytest

from pipeline.errors import ExportError
from pipeline.runs import naming
from pipeline.runs.rows import Row

ROW = Row(
    id="2026-11-21-101500-pqd-a1b2", name="pqd", backbone="resnet18", dataset="cifar10", seed=3, top1=94.06,
    stages=("prune", "quantize", "distill"), created="2026-11-21 10:15",
)  # fmt: skip


def name(template, row=ROW):
    return naming.names(template, [row])[0]


def test_every_field_is_filled_in():
    template = "_".join(f"{{{field}}}" for field in naming.fields)
    assert name(template) == "pqd_resnet18_cifar10_PQD_3_94.1_2026-11-21-101500-pqd-a1b2_2026-11-21"


def test_the_name_is_the_id_unless_a_person_wants_another():
    assert name(naming.DEFAULT) == ROW.id


@pytest.mark.parametrize(
    ("given", "made"),
    [("a/b\\c", "a-b-c"), ("../x", "x"), (".hidden", "hidden"), ("名 前\n", "名-前-"), ("???", ROW.id), ("a. ", "a.-")],
)
def test_letters_are_made_safe_for_file_names(given, made):
    assert name("{name}", Row(id=ROW.id, name=given)) == made


def test_a_long_name_is_cut_to_what_file_systems_allow():
    assert len(name("{name}", Row(id="x", name="名" * 300)).encode()) <= naming.LONGEST


def test_what_is_not_known_has_a_word():
    assert name("{backbone}-{stages}-{top1}-{date}", Row(id="x", name="x", backbone="tiny")) == (
        "tiny-base-unknown-undated"
    )


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{bakbone}", "no field {bakbone}; did you mean 'backbone'? Known: name, backbone,"),
        ("{}", "no field {}; known: name,"),
        ("{top1:.2f}", "takes no ':'"),
        ("{name", "cannot be read"),
        ("a/b", "has a slash"),
        (" ", "is empty"),
    ],
)
def test_a_template_that_cannot_be_understood_is_one_sentence(template, sentence):
    with pytest.raises(ExportError) as caught:
        naming.check(template)
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")


def test_runs_of_one_name_are_told_apart_by_their_ids():
    rows = [Row(id="first-a1b2", name="PQ"), Row(id="second-c3d4", name="pq"), Row(id="third-e5f6", name="other")]
    assert naming.names("{name}", rows) == ["PQ-a1b2", "pq-c3d4", "other"]


def test_runs_that_cannot_be_told_apart_are_refused():
    rows = [Row(id="first-same", name="pq"), Row(id="second-same", name="pq")]
    with pytest.raises(ExportError, match=r"2 of the runs would be called .*put \{id\} into the template"):
        naming.names("{name}", rows)

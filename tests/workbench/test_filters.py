"""The filter of runs: what each term means, and what is said about one that cannot be understood."""

import msgspec
import pytest

from pipeline.runs.rows import Row, Step
from pipeline.runs.state import Status
from workbench import filters
from workbench.columns import columns, named
from workbench.filters import FilterError

MIB = 1024 * 1024
rows = (
    Row(id="2026-11-02_a", name="pqd two", backbone="resnet18", dataset="cifar10",
        stages=("prune", "quantize", "distill"), status=Status.FINISHED, top1=94.12, points=-0.5,
        size_bytes=int(1.5 * MIB), median_ms=1.2, tags=("int8", "paper"), created="2026-11-02 10:00", pinned=True,
        baseline_top1=94.62, note="best so far"),
    Row(id="2026-10-01_b", name="pq", backbone="resnet18", dataset="cifar10", stages=("prune", "quantize"), top1=89.0,
        status=Status.FINISHED, points=-5.0, size_bytes=3 * MIB, median_ms=0.4, created="2026-10-01 09:00"),
    Row(id="2026-11-03_c", name="broken", backbone="vgg16_bn", dataset="digits", stages=("quantize",),
        status=Status.FAILED, failure="The loss became nan.", created="2026-11-03 09:00"),
    Row(id="2026-11-04_d", name="busy", backbone="vgg16_bn", dataset="digits", status=Status.RUNNING,
        created="2026-11-04 09:00"),
    Row(id="2026-11-05_e", name="ghost", problem="It cannot be read.", status=Status.FAILED,
        created="2026-11-05 09:00"),
)  # fmt: skip


def passing(text: str) -> str:
    found = filters.parse(text)
    assert found.among(rows) == [row for row in rows if found.matches(row)]
    return " ".join(row.name.split()[0] for row in found.among(rows))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "pqd pq broken busy ghost"),
        ("top1>90", "pqd"),
        ("TOP1>=89", "pqd pq"),
        ("acc>90 size<2", "pqd"),
        ("size<2048kib", "pqd"),
        ("mib>2", "pq"),
        ("latency<1.5ms", "pqd pq"),
        ("ms<500us", "pq"),
        ("points>=-0.5", "pqd"),
        ("top1:94.1", "pqd"),
        ("top1=94", "pqd"),
        ("top1=93", ""),
        ("top1!=94", "pq"),
        ("base>94%", "pqd"),
        ("tag:int8", "pqd"),
        ("tag:int", "pqd"),
        ("tag=int", ""),
        ("tag=paper", "pqd"),
        ("!failed", "pqd pq busy ghost"),
        ("failed", "broken"),
        ("!failed !unreadable", "pqd pq busy"),
        ("state:running", "busy"),
        ("state:run", "busy"),
        ("name:pq", "pqd pq"),
        ("run=pq", "pq"),
        ("pq", "pqd pq"),
        ('"pqd two"', "pqd"),
        ('run:"pqd two"', "pqd"),
        ("stages:PQD", "pqd"),
        ("stages=pq", "pq"),
        ("started>2026-11-01", "pqd broken busy ghost"),
        ("started<2026-11-01", "pq"),
        ("pinned", "pqd"),
        ("!pinned vgg", "broken busy"),
        ("note:best", "pqd"),
        ("failed | running", "broken busy"),
        ("failed|running", "broken busy"),
        ("top1>90 or vgg !running", "pqd broken"),
        ("!top1>90", "pq broken busy ghost"),
        ("seed:0 digits", "broken busy"),
        ("!!pq", "pqd pq"),
    ],
)
def test_a_filter_lets_these_runs_pass(text, expected):
    assert passing(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tpo1>90", "'tpo1>90': there is no 'tpo1'; did you mean 'top1'?"),
        ("zzz:3", "'zzz:3': there is no 'zzz'; known: run, stages, state,"),
        ("top1>", "'top1>' needs a number after the '>'."),
        ("tag:", "'tag:' needs a word after the ':'."),
        ("top1>abc", "'top1>abc': 'abc' is not a number; top1 takes a number, alone or with one of %."),
        ("size<2ms", "'size<2ms': 'ms' is not a unit of size; it takes a number, alone or with one of mib, kib, gib"),
        ("seed=3x", "'x' is not a unit of seed; it takes a number without a unit."),
        ("state:runing", "no state is called 'runing'; did you mean 'running'?"),
        ('"open', 'a quote is not closed: "open; end it with a double quote.'),
        ("!", "'!' stands alone; write what has to be absent right after it"),
        ("a |", "a term is missing beside 'or'"),
        ("or b", "a term is missing beside 'or'"),
    ],
)
def test_a_filter_that_cannot_be_understood_names_the_term_and_what_is_allowed(text, sentence):
    with pytest.raises(FilterError) as error:
        filters.parse(text)
    assert sentence in str(error.value)
    assert str(error.value).endswith(".")


def test_every_column_can_be_filtered_by():
    for column in columns.values():
        text = f"{column.key}>0" if column.is_number else f"{column.key}:f"
        found = filters.parse(text)
        assert [found.matches(row) for row in rows]
        for alias in column.aliases:
            assert named(alias) is column


def test_no_two_columns_share_a_name():
    all_names = [name for column in columns.values() for name in (column.key, *column.aliases)]
    assert len(set(all_names)) == len(all_names)


def test_a_hint_says_how_the_last_word_may_go_on():
    assert "top1>90" in filters.hint("")
    assert filters.hint("!failed si") == "size"
    assert "in mib, kib" in filters.hint("size<")
    assert "running" in filters.hint("state:")
    assert filters.hint("top1>90") == ""


def test_the_stages_of_a_run_show_how_far_each_is_without_colour():
    from workbench.widgets import words

    plan = {"baseline": "reused", "prune": "finished", "quantize": "running", "distill": "pending"}
    steps = tuple(Step(stage=stage, status=status) for stage, status in plan.items())
    assert words.stage_marks(Row(id="x", name="x", backbone="b", steps=steps)) == "P Q▸D·"
    assert words.stage_marks(Row(id="x", name="x", backbone="b", stages=("prune", "distill"))) == "P·D·"


def test_a_run_that_was_searched_and_then_tagged_is_found_by_the_tag():
    found, row = filters.parse("fresh"), rows[1]
    assert not found.matches(row)
    assert found.matches(msgspec.structs.replace(row, tags=("fresh",)))
    assert not found.matches(row)

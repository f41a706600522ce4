"""The verbs ``delete``, ``restore`` and ``annotate``."""

import json

import pytest

from pipeline.runs.annotations import Annotations
from tests.workbench import fakes
from tests.workbench.commands import call, refusal


@pytest.fixture
def runs(store):
    """Three runs that are over, by name."""
    found = {}
    for name in ("one", "two", "three"):
        ours = fakes.recipe_of(name, "P")
        found[name] = fakes.add_run(store, ours, fakes.whole(ours))
    return found


def names(store):
    return {run.name() for run in store.runs()}


def test_runs_are_deleted_together_and_brought_back_by_the_command_that_is_named(store, runs):
    done = call("delete", "one", runs["two"].id, "one", "--store", store.folder)
    assert done.stdout.splitlines() == [f"deleted {runs['one'].id}", f"deleted {runs['two'].id}"]
    assert names(store) == {"three"}
    hint = f"pqd-workbench restore --store {store.folder}"
    assert done.stderr == f"To bring back within a day: {hint}\n"
    call(*hint.split()[1:])
    assert names(store) == {"one", "two", "three"}


def test_one_run_of_the_trash_is_brought_back_by_its_name(store, runs):
    call("delete", "one", "two", "--store", store.folder)
    assert call("restore", "one", "--store", store.folder).stdout == f"restored {runs['one'].id}\n"
    assert names(store) == {"one", "three"}
    assert "there is no run 'one' in the trash" in refusal("restore", "one", "--store", store.folder, code=3)
    found = json.loads(call("restore", "--json", "--store", store.folder).stdout)
    assert found == {"restored": [runs["two"].id]}
    assert "Nothing lies in the trash" in refusal("restore", "--store", store.folder, code=6)


def test_nothing_is_deleted_where_a_run_is_alive_or_unknown(store, runs):
    with fakes.running(store, fakes.recipe_of("alive", "P"), []) as alive:
        said = refusal("delete", "one", "alive", "--store", store.folder, code=6)
    assert said == f"the run {alive.id} is still alive; stop it first."
    assert "there is no run 'gone'" in refusal("delete", "one", "gone", "--store", store.folder, code=3)
    assert names(store) == {"one", "two", "three", "alive"}


def test_a_deletion_is_told_as_json(store, runs):
    done = call("delete", "three", "--json", "--store", store.folder)
    assert json.loads(done.stdout) == {"deleted": [runs["three"].id]}
    assert done.stderr == ""


def test_tags_a_note_and_a_pin_are_given_to_all_runs_and_found_by_the_filter(store, runs):
    runs["one"].annotate(Annotations(tags=("old", "kept")))
    done = call(
        "annotate", "one", "two", "--tag", "int8", "--tag", "#paper", "--untag", "old",
        "--note", "best\nso far", "--pin", "--store", store.folder,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        f"{runs['one'].id}  pinned  #kept  #int8  #paper", "  best", "  so far",
        f"{runs['two'].id}  pinned  #int8  #paper", "  best", "  so far",
    ]  # fmt: skip
    assert runs["one"].annotations() == Annotations(tags=("kept", "int8", "paper"), note="best\nso far", pinned=True)
    found = json.loads(call("list", "tag:int8", "pinned", "--json", "--store", store.folder).stdout)
    assert {row["id"] for row in found} == {runs["one"].id, runs["two"].id}


def test_what_is_not_named_stays_and_without_a_change_it_is_shown(store, runs):
    known = Annotations(tags=("a",), note="mine", pinned=True)
    runs["one"].annotate(known)
    before = runs["one"].annotations_path.stat().st_mtime_ns
    found = json.loads(call("annotate", "one", "--json", "--store", store.folder).stdout)
    assert found == [{"run": runs["one"].id, "tags": ["a"], "note": "mine", "pinned": True}]
    assert runs["one"].annotations_path.stat().st_mtime_ns == before
    call("annotate", "one", "--unpin", "--note", "", "--store", store.folder)
    assert runs["one"].annotations() == Annotations(tags=("a",))


def test_an_illegal_tag_changes_no_run(store, runs):
    assert "'a b' cannot be a tag" in refusal("annotate", "one", "two", "--tag", "a b", "--store", store.folder, code=2)
    assert "not allowed with" in refusal("annotate", "one", "--pin", "--unpin", "--store", store.folder, code=2)
    assert not runs["one"].annotations_path.exists()

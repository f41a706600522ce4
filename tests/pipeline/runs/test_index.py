"""The index lists what the folders hold, remembers it, and is never the truth."""

import os
import time

import pytest

from pipeline.errors import RunNotFound, RunStoreError
from pipeline.runs import index as indexing
from pipeline.runs.annotations import Annotations
from pipeline.runs.index import Index
from pipeline.runs.state import Status
from pipeline.runs.store import Run, RunStore
from tests.workbench import fakes


@pytest.fixture
def store(tmp_path):
    return RunStore(tmp_path / "store")


def finished(store, name="pq", stages="PQ", **numbers):
    ours = fakes.recipe_of(name, stages)
    return fakes.add_run(store, ours, fakes.whole(ours, **numbers))


def looked(store):
    index = Index(store)
    index.look()
    return index


def test_a_row_holds_the_numbers_of_the_run(store):
    run = finished(store, "pqd", "PQD", top1=94.1, size_bytes=3_000_000, ms=1.2)
    (row,) = looked(store).rows
    assert (row.id, row.name, row.letters, row.status) == (run.id, "pqd", "PQD", Status.FINISHED)
    assert (row.top1, row.size_bytes, row.median_ms, row.baseline_ms) == (94.1, 3_000_000, 1.2, 5.3)
    assert row.points == pytest.approx(-0.5)
    assert row.speedup == pytest.approx(5.3 / 1.2)
    assert row.top1_low < 94.1 < row.top1_high
    assert [step.stage for step in row.steps] == ["baseline", "prune", "quantize", "distill"]


def test_an_empty_store_and_one_that_is_not_there_have_no_rows(store):
    assert looked(store).rows == ()
    store.runs_folder.mkdir(parents=True)
    assert looked(store).rows == ()


def test_the_next_index_has_the_rows_before_it_looks_at_any_folder(store, monkeypatch):
    finished(store)
    first = looked(store)
    monkeypatch.setattr(Run, "state", lambda self: pytest.fail("a run was read again"))
    second = Index(store)
    assert second.rows == first.rows
    second.look()
    assert second.rows == first.rows


@pytest.mark.parametrize("harm", [b"", b"not a database" * 100], ids=["empty", "damaged"])
def test_a_damaged_index_is_built_again(store, harm):
    finished(store)
    rows = looked(store).rows
    (store.folder / "index.sqlite").write_bytes(harm)
    assert looked(store).rows == rows
    assert Index(store).rows == rows


def test_an_index_of_another_version_is_built_again(store, monkeypatch):
    finished(store)
    rows = looked(store).rows
    monkeypatch.setattr(indexing, "_VERSION", indexing._VERSION ^ 1)
    assert Index(store).rows == ()
    assert looked(store).rows == rows
    assert Index(store).rows == rows


def test_a_store_that_cannot_be_written_is_listed_all_the_same(store, monkeypatch):
    finished(store)
    monkeypatch.setattr(Index, "_opened", lambda self: (_ for _ in ()).throw(indexing.sqlite3.OperationalError("no")))
    assert len(looked(store).rows) == 1


def test_nothing_is_read_while_nothing_changes(store, monkeypatch):
    finished(store)
    index = looked(store)
    before = index.rows
    monkeypatch.setattr(Run, "state", lambda self: pytest.fail("a run was read again"))
    index.look()
    assert index.rows is before


def test_a_run_that_appears_goes_or_is_restored_is_seen(store):
    index = looked(store)
    run = finished(store)
    index.look()
    assert [row.id for row in index.rows] == [run.id]
    store.delete(run)
    index.look()
    assert index.rows == ()
    assert Index(store).rows == ()
    store.restore(run.id)
    index.look()
    assert [row.id for row in index.rows] == [run.id]


def test_facts_added_to_a_finished_run_are_seen(store):
    run = finished(store, ms=1.2)
    index = looked(store)
    run.append(fakes.measured("deployed", fakes.START_S + 1000, top1=94.0, size_bytes=3_000_000, ms=0.7))
    index.look()
    assert index.rows[0].median_ms == 0.7


def test_tags_a_note_and_a_pin_are_seen(store):
    run = finished(store)
    index = looked(store)
    run.annotate(Annotations(tags=("int8", "paper"), note="the best\nso far", pinned=True))
    index.look()
    row = index.rows[0]
    assert (row.tags, row.note, row.pinned) == (("int8", "paper"), "the best\nso far", True)
    assert Index(store).rows == (row,)


@pytest.mark.parametrize("tag", ["", "two words", "a,b", "x" * 41, "a\nb"])
def test_a_tag_that_could_not_be_typed_in_a_filter_is_refused(store, tag):
    with pytest.raises(RunStoreError, match="cannot be a tag"):
        finished(store).annotate(Annotations(tags=(tag,)))


def test_a_live_run_is_read_on_by_offset_and_a_dead_one_is_lost(store):
    ours = fakes.recipe_of("pq", "PQ")
    with fakes.running(store, ours, [fakes.started(ours)]) as run:
        index = looked(store)
        assert index.rows[0].is_running
        fakes.write(run, fakes.training(ours, 0, fakes.START_S, epochs=2))
        index.look()
        row = index.rows[0]
        assert (row.index, row.steps[0].epoch, row.steps[0].status) == (0, 2, "running")
        assert row.stage_ends_s == pytest.approx(fakes.START_S + 40)
        assert row.ends_s == pytest.approx(fakes.START_S + 120)
        assert Index(store).rows == ()
    index.look()
    assert index.rows[0].status is Status.LOST


def test_what_cannot_be_read_is_a_row_with_the_reason(store):
    run = finished(store)
    run.summary_path.unlink(missing_ok=True)
    run.events_path.write_text("{nonsense\n")
    other = finished(store, "headless")
    (other.folder / "recipe.toml").write_text("name = 3")
    by_id = {row.id: row for row in looked(store).rows}
    assert "is not an event" in by_id[run.id].problem
    assert by_id[other.id].letters == "?"
    assert by_id[other.id].top1 is not None


def test_the_newest_runs_are_read_first_within_the_budget(store):
    ids = [finished(store, f"run{number}").id for number in range(3)]
    index = Index(store)
    for count in (1, 2, 3):
        assert not index.is_complete
        index.look(budget_s=0.0)
        assert [row.id for row in index.rows] == sorted(ids, reverse=True)[:count]
    assert index.is_complete


def test_runs_of_one_deletion_come_back_together_and_the_last_deletion_first(store):
    one, two, three, four = (finished(store, name) for name in ("one", "two", "three", "four"))
    store.delete(one)
    store.delete(two, four)
    store.delete(three)
    assert [{run.id for run in runs} for runs in store.trashed()] == [{three.id}, {two.id, four.id}, {one.id}]
    assert store.open_trashed("last").id == three.id
    assert store.open_trashed("two").id == two.id
    assert [run.id for run in store.restore_last()] == [three.id]
    assert {run.name() for run in store.restore_last()} == {"two", "four"}
    with pytest.raises(RunNotFound, match=f"there is no run 'two' in the trash of the store .*{one.id}"):
        store.open_trashed("two")
    assert [run.id for run in store.restore_last()] == [one.id]
    with pytest.raises(RunStoreError, match="Nothing lies in the trash"):
        store.restore_last()
    assert len(store.runs()) == 4


def test_no_run_is_deleted_where_one_of_them_is_alive(store):
    over = finished(store)
    alive, lock = store.create(fakes.recipe_of("alive", "P"))
    with pytest.raises(RunStoreError, match=f"{alive.id} is still alive"):
        store.delete(over, alive)
    os.close(lock)
    assert {run.id for run in store.runs()} == {over.id, alive.id}


def test_the_trash_holds_a_run_for_a_day(store):
    old, new = finished(store, "old"), finished(store, "new")
    store.delete(old)
    folder = store.trash_folder / old.id
    os.utime(folder, (time.time() - 90_000,) * 2)
    store.delete(new)
    assert not folder.exists()
    with pytest.raises(RunStoreError, match="cannot be restored"):
        store.restore(old.id)
    assert store.restore(new.id).state().status is Status.FINISHED


def everything(folder):
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in [folder, *folder.rglob("*")]}


def test_whoever_may_not_write_reads_what_was_kept_and_changes_nothing(store):
    kept = finished(store, "kept")
    before = everything(store.folder)
    only = Index(store, is_written=False)
    only.look()
    assert [row.id for row in only.rows] == [kept.id]
    assert everything(store.folder) == before
    looked(store)
    new = finished(store, "new")
    before = everything(store.folder)
    only = Index(store, is_written=False)
    assert [row.id for row in only.rows] == [kept.id]
    only.look()
    assert {row.id for row in only.rows} == {kept.id, new.id}
    assert everything(store.folder) == before


def test_a_run_is_read_where_its_files_may_only_be_read(store, monkeypatch):
    """As on a mount that is read-only, which refuses every opening for more."""
    run = finished(store, "theirs")
    opened = os.open

    def refuse(path, flags, *more, **further):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system", path)
        return opened(path, flags, *more, **further)

    monkeypatch.setattr(os, "open", refuse)
    index = Index(store, is_written=False)
    index.look()
    assert [(row.id, row.problem) for row in index.rows] == [(run.id, "")]

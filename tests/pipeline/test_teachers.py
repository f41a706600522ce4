"""Tables of answers on disk: exact, bounded, and never trusted when they are damaged."""

import os

import numpy as np
import pytest

from pipeline.teachers import AnswerTables


def table(seed=0, samples=50):
    found = np.random.default_rng(seed).normal(size=(samples, 10)).astype(np.float32)
    found[::7] = np.nan
    return found


SIZE = 50 * 10 * 4 + 128 + 32
"""Bytes of a table: the numbers, numpy's header, the checksum."""


def kept(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*"))


def test_a_table_comes_back_bit_for_bit(tmp_path):
    tables = AnswerTables(tmp_path, "k", limit_bytes=SIZE)
    assert tables.read(0) is None
    tables.write(0, table())
    found = tables.read(0)
    assert found.dtype == np.float32
    assert found.tobytes() == table().tobytes()
    assert found.flags.writeable
    assert (tmp_path / "k" / "epoch-0.npy").stat().st_size == SIZE
    assert np.load(tmp_path / "k" / "epoch-0.npy").shape == (50, 10)


@pytest.mark.parametrize("damage", [lambda b: b[:-5], lambda b: b"", lambda b: b[:300] + b"\xff" + b[301:]])
def test_a_damaged_table_is_not_there_and_is_written_again(tmp_path, damage):
    tables = AnswerTables(tmp_path, "k", limit_bytes=SIZE)
    tables.write(0, table())
    path = tmp_path / "k" / "epoch-0.npy"
    path.write_bytes(damage(path.read_bytes()))
    assert tables.read(0) is None
    tables.write(0, table())
    assert tables.read(0).tobytes() == table().tobytes()


def test_what_was_not_used_for_longest_goes_first(tmp_path):
    tables, others = (AnswerTables(tmp_path, key, limit_bytes=3 * SIZE) for key in ("a", "b"))
    for place, (owner, epoch) in enumerate([(tables, 0), (tables, 1), (others, 0)]):
        owner.write(epoch, table())
        path = tmp_path / ("b" if owner is others else "a") / f"epoch-{epoch}.npy"
        os.utime(path, (1000 + place, 1000 + place))
    assert tables.read(0) is not None
    others.write(1, table())
    assert kept(tmp_path) == ["a/epoch-0.npy", "b/epoch-0.npy", "b/epoch-1.npy"]


def test_a_table_that_is_larger_than_all_may_be_is_not_kept_and_displaces_nothing(tmp_path):
    tables = AnswerTables(tmp_path, "k", limit_bytes=SIZE)
    tables.write(0, table())
    tables.write(1, table(samples=51))
    assert kept(tmp_path) == ["k/epoch-0.npy"]


def test_a_folder_that_takes_no_table_is_no_reason_to_fail(tmp_path):
    (tmp_path / "file").touch()
    tables = AnswerTables(tmp_path / "file", "k", limit_bytes=SIZE)
    tables.write(0, table())
    assert tables.read(0) is None


def test_a_teachers_first_epochs_stay_when_not_all_of_them_fit(tmp_path):
    """Students read epochs in order: were the oldest to give way, each one would be gone just before it is read."""
    tables = AnswerTables(tmp_path, "k", limit_bytes=2 * SIZE)
    for epoch in range(5):
        tables.write(epoch, table(epoch))
    assert kept(tmp_path) == ["k/epoch-0.npy", "k/epoch-1.npy"]

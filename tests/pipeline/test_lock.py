import threading

import pytest

from pipeline.errors import RunStoreError
from pipeline.lock import exclusive


class Stopped(BaseException):
    pass


def stop():
    raise Stopped


def test_a_second_one_waits_for_the_first_and_says_so_once(tmp_path):
    path, events, entered = tmp_path / "lock", [], threading.Event()

    def second():
        with exclusive(path, waiting=lambda: (events.append("waiting"), entered.set())):
            events.append("second")

    with exclusive(path):
        thread = threading.Thread(target=second)
        thread.start()
        assert entered.wait(10)
        events.append("first")
    thread.join(10)
    assert events == ["waiting", "first", "second"]


def test_waiting_can_be_interrupted(tmp_path):
    with exclusive(tmp_path / "lock"), pytest.raises(Stopped), exclusive(tmp_path / "lock", interrupt=stop):
        pytest.fail("two hold the lock")


def test_a_lock_that_cannot_be_made_is_named(tmp_path):
    with pytest.raises(RunStoreError, match="cannot be opened: No such file"), exclusive(tmp_path / "a" / "lock"):
        pytest.fail("there is no such folder")

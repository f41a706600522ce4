"""The end of a log: as many lines as asked for, whole ones, read on as the run goes on, and to the last letter."""

import pytest

from tests.workbench import fakes
from workbench import tail
from workbench.tail import Earlier, Tail


@pytest.fixture
def run(store):
    """A run that goes on."""
    with fakes.running(store, fakes.recipe_of("p", "P"), []) as run:
        run.log_path.touch()
        yield run


def prints(run, text):
    with run.log_path.open("a") as log:
        log.write(text)


def lines(first, last):
    return tuple(f"line {place}" for place in range(first, last))


def text(first, last):
    return "".join(f"{line}\n" for line in lines(first, last))


def test_a_log_is_read_on_line_by_line(run):
    log = Tail(run, 100)
    assert log.look() == ((), None)
    prints(run, "one\n 1%\r 50%\r100%\ncut")
    assert log.look() == (("one", "100%"), Earlier())
    assert log.look() == ((), None)
    prints(run, " line\r\nthree\n")
    assert log.look() == (("cut line", "three"), None)


def test_of_a_long_log_the_last_lines_are_read_and_those_before_are_counted(run):
    prints(run, text(0, 20_000))
    assert Tail(run, 500).look() == (lines(19_500, 20_000), Earlier(len(text(0, 19_500)), 19_500))


@pytest.mark.parametrize("most", [1, 2, 99, 100, 101])
def test_the_first_line_is_a_whole_one_wherever_the_pieces_end(run, monkeypatch, most):
    monkeypatch.setattr(tail, "PIECE_BYTES", 7)
    prints(run, text(0, 100) + "cut")
    found, earlier = Tail(run, most).look()
    assert found == lines(max(0, 100 - most), 100)
    assert earlier == Earlier(len(text(0, max(0, 100 - most))), max(0, 100 - most))


def test_lines_beyond_what_is_shown_are_passed_over_while_the_run_goes_on(run):
    log = Tail(run, 10)
    prints(run, text(0, 5) + "lin")
    assert log.look() == (lines(0, 5), Earlier())
    prints(run, text(5, 100).removeprefix("lin"))
    assert log.look() == (lines(90, 100), Earlier(len(text(0, 90)), 90))
    prints(run, text(100, 101))
    assert log.look() == (lines(100, 101), None)


def test_what_is_too_much_to_be_counted_is_told_by_its_size(run, monkeypatch):
    monkeypatch.setattr(tail, "COUNTED_BYTES", 100)
    prints(run, text(0, 100))
    assert Tail(run, 10).look() == (lines(90, 100), Earlier(len(text(0, 90)), None))


def test_of_lines_that_never_end_no_more_is_read_than_can_be_held(run, monkeypatch):
    monkeypatch.setattr(tail, "PIECE_BYTES", 10)
    monkeypatch.setattr(tail, "MOST_BYTES", 40)
    prints(run, "".join(f"\r{k:>3} %" for k in range(101)))
    log = Tail(run, 100)
    assert log.look() == ((), None)
    assert log._cut == b"100 %"
    prints(run, "\n")
    assert log.look()[0] == ("100 %",)


def test_the_last_line_is_given_without_its_end_once_the_run_is_over(store):
    ours = fakes.recipe_of("p", "P")
    with fakes.running(store, ours, []) as run:
        prints(run, "one\nKilled")
        log = Tail(run, 100)
        assert log.look() == (("one",), Earlier())
    assert log.look() == (("Killed",), None)
    assert log.look() == ((), None)
    assert Tail(run, 100).look() == (("one", "Killed"), Earlier())


def test_the_lock_of_somebody_else_keeps_no_line_back(run, monkeypatch):
    def refuse(self):
        raise PermissionError

    monkeypatch.setattr(type(run), "is_alive", refuse)
    prints(run, "one\ncut")
    assert Tail(run, 100).look() == (("one",), Earlier())

"""What goes on is drawn each beat, and more rarely where that would take much of a core."""

import pytest

from workbench.pace import MOST_BEATS, MOST_OF_A_CORE, Pace


class Machine:
    """A clock, and a processor that the test uses up."""

    def __init__(self):
        self.now_s = 100.0
        self.spent_s = 0.8

    def draw(self, pace, cost_s, silence_s=0.0):
        """Wait for the next drawing, which costs so much; gives how long the wait was."""
        start_s = self.now_s
        while not pace.is_due:
            self.now_s += 0.01
        waited_s = self.now_s - start_s
        self.now_s += silence_s
        self.spent_s += cost_s
        pace.drew()
        return waited_s


@pytest.fixture
def machine():
    return Machine()


@pytest.fixture
def pace(machine):
    return Pace(1.0, clock=lambda: machine.now_s, spent=lambda: machine.spent_s)


def test_the_first_drawing_is_due_at_once(pace):
    assert pace.is_due


def test_what_costs_little_is_drawn_each_beat_whatever_the_start_of_the_process_cost(machine, pace):
    waits = [machine.draw(pace, 0.5 * MOST_OF_A_CORE) for _ in range(6)]
    assert waits == pytest.approx([0.0, 1.0, 1.0, 1.0, 1.0, 1.0], abs=0.02)


def test_what_costs_more_is_drawn_more_rarely_so_that_its_share_of_a_core_is_kept(machine, pace):
    waits = [machine.draw(pace, 2.0 * MOST_OF_A_CORE) for _ in range(6)]
    assert waits[-3:] == pytest.approx([2.0, 2.0, 2.0], abs=0.02)


def test_nobody_waits_for_more_than_a_few_beats(machine, pace):
    waits = [machine.draw(pace, 5.0) for _ in range(6)]
    assert max(waits) == pytest.approx(MOST_BEATS, abs=0.02)


def test_one_dear_moment_changes_nothing(machine, pace):
    for _ in range(3):
        machine.draw(pace, 0.01)
    machine.draw(pace, 0.5)
    assert machine.draw(pace, 0.01) == pytest.approx(1.0, abs=0.02)
    assert machine.draw(pace, 0.01) == pytest.approx(1.0, abs=0.02)


def test_what_goes_on_after_a_long_silence_is_drawn_at_the_usual_beat(machine, pace):
    for _ in range(4):
        machine.draw(pace, 0.6, silence_s=60.0)
    assert machine.draw(pace, 0.01) == pytest.approx(1.0, abs=0.02)

"""How often what goes on is drawn: each beat, but more rarely where the workbench would take much of the processor."""

import math
import time
from collections import deque
from collections.abc import Callable

MOST_OF_A_CORE = 0.03
"""Share of one core that the workbench takes while a run is watched, drawing, reading and all."""
MOST_BEATS = 3
"""A drawing waits no longer than so many beats, whatever it costs."""
LAST = 3
"""Drawings of which the cost counts."""


class Pace:
    """Tells when the next drawing is due.

    A wide terminal with several runs on a slow processor costs several times what a small one does on a fast one: the
    machine is there for the training.
    """

    def __init__(
        self,
        beat_s: float,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin with a drawing that is due.

        Args:
            beat_s: least seconds between two drawings.
            clock: gives the time, seconds.
            spent: gives the processor time that this process has used so far, seconds.
        """
        self._beat_s = self._wait_s = beat_s
        self._clock = clock
        self._spent = spent
        self._drew_s, self._spent_s = clock(), spent()
        self._due_s = -math.inf
        self._wanted_s = deque([0.0] * LAST, maxlen=LAST)
        """Waits that would have kept to the share."""

    @property
    def is_due(self) -> bool:
        """It is time for the next drawing."""
        return self._clock() >= self._due_s

    def drew(self) -> None:
        """Wait from now on for the next drawing."""
        now_s, spent_s = self._clock(), self._spent()
        share = (spent_s - self._spent_s) / max(now_s - self._drew_s, 1e-9)
        # Of the wait alone: nothing may have happened for long.
        self._wanted_s.append(self._wait_s * share / MOST_OF_A_CORE)
        # The median: a key that was pressed in between is not what drawing costs.
        wanted_s = sorted(self._wanted_s)[LAST // 2]
        self._wait_s = min(max(self._beat_s, wanted_s), MOST_BEATS * self._beat_s)
        self._due_s = now_s + self._wait_s
        self._drew_s, self._spent_s = now_s, spent_s

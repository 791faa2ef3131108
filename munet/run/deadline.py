"""The time that a start may take (`runtime.max_hours`): of a run with its baselines, or of a joint training."""

from __future__ import annotations

import time
from collections.abc import Callable


class TimeIsUpError(Exception):
    """`runtime.max_hours` have passed; what is in training is saved if it can be, and the same command goes on.

    It leaves the run as Ctrl-C and SIGTERM do, but at a moment of our own choice: after a cycle, or a block of rounds.

    Attributes:
      is_saved: whether nothing will be trained again.
    """

    def __init__(self, is_saved: bool = True):
        super().__init__()
        self.is_saved = is_saved

    def words(self, hours: float) -> str:
        """For people, given the limit."""
        saved = "Everything is saved" if self.is_saved else "What could not be saved (above) is trained again"
        return f"runtime.max_hours = {hours:g} have passed. {saved}; the same command goes on."


class Deadline:
    """Counts from its making, for one start of a run with all its baselines.

    Args:
      hours: 0: no limit.
      clock: seconds, monotonic.
    """

    def __init__(self, hours: float = 0.0, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self.hours = hours
        self._end = clock() + hours * 3600 if hours else float("inf")

    def is_over(self) -> bool:
        """Whether the time is up."""
        return self._clock() >= self._end

    def check(self) -> None:
        """Ends the run if the time is up; only to be called where nothing would be lost.

        Raises:
          TimeIsUpError: it is.
        """
        if self.is_over():
            raise TimeIsUpError

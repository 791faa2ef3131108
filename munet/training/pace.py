"""How many steps are dispatched before the host waits for them: about as many as devices do in a second or two.

A host that runs ahead of its devices cannot save what is in training until they have done all that was dispatched. It
changes no number: a program does the steps of a segment one after the other, however many at a time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

_SECONDS = 2.0  # between two waits
_FIRST = 2  # steps, until it is known how long they take
_GROWTH = 8  # at most, from one wait to the next: the first steps may have been unusually fast, or slow


class Pace:
    """Of one wave or training.

    Args:
      first: steps between the first two waits.
      clock: seconds, monotonic.
    """

    def __init__(self, first: int = 0, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._between = first or _FIRST  # steps between two waits
        self.begin()

    def begin(self) -> None:
        """Nothing is being computed, and steps are about to be dispatched."""
        self._since, self._ahead = self._clock(), 0

    @property
    def steps(self) -> int:
        """How many steps may be dispatched next."""
        return self._between - self._ahead

    def dispatched(self, steps: int, arrays: Sequence[Any]) -> None:
        """Some steps were dispatched; waits for the arrays that come of them where it is time to."""
        self._ahead += steps
        if self._ahead < self._between:
            return
        jax.block_until_ready(arrays)
        fitting = int(self._ahead * _SECONDS / max(self._clock() - self._since, 1e-9))
        self._between = max(1, min(fitting, self._ahead * _GROWTH))
        self.begin()


class Seldom:
    """Does something that takes ever longer so seldom that it costs no more than a share of the time.

    Args:
      share: of the time.
      clock: seconds, monotonic.
    """

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic):
        self._share, self._clock, self._next = share, clock, -math.inf

    def __call__(self, action: Callable[[], None]) -> None:
        """Does it, if enough time has passed since it was done last."""
        if (began := self._clock()) < self._next:
            return
        action()
        ended = self._clock()
        self._next = ended + (ended - began) * (1 / self._share - 1)

"""How long a joint training is, and after which of its rounds the host has something to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

_MOST_TOLD = 200  # measurements, and decisions, of which people are told; the files have all


@dataclass(frozen=True)
class Length:
    """How long, and how often what happens.

    Attributes:
      num_rounds: until the best version is gone back to, where `Job.keeps_best`; else all.
      final_rounds: after that.
      validate_every: rounds between two lines of the curve.
      decide_every: rounds between two decisions of the learner; 0: it is never asked.
      block: rounds in one dispatch, at most.
      asks_at_end: whether the learner is asked after the last round, too; only what it says is kept, not its state.
    """

    num_rounds: int
    validate_every: int
    final_rounds: int = 0
    decide_every: int = 0
    block: int = 10
    asks_at_end: bool = False

    @property
    def total(self) -> int:
        """All rounds."""
        return self.num_rounds + self.final_rounds

    def windows(self, first: int, most: Callable[[], int]) -> Iterator[tuple[int, int]]:
        """Blocks of rounds (first, end) that end wherever the host has something to do.

        Args:
          first: round of the first one.
          most: rounds that the next one may have, asked before each; short enough for signals.
        """
        while first < self.total:
            every = [self.validate_every, *([self.decide_every] if self.decide_every else [])]
            ends = [first + min(self.block, most()), self.total, *((first // each + 1) * each for each in every)]
            if first < self.num_rounds:
                ends.append(self.num_rounds)
            yield first, min(ends)
            first = min(ends)

    def is_point(self, step: int) -> bool:
        """Whether the curve has a point after some rounds."""
        return step % self.validate_every == 0 or step in (self.num_rounds, self.total)

    def is_told(self, step: int, every: int) -> bool:
        """Whether what happens after a round is told: of what happens very often, every so many times, and the last."""
        stride = -(-self.total // (every * _MOST_TOLD))
        return step % (every * stride) == 0 or step in (self.num_rounds, self.total)

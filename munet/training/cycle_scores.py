"""The qualities that the children of a wave have had so far, cycle by cycle, as a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from munet.evolution.verdicts import best_cycle
from munet.types import CycleQualities, ModelId, Quality


@dataclass(frozen=True)
class CycleScores:
    """What is known of some children after some cycles of training.

    Attributes:
      qualities: of each child, one a cycle.
      diverged: the first cycle, from 0, in which a child left the finite numbers; of those that did.
    """

    qualities: Mapping[ModelId, tuple[Quality, ...]]
    diverged: Mapping[ModelId, int] = field(default_factory=dict)

    @classmethod
    def before(cls, children: Iterable[ModelId]) -> CycleScores:
        """Of children that have not been trained yet."""
        return cls(dict.fromkeys(children, ()))

    def after(self, cycle: int, found: Mapping[ModelId, tuple[Quality, bool]]) -> CycleScores:
        """The scores with one more cycle of some children.

        Args:
          cycle: which, from 0.
          found: the quality of each, and whether all its numbers are finite.
        """
        qualities = {child: (*self.qualities[child], quality) for child, (quality, _) in found.items()}
        diverged = {child: cycle for child, (_, is_finite) in found.items() if not is_finite}
        return CycleScores({**self.qualities, **qualities}, {**diverged, **self.diverged})

    def of(self, child: ModelId) -> CycleQualities:
        """What training has given a child so far."""
        return CycleQualities(self.qualities[child], self.diverged.get(child))

    def is_best(self, child: ModelId) -> bool:
        """Whether the last cycle is the one that the controller would choose if training ended now."""
        return best_cycle(self.of(child)) == len(self.qualities[child]) - 1

    @property
    def latest(self) -> dict[ModelId, Quality]:
        """The last quality of each child."""
        return {child: qualities[-1] for child, qualities in self.qualities.items()}

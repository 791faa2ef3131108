"""Qualities while children train: the images that they are counted on, and what they were cycle by cycle."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Int32

from munet.config.evolve import VersionChoice
from munet.data.splits import Split
from munet.evolution.judging import best_cycle
from munet.quality import Quality, quality_of
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.work import TaskWork
from munet.types import CycleQualities, ModelId


class Validation:
    """The first validation images of a task, up to the cap, on the device.

    Args:
      split: the task's validation split.
      work: of its children (cap, metric and resize method matter).
      image_size: that of the children, in pixels on a side.
    """

    def __init__(self, split: Split, work: TaskWork, image_size: int):
        self._metric, most = work.metric, min(len(split.labels), work.num_validated)
        self.pieces = list(evaluation_batches(split, Resize(image_size, work.antialias), max_images=most))
        self._labels = split.labels[:most]
        self._counted = np.bincount(self._labels).tolist()

    @property
    def num_strata(self) -> int:
        """How many strata a quality has: the numbers of images that the classes have, without repetition."""
        return len(quality_of(self._metric, self._counted, self._counted).strata)

    def qualities(self, predicted: Sequence[Int32[np.ndarray, "children batches batch"]]) -> list[Quality]:
        """The quality of each child, from what it says of each piece."""
        pieces = [piece.without_padding(values) for piece, values in zip(self.pieces, predicted, strict=True)]
        return [self._quality(row == self._labels) for row in np.concatenate(pieces, axis=1)]

    def _quality(self, is_right: Bool[np.ndarray, " images"]) -> Quality:
        correct = np.bincount(self._labels[is_right], minlength=len(self._counted))
        return quality_of(self._metric, correct.tolist(), self._counted)


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

    def is_best(self, child: ModelId, choice: VersionChoice = "highest") -> bool:
        """Whether the last cycle is the one that the controller would choose if training ended now."""
        return best_cycle(self.of(child), choice) == len(self.qualities[child]) - 1

    @property
    def latest(self) -> dict[ModelId, Quality]:
        """The last quality of each child."""
        return {child: qualities[-1] for child, qualities in self.qualities.items()}

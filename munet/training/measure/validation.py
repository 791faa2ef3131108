"""The images that qualities are counted on while children train, and which cycle of a child is its best so far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32

from munet.config import Experiment
from munet.data import loader
from munet.data.tasks import Task
from munet.evolution.judging import best_cycle
from munet.quality import Quality, quality_of
from munet.training.batches.stream import evaluation_batches
from munet.types import CycleQualities


class Validation:
    """The first validation images of a task, up to the cap, on the device.

    Args:
      task: the active task.
      experiment: the run's (cap, metric and resize method matter).
      image_size: that of the children, in pixels on a side.
    """

    def __init__(self, task: Task, experiment: Experiment, image_size: int):
        split, self._metric = task.split("validation"), experiment.quality_metric
        most = loader.num_validated(len(split), experiment)
        self.pieces = list(
            evaluation_batches(split, image_size=image_size, antialias=experiment.antialias, max_images=most)
        )
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


def is_best(qualities: Sequence[Quality], diverged_at: int | None) -> bool:
    """Whether the last cycle is the one that the controller would choose if training ended now."""
    return best_cycle(CycleQualities(tuple(qualities), diverged_at)) == len(qualities) - 1

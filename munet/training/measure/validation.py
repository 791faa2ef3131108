"""The images that qualities are counted on while children train."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int32

from munet.data.splits import Split
from munet.quality import Quality, quality_of
from munet.training.batches.stream import Resize, evaluation_batches
from munet.training.work import TaskWork


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

"""How well the models of a training do on images that they do not learn from; the host counts, in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int32

from munet.data.splits import Split
from munet.joint.program import Programs
from munet.training.batches.stream import Resize, evaluation_batches
from munet.types import Quality, TaskName


@dataclass(frozen=True)
class Measured:
    """How well one model does on a split.

    Attributes:
      quality: images that get their own class; None where a task has no classes.
      loss: mean over the examples; of classes the cross-entropy (nats, not smoothed).
      counted: examples.
    """

    quality: Quality | None
    loss: float
    counted: int


@dataclass(frozen=True)
class Predicted:
    """What a model says of every image of a split, in order."""

    classes: Int32[np.ndarray, " n"]
    loss: float

    def of(self, labels: Int32[np.ndarray, " n"]) -> Measured:
        """Counted against the true classes."""
        return Measured(Quality(int((self.classes == labels).sum()), len(labels)), self.loss, len(labels))


def predict(programs: Programs, state: Any, task: TaskName, split: Split, resize: Resize) -> list[Predicted]:
    """What the task's model says of a split, by replica."""
    pieces = []
    for piece in evaluation_batches(split, resize):
        labels = np.zeros(piece.images.shape[:2], np.int32)
        labels.reshape(-1)[: piece.counted] = piece.labels
        classes, losses = programs.measure(state, task, piece.images, labels, piece.num_batches)
        # The sums are those of one replica alone, piece by piece: the curve must not depend on how many there are.
        sums = [float(piece.without_padding(one).sum(dtype=np.float64)) for one in losses]
        pieces.append((piece.without_padding(classes), sums))
    replicas = range(len(pieces[0][1]))
    return [
        Predicted(
            np.concatenate([classes[replica] for classes, _ in pieces]),
            sum(sums[replica] for _, sums in pieces) / len(split),
        )
        for replica in replicas
    ]


def mean_quality(qualities: Mapping[TaskName, Quality]) -> float:
    """Mean over tasks of the share that is right, in [0, 1]."""
    return float(np.mean([quality.value for quality in qualities.values()]))

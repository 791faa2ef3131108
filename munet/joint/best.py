"""Which version of a training is the best so far, by group of tasks: told from the curve alone, stored nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from munet.joint.job import Criterion
from munet.joint.learner import Group
from munet.joint.records import CurvePoint
from munet.types import TaskName


def score(point: CurvePoint, group: Group, criterion: Criterion) -> float:
    """How good a version is for some tasks: the higher the better."""
    if criterion == "loss":
        return -math.fsum(point.validation_losses[task] for task in group) / len(group)
    return math.fsum(point.validation[task].value for task in group) / len(group)


def best_point(points: Sequence[CurvePoint], group: Group, criterion: Criterion) -> CurvePoint:
    """The first of the best versions of one replica.

    Args:
      points: of the replica, one at least.
      group: for which it is to be good.
      criterion: mean validation loss, or mean quality.
    """
    return max(points, key=lambda point: score(point, group, criterion))


class Leaders:
    """The best scores so far of every group and replica, so that nobody looks through a long curve again and again.

    Args:
      groups: of the learner.
      criterion: mean validation loss, or mean quality.
      num_replicas: trained side by side.
    """

    def __init__(self, groups: Sequence[Group], criterion: Criterion, num_replicas: int):
        self._criterion = criterion
        self._best = {group: np.full(num_replicas, -math.inf) for group in groups}

    def add(self, points: Sequence[CurvePoint]) -> dict[Group, Bool[np.ndarray, " replicas"]]:
        """For every group, which replicas have become better than they ever were by some more points of the curve."""
        better = {group: np.zeros(len(best), bool) for group, best in self._best.items()}
        for group, best in self._best.items():
            for point in points:
                if (own := score(point, group, self._criterion)) > best[point.replica]:
                    best[point.replica], better[group][point.replica] = own, True
        return better


def best_of_task(points: Sequence[CurvePoint], task: TaskName, criterion: Criterion) -> CurvePoint:
    """The version of one replica that was the best for one task, whatever the others of its group say."""
    return best_point(points, (task,), criterion)

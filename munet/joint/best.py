"""Which version of a training is the best so far, by group of tasks: told from the curve alone, stored nowhere else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from munet.joint.job import Criterion
from munet.joint.learner import Group
from munet.joint.workdir import CurvePoint
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


def is_better(
    points: Sequence[CurvePoint], group: Group, criterion: Criterion, num_replicas: int
) -> Bool[np.ndarray, " replicas"]:
    """Whether the last version of each replica is better than all before it, for the tasks of a group."""
    found = []
    for replica in range(num_replicas):
        own = [point for point in points if point.replica == replica]
        found.append(best_point(own, group, criterion) is own[-1])
    return np.array(found)


def best_of_task(points: Sequence[CurvePoint], task: TaskName, criterion: Criterion) -> CurvePoint:
    """The version of one replica that was the best for one task, whatever the others of its group say."""
    return best_point(points, (task,), criterion)

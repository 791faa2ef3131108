"""By how much one system is ahead of another on a task, with the interval: image by image wherever that is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from munet import intervals
from munet.intervals import Interval
from munet.system.view import RunView
from munet.types import TaskName

Measured = tuple[float, Interval]  # a quality and its interval


@dataclass(frozen=True)
class Difference:
    """A difference of two test qualities.

    Attributes:
      value: of the first minus the second, as a fraction.
      interval: of it, 95 %.
      is_paired: whether it was made image by image.
    """

    value: float
    interval: Interval
    is_paired: bool


def difference(
    first: RunView, second: RunView, task: TaskName, metric: str, own: Measured, other: Measured
) -> Difference:
    """By how much the first system's model of a task is ahead of the second's.

    Args:
      first, second: the systems.
      task: both have a tested model of it.
      metric: what is compared, `accuracy` or `balanced_accuracy`.
      own, other: the qualities of both by that metric, with their intervals.
    """
    value = own[0] - other[0]
    if first.task(task).fingerprint == second.task(task).fingerprint:  # the same test images in the same order
        ours, theirs = first.test_right(task), second.test_right(task)
        counted = first.last_phase(task).test_counted_per_class
        if ours is not None and theirs is not None and len(ours) == len(theirs) == sum(counted):
            return Difference(value, intervals.of_paired_difference(ours, theirs, counted, metric), True)
    return Difference(value, intervals.of_difference(own[0], other[0], own[1], other[1]), False)


def of_mean(differences: Sequence[Difference]) -> Difference | None:
    """The mean of the differences on several tasks; None of none."""
    if not differences:
        return None
    values = [item.value for item in differences]
    interval = intervals.of_mean(values, [item.interval for item in differences])
    return Difference(math.fsum(values) / len(values), interval, all(item.is_paired for item in differences))

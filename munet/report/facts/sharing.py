"""Which components two tasks' models have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from munet.system.view import RunView
from munet.types import TaskName


@dataclass(frozen=True)
class Shared:
    """What two models have in common; of a task with itself, all of its model.

    Attributes:
      one, other: the tasks, in the run's order.
      components: that both models use, also as the base of another.
      of_root: of them, those that still are the root's.
      params: of all of them.
    """

    one: TaskName
    other: TaskName
    components: int
    of_root: int
    params: int


def shared(system: RunView, tasks: Sequence[TaskName]) -> list[Shared]:
    """Of every pair of some tasks that have a model, each once, and of each with itself."""
    used = {task: set(system.state.used_by(system.model(task))) for task in tasks}
    records = system.components
    return [
        Shared(
            one,
            other,
            len(common := used[one] & used[other]),
            sum(records[id].is_root for id in common),
            sum(records[id].num_params for id in common),
        )
        for one, other in combinations_with_replacement(tasks, 2)
    ]

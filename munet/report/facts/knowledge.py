"""Knowledge flow (paper, Figs. 6 and 7): on which tasks the components of each model were trained, and how much."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from munet.system.view import RunView
from munet.types import ComponentId, ComponentRecord, ModelRecord, TaskName


@dataclass(frozen=True)
class Flow:
    """What one task gave to another.

    Attributes:
      source: the task that was trained on; "(earlier tasks)" where a long descent adds up several.
      target: the task whose model has the components.
      share: of all training cycles that the components of the target's model received.
      cycles: that many; a cycle in which several of the components were trained counts for each.
    """

    source: TaskName
    target: TaskName
    share: float
    cycles: int


def flows(system: RunView) -> list[Flow]:
    """All flows between the tasks that have a model, a task's own included; targets in the order of the tasks."""
    return [flow for task, model in system.models.items() for flow in _into(task, model, system.components)]


def _into(task: TaskName, model: ModelRecord, records: Mapping[ComponentId, ComponentRecord]) -> list[Flow]:
    cycles: Counter[TaskName] = Counter()
    for id in model.components.values():
        cycles.update(records[id].cycles)
    total = cycles.total()
    return [Flow(source, task, count / total, count) for source, count in cycles.items() if count]

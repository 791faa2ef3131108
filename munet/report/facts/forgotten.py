"""Which retained components ever saw the images of a task that the run has forgotten (`munet forget`)."""

from __future__ import annotations

from dataclasses import dataclass

from munet.system.view import RunView
from munet.types import ComponentId, ComponentName, TaskName


@dataclass(frozen=True)
class Seen:
    """A component that stays although it was, or may have been, trained on images of a forgotten task.

    Attributes:
      forgotten: the task, as it was called.
      layer: which layer the component is.
      component: its id.
      cycles: of training on the task, inherited ones included; None: its record names too few tasks to tell.
      all_cycles: of training on any task.
      params: its parameters.
      users: the tasks whose models use it.
    """

    forgotten: TaskName
    layer: ComponentName
    component: ComponentId
    cycles: int | None
    all_cycles: int
    params: int
    users: tuple[TaskName, ...]


def seen(system: RunView) -> list[Seen]:
    """Of every task that a run has forgotten, in that order; most cycles first."""
    used = {id: system.state.components[id] for id in system.components}
    found = []
    for task in dict.fromkeys(system.forgotten):
        own = system.plan.seen(used, task)
        for id in sorted(own, key=lambda id: (-own[id], used[id].name, id)):
            record = used[id]
            everything = sum(record.cycles.values())
            found.append(Seen(task, record.name, id, own[id] or None, everything, record.num_params, system.users(id)))
    return found

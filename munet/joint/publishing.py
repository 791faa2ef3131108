"""How a learner's components are published, whatever the method: each once, with the record that a run would have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from munet.joint.learner import Component
from munet.joint.workdir import Workdir
from munet.types import ComponentId, ComponentRecord, Leaf, TaskName


def put(
    place: Workdir,
    component: Component,
    names: Sequence[TaskName],
    *,
    parent: ComponentId | None = None,
    cycles: Mapping[TaskName, int] = MappingProxyType({}),
) -> tuple[ComponentId, ComponentRecord]:
    """Writes a component, if it is not there yet.

    Args:
      place: of the training.
      component: as the learner has it.
      names: of all tasks, in order: the first that uses it counts as the model that made it.
      parent: of what it is a trained copy.
      cycles: how long each task has trained it.
    """
    record = ComponentRecord(
        component.name,
        {path: Leaf(array.shape, array.dtype.name) for path, array in sorted(component.arrays.items())},
        component.origin,
        parent=parent,
        model=1 + names.index(component.tasks[0]),
        cycles=dict(cycles),
    )
    return place.components.put(record, component.arrays), record

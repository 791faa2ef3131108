"""The controller's state: who is alive, who uses which component, where the run stands (Algorithm 1, lines 2-9).

A state is a frozen value and the fold of the journal: `initial_state` of its first entry, then `Controller.tell` of
every other one. `users`, `components` and `retained` are indices over `models`, kept up to date entry by entry so that
no step of a run with thousands of tasks walks all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from munet.errors import UserError
from munet.types import (
    ROOT_MODEL,
    ComponentId,
    ComponentRecord,
    ModelId,
    ModelRecord,
    Position,
    StartEntry,
    TaskName,
)


class EvolutionError(UserError):
    """The search cannot go on; the message says why and what to change."""


@dataclass(frozen=True)
class State:
    """Everything the controller knows between two journal entries.

    Attributes:
      position: where the run stands.
      models: the root, the retained model of every task, and the active population of the current phase.
      components: the record of every component that a model in `models` uses, and of the checkpoint's own position
        embedding, from which others are resized.
      users: for each component, the tasks whose *retained* model uses it, sorted; the root is no user. The active
        task's previous best counts until the phase ends, so whoever asks for locks leaves the active task out.
      retained: the retained model of each task that has one.
      active: the active population A in order of id.
      seeds: seed parents of this phase that are still to be used, in order of use.
      next_model_id: id of the next child.
    """

    position: Position
    models: Mapping[ModelId, ModelRecord]
    components: Mapping[ComponentId, ComponentRecord]
    users: Mapping[ComponentId, tuple[TaskName, ...]]
    retained: Mapping[TaskName, ModelId]
    active: tuple[ModelId, ...]
    seeds: tuple[ModelId, ...]
    next_model_id: ModelId

    @property
    def root(self) -> ModelRecord:
        """The root model."""
        return self.models[ROOT_MODEL]

    def lineage(self, model: ModelId) -> Iterator[ModelRecord]:
        """The model, its parent, and so on up to the root."""
        current: ModelId | None = model
        while current is not None:
            record = self.models[current]
            yield record
            current = record.parent

    def num_other_users(self, component: ComponentId, task: TaskName) -> int:
        """How many tasks other than `task` have a retained model that uses the component: n of Eq. 3."""
        users = self.users.get(component, ())
        return len(users) - (task in users)

    def is_trainable(self, component: ComponentId, task: TaskName) -> bool:
        """Whether a model of the active task may train (a copy of) it without a clone mutation (spec section 3)."""
        return not self.components[component].is_root and self.num_other_users(component, task) == 0


def initial_state(start: StartEntry) -> State:
    """The state before the first generation: only the root, which is also the first task's only seed parent."""
    return State(
        position=Position(),
        models={ROOT_MODEL: start.root},
        components=dict(start.published),
        users={},
        retained={},
        active=(),
        seeds=(ROOT_MODEL,),
        next_model_id=ROOT_MODEL + 1,
    )

"""The controller's state: who is alive, who uses which component, where the run stands (Algorithm 1, lines 2-9).

A state is a frozen value and the fold of the journal: `initial_state` of its first entry, then `Controller.tell` of
every other one. What grows with the number of tasks lies in maps of which a changed copy costs little, and whatever
would be searched for has an index, kept up to date entry by entry: no step of a run walks all tasks, models or
components.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from munet.errors import UserError
from munet.evolution.ancestry import Ancestry
from munet.evolution.evidence import Evidence
from munet.evolution.plan import Plan
from munet.evolution.sorted_map import SortedMap
from munet.rng import Draws
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
from munet.vit.architecture import POSITION


class EvolutionError(UserError):
    """The search cannot go on; the message says why and what to change."""


@dataclass(frozen=True)
class State:
    """Everything the controller knows between two journal entries.

    Attributes:
      position: where the run stands.
      models: the root, the retained model of every task, and the active population of the current phase.
      components: the record of every component that a model in `models` uses, bases of low-rank ones too, and of the
        checkpoint's own position embedding, from which others are resized.
      retained: the retained model of each task that has one.
      active: the active population A in order of id.
      seeds: seed parents of this phase that are still to be used, in order of use; where they are yet to be chosen by
        fit, the candidates, which are more than a phase takes.
      next_model_id: id of the next child.
      num_users: for each component, how many tasks' *retained* models use it, if any do; the root is no user. The
        active task's previous best counts until the phase ends, so whoever asks for locks leaves the active task out.
      heirs: the models in `models` whose parent is a model, in order of id; the root's are left out.
      positions: the position embeddings of the root, in order of id: the checkpoint's, and those resized from it.
      ancestry: who descends from whom. Two of them may say the same in different ways.
      phase_images: training images that the phase has cost so far, forward passes counted in part.
      evidence: what earlier races say of settings.
      plan: tasks and phases of a run that was extended; None: those that its configuration gives.

    The four before the last three are indices: `State.of` makes them.
    """

    position: Position
    models: SortedMap[ModelId, ModelRecord]
    components: SortedMap[ComponentId, ComponentRecord]
    retained: SortedMap[TaskName, ModelId]
    active: tuple[ModelId, ...]
    seeds: tuple[ModelId, ...]
    next_model_id: ModelId
    num_users: SortedMap[ComponentId, int]
    heirs: SortedMap[ModelId, tuple[ModelId, ...]]
    positions: tuple[ComponentId, ...]
    ancestry: Ancestry = field(compare=False, repr=False)
    phase_images: int = 0
    evidence: Evidence = field(default_factory=dict)
    plan: Plan | None = None

    @classmethod
    def of(
        cls,
        *,
        position: Position,
        models: Mapping[ModelId, ModelRecord],
        components: Mapping[ComponentId, ComponentRecord],
        retained: Mapping[TaskName, ModelId],
        active: tuple[ModelId, ...],
        seeds: tuple[ModelId, ...],
        next_model_id: ModelId,
        phase_images: int = 0,
        evidence: Evidence | None = None,
        plan: Plan | None = None,
    ) -> State:
        """A state from what is not an index; the work grows with everything there is."""
        users = Counter(id for model in retained.values() for id in _used_by(models[model], components))
        heirs: dict[ModelId, tuple[ModelId, ...]] = {}
        for id in sorted(models):
            if parent := models[id].parent:  # neither None nor the root
                heirs[parent] = (*heirs.get(parent, ()), id)
        return cls(
            position=position,
            models=SortedMap(models),
            components=SortedMap(components),
            retained=SortedMap(retained),
            active=active,
            seeds=seeds,
            next_model_id=next_model_id,
            num_users=SortedMap(users),
            heirs=SortedMap(heirs),
            positions=root_positions(components),
            ancestry=Ancestry.of(models, components),
            phase_images=phase_images,
            evidence=evidence or {},
            plan=plan,
        )

    @property
    def root(self) -> ModelRecord:
        """The record of the root model, which every state holds."""
        return self.models[ROOT_MODEL]

    def lineage(self, model: ModelId) -> Iterator[ModelRecord]:
        """The model, its parent, and so on up to the root."""
        current: ModelId | None = model
        while current is not None:
            record = self.models[current]
            yield record
            current = record.parent

    def components_of(self, models: Iterable[ModelId]) -> set[ComponentId]:
        """The components that some models use, bases too."""
        return {id for model in models for id in self.used_by(self.models[model])}

    def used_by(self, model: ModelRecord) -> tuple[ComponentId, ...]:
        """The components that a model uses, each before the base that it may have."""
        return _used_by(model, self.components)

    def with_base(self, component: ComponentId) -> tuple[ComponentId, ...]:
        """The component, and the one that it is added to if it is stored in low rank."""
        return _with_base(component, self.components)

    def num_other_users(self, component: ComponentId, task: TaskName) -> int:
        """How many tasks other than `task` have a retained model that uses the component: n of Eq. 3."""
        count = self.num_users.get(component, 0)
        own = self.retained.get(task) if count else None
        if own is None:
            return count
        # A model has a component under the component's own name, and the base of a low-rank one under that one's.
        used = self.models[own].components.get(self.components[component].name)
        return count - (used is not None and component in self.with_base(used))

    def is_trainable(self, component: ComponentId, task: TaskName) -> bool:
        """Whether a model of the active task may train (a copy of) it without a clone mutation."""
        return not self.components[component].is_root and self.num_other_users(component, task) == 0


def _used_by(model: ModelRecord, components: Mapping[ComponentId, ComponentRecord]) -> tuple[ComponentId, ...]:
    return tuple(used for id in model.components.values() for used in _with_base(id, components))


def _with_base(component: ComponentId, components: Mapping[ComponentId, ComponentRecord]) -> tuple[ComponentId, ...]:
    base = components[component].base
    return (component,) if base is None else (component, base)


def root_positions(components: Mapping[ComponentId, ComponentRecord]) -> tuple[ComponentId, ...]:
    """The root's position embeddings among components, in order of id: there is one for each size."""
    return tuple(sorted(id for id, record in components.items() if record.is_root and record.name == POSITION))


def initial_state(start: StartEntry) -> State:
    """The state before the first generation: only the root, which is also the first task's only seed parent."""
    return State.of(
        position=Position(),
        models={ROOT_MODEL: start.root},
        components=start.published,
        retained={},
        active=(),
        seeds=(ROOT_MODEL,),
        next_model_id=ROOT_MODEL + 1,
    )


def phase_draws(seed: int, position: Position, task: TaskName) -> Draws:
    """Draws of a phase."""
    return Draws((seed, position.task_iteration, task))


def generation_draws(seed: int, position: Position, task: TaskName) -> Draws:
    """Draws of a generation; a child's are below `at(child_index)`, which the generation's own leave out."""
    return phase_draws(seed, position, task).at(position.generation)

"""The journal folded into frames: which model stood for every task after each entry, and what the entry decided.

From records alone: frames of the past are there although the files of discarded models are gone. A frame says only
what changed since the one before, so that a long run of many tasks stays small.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from munet.evolution.controller import Controller
from munet.evolution.state import EvolutionError, State
from munet.system import replay
from munet.system.view import RunView
from munet.types import (
    ComponentId,
    ComponentRecord,
    CompressionEntry,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    JournalEntry,
    ModelRecord,
    TaskName,
)


@dataclass(frozen=True)
class Frame:
    """The system after one journal entry.

    Attributes:
      place: of the entry in the journal; the start entry's is 0.
      entry: the entry itself, with its verdicts.
      changed: the tasks that another model stands for, or whose model was tested; None: the task has none any more.
        While a task is active its best candidate so far stands for it.
      candidate: the active task, if what stands for it is not retained yet.
      num_params: unique parameters of all models that are shown, those of bases too.
    """

    place: int
    entry: JournalEntry
    changed: Mapping[TaskName, ModelRecord | None]
    candidate: TaskName | None
    num_params: int


@dataclass(frozen=True)
class History:
    """All frames of a run, and what is known of the components that any of them shows.

    Attributes:
      frames: one a journal entry, in order.
      components: their records, and those of their bases.
      published: the task during whose phase each was made; the root's are not in it.
    """

    frames: tuple[Frame, ...]
    components: Mapping[ComponentId, ComponentRecord]
    published: Mapping[ComponentId, TaskName]

    def systems(self) -> Iterator[Mapping[TaskName, ModelRecord]]:
        """The models of every frame, in order."""
        models: dict[TaskName, ModelRecord] = {}
        for frame in self.frames:
            models = {**models, **{task: model for task, model in frame.changed.items() if model is not None}}
            for task, model in frame.changed.items():
                if model is None:
                    del models[task]
            yield models

    @property
    def forgotten(self) -> frozenset[TaskName]:
        """Names of tasks that the run has no more at the end."""
        names: set[TaskName] = set()
        for frame in self.frames:
            if isinstance(frame.entry, ForgetEntry):
                names.add(frame.entry.task)
            if isinstance(frame.entry, ExtendEntry):
                names -= {info.name for info in frame.entry.tasks}
        return frozenset(names)

    def shown(self) -> list[ModelRecord]:
        """Every model that some frame shows, in order of appearance; again where it was tested since."""
        return [model for frame in self.frames for model in frame.changed.values() if model is not None]

    def trained_last(self, component: ComponentId) -> TaskName | None:
        """The task that trained a component last; None for one that is the root's."""
        cycles = self.components[component].cycles
        return next(iter(cycles), None) if len(cycles) <= 1 else self.published[component]


def fold(controller: Controller, entries: Iterable[JournalEntry]) -> History:
    """The frames of a journal.

    Args:
      controller: of the run's configuration and tasks.
      entries: the journal's, from its start entry on.

    Raises:
      CorruptionError: an entry does not follow on those before it.
    """
    frames: list[Frame] = []
    components: dict[ComponentId, ComponentRecord] = {}
    published: dict[ComponentId, TaskName] = {}
    before: dict[TaskName, ModelRecord] = {}
    in_use = _InUse()
    run_state = None
    for place, entry in enumerate(entries):
        run_state = replay.tell(controller, run_state, entry)
        state = run_state.state
        if isinstance(entry, GenerationEntry):
            published |= dict.fromkeys(entry.published, entry.task)
        if isinstance(entry, CompressionEntry):  # trained was what is stored otherwise now
            published |= {id: published[record.parent or ""] for id, record in entry.published.items()}
        now = {task: state.models[model] for task, model in state.retained.items()}
        active = None if controller.is_complete(state) else controller.task(state).name
        best = _best(controller, state)
        if active is not None and best is not None:
            now[active] = best
        changed: dict[TaskName, ModelRecord | None] = {
            task: model for task, model in now.items() if task not in before or not _is_same(before[task], model)
        }
        changed |= {task: None for task in before if task not in now}
        for task, model in changed.items():
            if task in before:
                in_use.remove(before[task], components)
            if model is not None:
                components |= {id: state.components[id] for id in state.used_by(model)}
                in_use.add(model, components)
        is_candidate = active is not None and best is not None and state.retained.get(active) != best.id
        frames.append(Frame(place, entry, changed, active if is_candidate else None, in_use.num_params))
        before = now
    return History(tuple(frames), components, {id: task for id, task in published.items() if id in components})


def of_run(run: RunView) -> History:
    """The frames of a run's journal as far as the view has read it."""
    entries = run.store.journal.entries()
    return fold(run.controller, (entry for entry, _ in zip(entries, range(run.run_state.length), strict=False)))


class _InUse:
    """How many of the shown models use each component, and the parameters of all of them together."""

    def __init__(self) -> None:
        self.num_params = 0
        self._users: Counter[ComponentId] = Counter()

    def add(self, model: ModelRecord, records: Mapping[ComponentId, ComponentRecord]) -> None:
        for id in _used(model, records):
            self.num_params += 0 if self._users[id] else records[id].num_params
            self._users[id] += 1

    def remove(self, model: ModelRecord, records: Mapping[ComponentId, ComponentRecord]) -> None:
        for id in _used(model, records):
            self._users[id] -= 1
            self.num_params -= 0 if self._users[id] else records[id].num_params


def _used(model: ModelRecord, records: Mapping[ComponentId, ComponentRecord]) -> list[ComponentId]:
    own = list(model.components.values())
    return own + [base for id in own if (base := records[id].base) is not None]


def _best(controller: Controller, state: State) -> ModelRecord | None:
    if controller.is_complete(state) or not state.active:
        return None
    try:
        return controller.best(state)
    except EvolutionError:  # every child so far diverged
        return None


def _is_same(one: ModelRecord, other: ModelRecord) -> bool:
    return (one.id, one.test_quality, one.components) == (other.id, other.test_quality, other.components)

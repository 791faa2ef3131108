"""What a run is to do: its tasks, its phases in order, and the settings of each (Algorithm 1, lines 2-4).

As it begins every task is active once an iteration. `munet extend` puts tasks and phases behind those that were
planned, and `munet forget` takes tasks away, so the plan is a list. It is part of the state where that happened, and
follows from the configuration else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from munet.config import Experiment
from munet.config.stages import Stage
from munet.evolution import schedule
from munet.evolution.search_space import DATA_SETTINGS, model_settings
from munet.evolution.spread import raced_names
from munet.evolution.stages import stages
from munet.types import ComponentId, ComponentRecord, ModelId, Position, TaskInfo, TaskName

FORGOTTEN = "(forgotten)"  # behind the names of tasks that a run has no more
EARLIER = "(earlier tasks)"  # under which a record adds up the training cycles on more tasks than it names


@dataclass(frozen=True)
class PhaseSettings:
    """The configuration of some phases, with what follows from it and is asked for again and again."""

    experiment: Experiment

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        """Of a phase, a generation each."""
        return stages(self.experiment)

    @cached_property
    def most_seed_parents(self) -> int:
        """That a phase takes."""
        return schedule.most_seed_parents(self.experiment)

    @cached_property
    def is_baseline(self) -> bool:
        """Whether the root is fine-tuned in a fixed way."""
        return schedule.is_baseline(self.experiment)

    @cached_property
    def raced(self) -> tuple[str, ...]:
        """Settings that a race spreads."""
        return raced_names(self.experiment, (*model_settings(self.experiment), *DATA_SETTINGS))


@dataclass(frozen=True)
class Phase:
    """One phase of the plan.

    Attributes:
      iteration: how often its task was active before.
      task_index: the task's place among all of the plan.
      settings: the place of its settings among those of the plan.
    """

    iteration: int
    task_index: int
    settings: int = 0


@dataclass(frozen=True)
class Forgotten:
    """A task that the run has no more.

    Attributes:
      task_index: its place among all tasks of the plan.
      next_model_id: the id of the next model when it was forgotten: what older ones trained may have seen its images.
    """

    task_index: int
    next_model_id: ModelId


@dataclass(frozen=True)
class Plan:
    """Everything that a run has done and is to do.

    Attributes:
      tasks: all of them, in the order in which they came, forgotten ones too.
      phases: in order.
      settings: the first is that of the run as it began.
      forgotten: tasks that the run has no more.
    """

    tasks: tuple[TaskInfo, ...]
    phases: tuple[Phase, ...]
    settings: tuple[PhaseSettings, ...]
    forgotten: tuple[Forgotten, ...] = ()

    @classmethod
    def of(cls, experiment: Experiment, tasks: Sequence[TaskInfo]) -> Plan:
        """That of a run as it begins."""
        iterations, indices = range(schedule.num_task_iterations(experiment)), range(len(tasks))
        phases = tuple(Phase(iteration, index) for iteration in iterations for index in indices)
        return cls(tuple(tasks), phases, (PhaseSettings(experiment),))

    @cached_property
    def end(self) -> Position:
        """Where a complete run stands."""
        return Position(max((phase.iteration for phase in self.phases), default=-1) + 1, 0, 0)

    @cached_property
    def _places(self) -> dict[tuple[int, int], int]:
        return {(phase.iteration, phase.task_index): place for place, phase in enumerate(self.phases)}

    def place(self, position: Position) -> int:
        """The number of phases before the one of a position; of a complete run all of them."""
        return self._places.get((position.task_iteration, position.task_index), len(self.phases))

    def begin(self, place: int) -> Position:
        """Where a phase begins, by the number of those before it."""
        if place >= len(self.phases):
            return self.end
        return Position(self.phases[place].iteration, self.phases[place].task_index, 0)

    def settings_at(self, position: Position) -> PhaseSettings:
        """Those of the phase at a position; of a complete run the newest."""
        place = self.place(position)
        return self.settings[self.phases[place].settings if place < len(self.phases) else -1]

    def left(self, position: Position) -> tuple[Phase, ...]:
        """The phases that are not closed."""
        return self.phases[self.place(position) :]

    @cached_property
    def living(self) -> tuple[TaskInfo, ...]:
        """The tasks that the run has, in order."""
        gone = {one.task_index for one in self.forgotten}
        return tuple(task for index, task in enumerate(self.tasks) if index not in gone)

    @cached_property
    def every_task(self) -> tuple[TaskInfo, ...]:
        """All tasks that the run ever had, in order; of several of one name the newest, in the first one's place."""
        return tuple({task.name: task for task in (*self.tasks, *self.living)}.values())

    @cached_property
    def numbers(self) -> Mapping[TaskName, int]:
        """A number for each name of theirs, which stays whatever comes or is forgotten: pictures colour tasks by it."""
        return {task.name: number for number, task in enumerate(self.every_task)}

    def index(self, task: TaskName) -> int:
        """The place among all tasks of the one that is called so now.

        Raises:
          KeyError: there is none.
        """
        return self._indices[task]

    @cached_property
    def _indices(self) -> dict[TaskName, int]:
        gone = {one.task_index for one in self.forgotten}
        return {task.name: index for index, task in enumerate(self.tasks) if index not in gone}

    def called(self, task: TaskName, model: ModelId) -> str:
        """What a task that trained a model is called now: `digits (forgotten)` if the run has it no more."""
        is_gone = any(self.tasks[one.task_index].name == task and model < one.next_model_id for one in self.forgotten)
        return f"{task} {FORGOTTEN}" if is_gone else task

    def cycles(self, record: ComponentRecord) -> Mapping[str, int]:
        """A component's training cycles by task, as these are called now."""
        if not self.forgotten:
            return record.cycles
        found: Counter[str] = Counter()  # two that were forgotten may have had one name
        for task, number in record.cycles.items():
            found[self.called(task, record.model)] += number
        return dict(found)

    def seen(self, records: Mapping[ComponentId, ComponentRecord], task: TaskName) -> dict[ComponentId, int]:
        """Components that were trained on images of a task that is forgotten, with how many cycles of that.

        0: nobody knows. What a component descends from was trained on more tasks than its record names, and this one
        may be among them.

        Args:
          records: of the components in question.
          task: as it was called.
        """
        found = {id: self.cycles(record) for id, record in records.items()}
        called = f"{task} {FORGOTTEN}"
        return {id: cycles.get(called, 0) for id, cycles in found.items() if called in cycles or EARLIER in cycles}

    def without(self, task: TaskName, next_model_id: ModelId) -> Plan:
        """The plan of a complete run that has a task no more.

        Raises:
          KeyError: there is no such task.
        """
        gone = (*self.forgotten, Forgotten(self.index(task), next_model_id))
        after = Plan(self.tasks, self.phases, self.settings, gone)
        newest = replace(self.settings[-1].experiment, tasks=tuple(info.uri for info in after.living))
        return replace(after, settings=(*self.settings[:-1], PhaseSettings(newest)))

    def extended(self, tasks: Iterable[TaskInfo], phases: Iterable[TaskName], experiment: Experiment) -> Plan:
        """The plan with more at its end.

        Args:
          tasks: new ones.
          phases: the task of each.
          experiment: their settings.

        Raises:
          KeyError: there is no such task.
        """
        settings = (*self.settings, PhaseSettings(experiment))
        more = Plan((*self.tasks, *tasks), self.phases, settings, self.forgotten)
        active = Counter(phase.task_index for phase in self.phases)
        added: list[Phase] = []
        for index in map(more.index, phases):
            added.append(Phase(active[index], index, len(self.settings)))
            active[index] += 1
        return replace(more, phases=(*self.phases, *added))

    @cached_property
    def last_extension(self) -> tuple[tuple[TaskName, ...], tuple[TaskName, ...]] | None:
        """The new tasks and the phases of the newest extension; None where there was none, or one of these is gone."""
        own = [phase for phase in self.phases if phase.settings == len(self.settings) - 1]
        new = sorted({phase.task_index for phase in own if phase.iteration == 0})
        if len(self.settings) == 1 or {one.task_index for one in self.forgotten} & set(new):
            return None
        return self._names(new), self._names(phase.task_index for phase in own)

    def _names(self, indices: Iterable[int]) -> tuple[TaskName, ...]:
        return tuple(self.tasks[index].name for index in indices)

    def num_generations(self) -> int:
        """Of all phases."""
        return sum(len(self.settings[phase.settings].stages) for phase in self.phases)

    def images(self, phases: Iterable[Phase] | None = None) -> int:
        """Training images that all children see in these phases; None: in all."""
        counted = Counter((phase.settings, phase.task_index) for phase in (self.phases if phases is None else phases))
        return sum(
            number * schedule.images_of_phase(self.settings[settings].experiment, self.tasks[index])
            for (settings, index), number in counted.items()
        )

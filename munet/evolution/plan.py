"""What a run is to do: its tasks, its phases in order, and the settings of each (Algorithm 1, lines 2-4).

As it begins every task is active once an iteration. `munet extend` puts tasks and phases behind those that were
planned, so the plan is a list. It is part of the state where that happened, and follows from the configuration else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from munet.config import Experiment
from munet.config.stages import Stage
from munet.evolution import schedule
from munet.evolution.search_space import DATA_SETTINGS, model_settings
from munet.evolution.spread import raced_names
from munet.evolution.stages import stages
from munet.types import Position, TaskInfo, TaskName


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
class Plan:
    """Everything that a run has done and is to do.

    Attributes:
      tasks: all of them, in the order in which they came.
      phases: in order.
      settings: the first is that of the run as it began.
    """

    tasks: tuple[TaskInfo, ...]
    phases: tuple[Phase, ...]
    settings: tuple[PhaseSettings, ...]

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

    def index(self, task: TaskName) -> int:
        """The place of the task of that name among all.

        Raises:
          KeyError: there is none.
        """
        return self._indices[task]

    @cached_property
    def _indices(self) -> dict[TaskName, int]:
        return {task.name: index for index, task in enumerate(self.tasks)}

    def extended(self, tasks: Iterable[TaskInfo], phases: Iterable[TaskName], experiment: Experiment) -> Plan:
        """The plan with more at its end.

        Args:
          tasks: new ones.
          phases: the task of each.
          experiment: their settings.

        Raises:
          KeyError: there is no such task.
        """
        more = Plan((*self.tasks, *tasks), self.phases, (*self.settings, PhaseSettings(experiment)))
        active = Counter(phase.task_index for phase in self.phases)
        added: list[Phase] = []
        for index in map(more.index, phases):
            added.append(Phase(active[index], index, len(self.settings)))
            active[index] += 1
        return Plan(more.tasks, (*self.phases, *added), more.settings)

    @cached_property
    def last_extension(self) -> tuple[tuple[TaskName, ...], tuple[TaskName, ...]] | None:
        """The new tasks and the phases of the newest extension; None where there was none."""
        if len(self.settings) == 1:
            return None
        own = [phase for phase in self.phases if phase.settings == len(self.settings) - 1]
        new = sorted({phase.task_index for phase in own if phase.iteration == 0})
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

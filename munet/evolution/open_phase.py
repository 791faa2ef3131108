"""The phase that is open in a state: its settings, task, stage and draws, and how the models of its task rank.

It is made anew for every question that the controller is asked, and works out what the answer needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from munet.config import Experiment
from munet.config.stages import Stage
from munet.evolution import judging
from munet.evolution.plan import PhaseSettings, Plan
from munet.evolution.state import EvolutionError, State, generation_draws
from munet.rng import Draws
from munet.types import ModelRecord, TaskInfo


@dataclass(frozen=True)
class OpenPhase:
    """The phase that is open in a state; of a complete run what can be said of it all the same.

    Attributes:
      plan: what the run has done and is to do.
      state: the journal folded.
    """

    plan: Plan
    state: State

    @cached_property
    def settings(self) -> PhaseSettings:
        """Its settings; of a complete run the newest."""
        return self.plan.settings_at(self.state.position)

    @property
    def experiment(self) -> Experiment:
        """Its configuration; of a complete run the newest."""
        return self.settings.experiment

    @property
    def task(self) -> TaskInfo:
        """The active task."""
        return self.plan.tasks[self.state.position.task_index]

    @property
    def is_of_complete_run(self) -> bool:
        """Whether every phase is closed, so that none is open."""
        return self.plan.place(self.state.position) >= len(self.plan.phases)

    @property
    def is_over(self) -> bool:
        """Whether every generation is judged, so that `best` is to be tested and told."""
        return self.state.position.generation >= len(self.settings.stages)

    @property
    def has_seeds_to_choose(self) -> bool:
        """Whether the state's seeds are candidates yet, of which those that fit best are to be chosen."""
        return len(self.state.seeds) > self.settings.most_seed_parents

    @property
    def stage(self) -> Stage:
        """The stage that the next generation is.

        Raises:
          EvolutionError: the phase is over.
        """
        if self.is_over:
            raise EvolutionError(f"There is no generation left at {self.state.position}.")
        return self.settings.stages[self.state.position.generation]

    @property
    def draws(self) -> Draws:
        """Those of the next generation."""
        return generation_draws(self.experiment.seed, self.state.position, self.task.name)

    @cached_property
    def ranked(self) -> list[ModelRecord]:
        """The active population by decreasing score; lower ids first among equals."""
        models = [self.state.models[id] for id in sorted(self.state.active)]
        return judging.ranked(self.state, self.experiment, models)

    @property
    def best(self) -> ModelRecord:
        """The best-scoring model of the active population, the first one of equals; or what it was compressed to.

        Raises:
          EvolutionError: no child of the phase gave a finite result.
        """
        newest = self.state.next_model_id - 1
        if newest in self.state.active and self.is_over and not self.settings.stages[-1].trains:
            return self.state.models[newest]  # whatever it scores: it was kept for its size
        if not self.ranked:
            raise EvolutionError(
                f"Every child of task {self.task.name!r} diverged, so it has no model. Lower "
                "experiment.defaults.learning_rate (and the upper values of experiment.search_space.learning_rate) "
                "and start in a new work directory."
            )
        return self.ranked[0]

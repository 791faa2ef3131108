"""The controller: proposes children, judges them, and folds the journal into a state (paper section 3, Algorithm 1).

Pure and without state of its own: every answer depends on the configuration and the state given, and on nothing else.
Baselines go through the same class (`schedule.py`, `children.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

from munet.config import Experiment
from munet.config.stages import Stage
from munet.errors import CorruptionError
from munet.evolution import evidence, grid, judging, schedule
from munet.evolution.children import (
    baseline_child,
    compressed_child,
    continued_child,
    explored_child,
    mutated_child,
    seed_child,
)
from munet.evolution.extending import extended
from munet.evolution.forgetting import forgotten
from munet.evolution.judging import judge_child, judge_compressed
from munet.evolution.mutations import mutate_settings
from munet.evolution.parents import possible_parents, sample_parent
from munet.evolution.plan import PhaseSettings, Plan
from munet.evolution.replacing import compressed
from munet.evolution.search_space import DATA_SETTINGS, default_hyperparameters, select
from munet.evolution.spread import spread
from munet.evolution.state import EvolutionError, State, generation_draws, initial_state
from munet.evolution.transitions import add_generation, begin_next, choose_seeds, close_phase
from munet.rng import Draws
from munet.types import (
    ChildPlan,
    CompressionEntry,
    CycleQualities,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    GenerationPlan,
    Hyperparameters,
    JournalEntry,
    ModelId,
    ModelRecord,
    Mutation,
    PhaseEntry,
    SeedsEntry,
    StartEntry,
    TaskInfo,
    Verdict,
)

_ADVICE = "Restore the work directory or start in a new one."


class ChildResult(Protocol):
    """What the controller needs to know of a trained child."""

    @property
    def training(self) -> CycleQualities:
        """The quality of each cycle."""

    @property
    def latency(self) -> float | None:
        """Seconds an image, where the score counts them."""


class Controller:
    """Asks for children and is told what became of them.

    Args:
      experiment: the validated configuration that the run began with.
      tasks: the tasks that it began with, in order.
    """

    def __init__(self, experiment: Experiment, tasks: Sequence[TaskInfo]):
        self.experiment = experiment
        self._tasks = tuple(tasks)

    @cached_property
    def _first_plan(self) -> Plan:
        return Plan.of(self.experiment, self._tasks)

    def plan(self, state: State) -> Plan:
        """What the run has done and is to do: as it began, unless it was extended."""
        return state.plan or self._first_plan

    def settings(self, state: State) -> PhaseSettings:
        """Those of the phase that is open; of a complete run the newest."""
        return self.plan(state).settings_at(state.position)

    def experiment_at(self, state: State) -> Experiment:
        """The configuration of the phase that is open; of a complete run the newest."""
        return self.settings(state).experiment

    def task(self, state: State) -> TaskInfo:
        """The task that the state's position makes the active one."""
        return self.plan(state).tasks[state.position.task_index]

    def is_phase_over(self, state: State) -> bool:
        """Whether every generation of the phase is judged, so that `best` is to be tested and told."""
        return state.position.generation >= len(self.settings(state).stages)

    def is_complete(self, state: State) -> bool:
        """Whether every phase is closed."""
        plan = self.plan(state)
        return plan.place(state.position) >= len(plan.phases)

    def stage(self, state: State) -> Stage:
        """The stage of the phase that the next generation is.

        Raises:
          EvolutionError: the phase is over.
        """
        if self.is_phase_over(state):
            raise EvolutionError(f"There is no generation left at {state.position}.")
        return self.settings(state).stages[state.position.generation]

    def cycles(self, state: State) -> int:
        """Cycles that each child of the next generation trains."""
        return schedule.cycles(
            self.experiment_at(state), self.task(state), state.position.generation, images_spent=state.phase_images
        )

    def score(self, state: State, model: ModelRecord) -> float:
        """Eq. 2 of a trained model in the system at hand."""
        return judging.score(state, model, self.experiment_at(state))

    def best(self, state: State) -> ModelRecord:
        """The best-scoring model of the active population, the first one of equals; or what it was compressed to.

        Raises:
          EvolutionError: no child of the phase gave a finite result.
        """
        ranked = self._ranked(state)
        newest = state.next_model_id - 1
        if newest in state.active and self.is_phase_over(state) and not self.settings(state).stages[-1].trains:
            return state.models[newest]  # whatever it scores: it was kept for its size
        if not ranked:
            raise EvolutionError(
                f"Every child of task {self.task(state).name!r} diverged, so it has no model. Lower "
                "experiment.defaults.learning_rate (and the upper values of experiment.search_space.learning_rate) "
                "and start in a new work directory."
            )
        return ranked[0]

    def seed_candidates(self, state: State) -> tuple[ChildPlan, ...]:
        """The seed children of the models among which the phase's seed parents are to be chosen by fit.

        Empty where nothing is to be chosen, or it has been: else a `SeedsEntry` must be told before `ask`. The children
        say whose features to look at and at which image size; they are never trained, and their ids mean nothing.
        """
        if len(state.seeds) <= self.settings(state).most_seed_parents:
            return ()
        task, experiment = self.task(state), self.experiment_at(state)
        draws = generation_draws(experiment.seed, state.position, task.name)
        data, _ = self._data_settings(state, self._ranked(state), draws)
        return tuple(
            seed_child(state, experiment, task, state.next_model_id, state.models[seed], data) for seed in state.seeds
        )

    def ask(self, state: State) -> GenerationPlan:
        """The children of the next generation, all sampled before any is trained.

        Raises:
          EvolutionError: the phase is over, the run complete, or the seed parents yet to be chosen.
        """
        if self.is_complete(state) or self.is_phase_over(state):
            raise EvolutionError(f"There is no generation left at {state.position}.")
        if len(state.seeds) > self.settings(state).most_seed_parents:
            raise EvolutionError(f"The seed parents at {state.position} are yet to be chosen by fit.")
        fired: list[Mutation] = []
        stage = self.stage(state)
        if self.settings(state).is_baseline:
            experiment = self.experiment_at(state)
            children = [
                baseline_child(state, experiment, self.task(state), state.next_model_id + index, settings)
                for index, settings in enumerate(grid.settings(experiment))
            ]
        elif stage.kind == "explore":
            children = self._explore(state, stage)
        elif stage.kind in ("narrow", "train"):
            children = self._go_on(state, stage)
        elif stage.kind == "compress":
            children = [compressed_child(self.task(state), state.next_model_id, self.best(state))]
        else:
            children, fired = self._evolve(state, stage)
        return GenerationPlan(state.position, self.task(state).name, tuple(children), tuple(fired))

    def judge(
        self,
        state: State,
        plan: GenerationPlan,
        results: Mapping[ModelId, ChildResult],
    ) -> dict[ModelId, Verdict]:
        """What becomes of each trained child, by its own parent's score in the state that it was planned in.

        Args:
          state: that state.
          plan: the children.
          results: what training each gave.
        """
        num_classes = self.task(state).num_classes
        if not self.stage(state).trains:
            experiment = self.experiment_at(state)
            return {
                child.id: judge_compressed(state, experiment, child, results[child.id].training, num_classes)
                for child in plan.children
            }
        return {
            child.id: judge_child(state, self.experiment_at(state), child, result.training, num_classes, result.latency)
            for child in plan.children
            for result in (results[child.id],)
        }

    def tell(
        self,
        state: State,
        entry: SeedsEntry | GenerationEntry | PhaseEntry | CompressionEntry | ExtendEntry | ForgetEntry,
    ) -> State:
        """The state after a journal entry.

        Raises:
          CorruptionError: the entry does not follow on the state.
        """
        if isinstance(entry, CompressionEntry | ForgetEntry):
            if not self.is_complete(state) or entry.position != state.position:
                what = "models compressed" if isinstance(entry, CompressionEntry) else "a task forgotten"
                raise CorruptionError(
                    f"The journal has {what} at {entry.position}, where the run is at {state.position}.", _ADVICE
                )
            if isinstance(entry, CompressionEntry):
                return compressed(state, entry)
            return forgotten(state, self.plan(state), entry)
        if isinstance(entry, ExtendEntry):
            if entry.position != state.position:
                raise CorruptionError(
                    f"The journal has a run extended at {entry.position} that is at {state.position}.", _ADVICE
                )
            return extended(state, self.plan(state), entry)
        fits = isinstance(entry, self._expected(state))
        if not fits or entry.position != state.position or entry.task != self.task(state).name:
            raise CorruptionError(
                f"A journal entry for task {entry.task!r} at {entry.position} cannot follow on {state.position}: the "
                "journal is from another run or has lost entries.",
                _ADVICE,
            )
        if isinstance(entry, SeedsEntry):
            if entry.fits.keys() != set(state.seeds):
                raise CorruptionError(
                    f"The journal has the fit of the models {sorted(entry.fits)} at {entry.position}, but the "
                    f"candidates are {sorted(state.seeds)}.",
                    _ADVICE,
                )
            return choose_seeds(state, self.experiment_at(state), entry)
        if isinstance(entry, GenerationEntry):
            return self._learn(state, entry)
        plan = self.plan(state)
        return begin_next(close_phase(state, entry), plan, plan.place(state.position) + 1)

    def _expected(self, state: State) -> type[SeedsEntry | GenerationEntry | PhaseEntry] | tuple[()]:
        """The kind of the next journal entry; none if the run is complete."""
        if self.is_complete(state):
            return ()
        if self.is_phase_over(state):
            return PhaseEntry
        is_chosen = len(state.seeds) <= self.settings(state).most_seed_parents
        return GenerationEntry if is_chosen else SeedsEntry

    def _ranked(self, state: State) -> list[ModelRecord]:
        """The active population by decreasing score; lower ids first among equals."""
        models = [state.models[id] for id in sorted(state.active)]
        return judging.ranked(state, self.experiment_at(state), models)

    def _explore(self, state: State, stage: Stage) -> list[ChildPlan]:
        """Children of the seed parents and the task's best model in turn, their settings spread by earlier races."""
        experiment, task = self.experiment_at(state), self.task(state)
        draws = generation_draws(experiment.seed, state.position, task.name)
        parents = [*(state.models[seed] for seed in state.seeds), *self._ranked(state)[:1]]
        if not parents:  # an earlier stage has used up the seed parents, and none of its children is finite
            self.best(state)  # says what to do
        spread_out = spread(experiment, state.evidence, self.settings(state).raced, draws.at("spread"), stage.children)
        return [
            explored_child(
                state,
                experiment,
                task,
                state.next_model_id + index,
                parents[index % len(parents)],
                settings,
                draws.at(index),
            )
            for index, settings in enumerate(spread_out)
        ]

    def _go_on(self, state: State, stage: Stage) -> list[ChildPlan]:
        """Children that go on training what the best models have trained; where these are fewer, several of each.

        Those of `train` are all of the best one.
        """
        experiment = self.experiment_at(state)
        most = 1 if stage.kind == "train" else stage.children
        ranked = judging.promising(state, experiment, self._ranked(state))[:most]
        if not ranked:
            self.best(state)  # says what to do
        return [
            continued_child(
                state,
                experiment,
                self.task(state),
                state.next_model_id + index,
                ranked[index % len(ranked)],
            )
            for index in range(stage.children)
        ]

    def _learn(self, state: State, entry: GenerationEntry) -> State:
        """The state after a generation, with what its settings say if it was a race."""
        after = add_generation(state, entry)
        if not self.stage(state).is_race:
            return after
        results = [
            (
                child.plan.hyperparameters,
                None if child.verdict.best_cycle is None else child.training.qualities[child.verdict.best_cycle],
            )
            for child in entry.children
        ]
        settings = self.settings(state)
        learnt = evidence.after_race(settings.experiment, state.evidence, results, settings.raced)
        return replace(after, evidence=learnt)

    def _evolve(self, state: State, stage: Stage) -> tuple[list[ChildPlan], list[Mutation]]:
        """The children, and the mutations of the data settings that they share."""
        experiment, task = self.experiment_at(state), self.task(state)
        draws = generation_draws(experiment.seed, state.position, task.name)
        ranked = self._ranked(state)
        data, fired = self._data_settings(state, ranked, draws)
        offspring = {model.id: model.offspring for model in ranked}
        order, everyone = [model.id for model in ranked], possible_parents(state, experiment, task.name)
        children: list[ChildPlan] = []
        for index in range(stage.children):
            id = state.next_model_id + index
            if index < len(state.seeds):
                parent = state.models[state.seeds[index]]
                children.append(seed_child(state, experiment, task, id, parent, data))
                continue
            own = draws.at(index)
            parent = state.models[sample_parent(order, offspring, everyone, own, experiment.parent_choice)]
            if parent.id in offspring:
                offspring[parent.id] += 1
            children.append(mutated_child(state, experiment, task, id, parent, data, own))
        return children, fired

    def _data_settings(
        self, state: State, ranked: Sequence[ModelRecord], draws: Draws
    ) -> tuple[Hyperparameters, list[Mutation]]:
        """The generation's data settings: those of the best active model, mutated once no seed parent is pending."""
        experiment = self.experiment_at(state)
        origin = ranked[0].hyperparameters if ranked else default_hyperparameters(experiment)
        settings = select(origin, DATA_SETTINGS)
        if state.seeds or experiment.fidelity.data_settings == "child":
            return settings, []
        return mutate_settings(experiment, settings, DATA_SETTINGS, draws.at("data"))


def replay(controller: Controller, entries: Iterable[JournalEntry], state: State | None = None) -> State:
    """Folds journal entries into a state: resuming is replaying.

    Args:
      controller: of the run's configuration.
      entries: the whole journal, or what follows on `state`.
      state: a snapshot to go on from.

    Raises:
      CorruptionError: an entry does not follow on what came before it.
    """
    for entry in entries:
        if isinstance(entry, StartEntry):
            state = initial_state(entry)
        elif state is None:
            raise CorruptionError("The journal does not begin with its start entry: restore it or start in a new one.")
        else:
            state = controller.tell(state, entry)
    if state is None:
        raise CorruptionError("The journal is empty: start in a new work directory.")
    return state

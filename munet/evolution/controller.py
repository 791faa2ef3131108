"""The controller: proposes children, judges them, and folds the journal into a state (paper section 3, Algorithm 1).

Pure and without state of its own: every answer depends on the configuration and the state given, and on nothing else.
Baselines go through the same class (`schedule.py`, `children.py`). It answers all questions; what the longer answers
take is in files of their own: `open_phase.py`, `proposals.py`, `judging.py`, `following.py`, `transitions.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

from munet.config import Experiment
from munet.config.stages import Stage
from munet.errors import CorruptionError
from munet.evolution import evidence, judging, proposals, schedule
from munet.evolution.extending import extended
from munet.evolution.following import Following, check_follows
from munet.evolution.forgetting import forgotten
from munet.evolution.judging import judge_child, judge_compressed
from munet.evolution.open_phase import OpenPhase
from munet.evolution.plan import PhaseSettings, Plan
from munet.evolution.replacing import compressed
from munet.evolution.state import State, initial_state
from munet.evolution.transitions import add_generation, begin_next, choose_seeds, close_phase
from munet.types import (
    ChildPlan,
    CompressionEntry,
    CycleQualities,
    ExtendEntry,
    ForgetEntry,
    GenerationEntry,
    GenerationPlan,
    JournalEntry,
    ModelId,
    ModelRecord,
    SeedsEntry,
    StartEntry,
    TaskInfo,
    Verdict,
)


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
        return self._phase(state).settings

    def experiment_at(self, state: State) -> Experiment:
        """The configuration of the phase that is open; of a complete run the newest."""
        return self._phase(state).experiment

    def task(self, state: State) -> TaskInfo:
        """The task that the state's position makes the active one."""
        return self._phase(state).task

    def is_phase_over(self, state: State) -> bool:
        """Whether every generation of the phase is judged, so that `best` is to be tested and told."""
        return self._phase(state).is_over

    def is_complete(self, state: State) -> bool:
        """Whether every phase is closed."""
        return self._phase(state).is_of_complete_run

    def stage(self, state: State) -> Stage:
        """The stage of the phase that the next generation is.

        Raises:
          EvolutionError: the phase is over.
        """
        return self._phase(state).stage

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
        return self._phase(state).best

    def seed_candidates(self, state: State) -> tuple[ChildPlan, ...]:
        """The seed children of the models among which the phase's seed parents are to be chosen by fit.

        Empty where nothing is to be chosen, or it has been: else a `SeedsEntry` must be told before `ask`. The children
        say whose features to look at and at which image size; they are never trained, and their ids mean nothing.
        """
        return proposals.seed_candidates(self._phase(state))

    def ask(self, state: State) -> GenerationPlan:
        """The children of the next generation, all sampled before any is trained.

        Raises:
          EvolutionError: the phase is over, the run complete, or the seed parents yet to be chosen.
        """
        return proposals.propose(self._phase(state))

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

    def tell(self, state: State, entry: Following) -> State:
        """The state after a journal entry.

        Raises:
          CorruptionError: the entry does not follow on the state.
        """
        phase = self._phase(state)
        check_follows(phase, entry)
        if isinstance(entry, CompressionEntry):
            return compressed(state, entry)
        if isinstance(entry, ForgetEntry):
            return forgotten(state, phase.plan, entry)
        if isinstance(entry, ExtendEntry):
            return extended(state, phase.plan, entry)
        if isinstance(entry, SeedsEntry):
            return choose_seeds(state, phase.experiment, entry)
        if isinstance(entry, GenerationEntry):
            return _learn(phase, entry)
        return begin_next(close_phase(state, entry), phase.plan, phase.plan.place(state.position) + 1)

    def _phase(self, state: State) -> OpenPhase:
        return OpenPhase(self.plan(state), state)


def _learn(phase: OpenPhase, entry: GenerationEntry) -> State:
    """The state after a generation, with what its settings say if it was a race."""
    after = add_generation(phase.state, entry)
    if not phase.stage.is_race:
        return after
    results = [
        (
            child.plan.hyperparameters,
            None if child.verdict.best_cycle is None else child.training.qualities[child.verdict.best_cycle],
        )
        for child in entry.children
    ]
    learnt = evidence.after_race(phase.experiment, phase.state.evidence, results, phase.settings.raced)
    return replace(after, evidence=learnt)


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

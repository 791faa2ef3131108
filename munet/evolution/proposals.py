"""Which children a generation has: those of each kind of stage, and of baselines (Algorithm 1).

Who is whose parent, and with which settings, is decided here; how a child is made of its parent is in `children.py`.
"""

from __future__ import annotations

from munet.config.stages import Stage
from munet.evolution import grid, judging
from munet.evolution.children import (
    baseline_child,
    compressed_child,
    continued_child,
    explored_child,
    mutated_child,
    seed_child,
)
from munet.evolution.mutations import mutate_settings
from munet.evolution.open_phase import OpenPhase
from munet.evolution.parents import possible_parents, sample_parent
from munet.evolution.schedule import races_crops_alone
from munet.evolution.search_space import DATA_SETTINGS, default_hyperparameters, select
from munet.evolution.spread import spread
from munet.evolution.state import EvolutionError
from munet.types import ChildPlan, GenerationPlan, Hyperparameters, Mutation


def propose(phase: OpenPhase) -> GenerationPlan:
    """The children of the next generation, all sampled before any is trained.

    Raises:
      EvolutionError: the phase is over, the run complete, or the seed parents yet to be chosen.
    """
    state = phase.state
    if phase.is_of_complete_run or phase.is_over:
        raise EvolutionError(f"There is no generation left at {state.position}.")
    if phase.has_seeds_to_choose:
        raise EvolutionError(f"The seed parents at {state.position} are yet to be chosen by fit.")
    fired: list[Mutation] = []
    stage = phase.stage
    if phase.settings.is_baseline:
        children = [
            baseline_child(state, phase.experiment, phase.task, state.next_model_id + index, settings)
            for index, settings in enumerate(grid.settings(phase.experiment))
        ]
    elif stage.kind == "explore":
        children = _explore(phase, stage)
    elif stage.kind in ("narrow", "train"):
        children = _go_on(phase, stage)
    elif stage.kind == "compress":
        children = [compressed_child(phase.task, state.next_model_id, phase.best)]
    else:
        children, fired = _evolve(phase, stage)
    return GenerationPlan(state.position, phase.task.name, tuple(children), tuple(fired))


def seed_candidates(phase: OpenPhase) -> tuple[ChildPlan, ...]:
    """The seed children of the models among which the seed parents are to be chosen by fit; of none if none are to be.

    They say whose features to look at and at which image size; they are never trained, and their ids mean nothing.
    """
    if not phase.has_seeds_to_choose:
        return ()
    state = phase.state
    data, _ = _data_settings(phase)
    return tuple(
        seed_child(state, phase.experiment, phase.task, state.next_model_id, state.models[seed], data)
        for seed in state.seeds
    )


def _explore(phase: OpenPhase, stage: Stage) -> list[ChildPlan]:
    """Children of the seed parents and the task's best model in turn, their settings spread by earlier races."""
    state, experiment, draws = phase.state, phase.experiment, phase.draws
    parents = [*(state.models[seed] for seed in state.seeds), *phase.ranked[:1]]
    if not parents:  # an earlier stage has used up the seed parents, and none of its children is finite
        parents = [phase.best]  # says what to do
    crops_only = races_crops_alone(experiment, phase.task)
    spread_out = spread(
        experiment, state.evidence, phase.settings.raced, draws.at("spread"), stage.children, crops_only=crops_only
    )
    return [
        explored_child(
            state,
            experiment,
            phase.task,
            state.next_model_id + index,
            parents[index % len(parents)],
            settings,
            draws.at(index),
        )
        for index, settings in enumerate(spread_out)
    ]


def _go_on(phase: OpenPhase, stage: Stage) -> list[ChildPlan]:
    """Children that go on training what the best models have trained; where these are fewer, several of each.

    Those of `train` are all of the best one.
    """
    state, experiment = phase.state, phase.experiment
    most = 1 if stage.kind == "train" else stage.children
    parents = judging.promising(state, experiment, phase.ranked)[:most]
    if not parents:
        parents = [phase.best]  # says what to do
    return [
        continued_child(state, experiment, phase.task, state.next_model_id + index, parents[index % len(parents)])
        for index in range(stage.children)
    ]


def _evolve(phase: OpenPhase, stage: Stage) -> tuple[list[ChildPlan], list[Mutation]]:
    """The children, and the mutations of the data settings that they share."""
    state, experiment, task, draws = phase.state, phase.experiment, phase.task, phase.draws
    data, fired = _data_settings(phase)
    offspring = {model.id: model.offspring for model in phase.ranked}
    order, everyone = [model.id for model in phase.ranked], possible_parents(state, experiment, task.name)
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


def _data_settings(phase: OpenPhase) -> tuple[Hyperparameters, list[Mutation]]:
    """The generation's data settings: those of the best active model, mutated once no seed parent is pending."""
    experiment = phase.experiment
    origin = phase.ranked[0].hyperparameters if phase.ranked else default_hyperparameters(experiment)
    settings = select(origin, DATA_SETTINGS)
    if phase.state.seeds or experiment.fidelity.data_settings == "child":
        return settings, []
    return mutate_settings(experiment, settings, DATA_SETTINGS, phase.draws.at("data"))

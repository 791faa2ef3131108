"""Builds a child's plan from its parent: seed children unmutated, all others mutated (Algorithm 1, lines 26-34)."""

from __future__ import annotations

from collections.abc import Iterable

from munet.config import Experiment
from munet.evolution import lookup, mutations
from munet.evolution.draws import Draws
from munet.evolution.search_space import DATA_SETTINGS, model_settings, select
from munet.evolution.state import State
from munet.types import (
    ChildPlan,
    ComponentName,
    ComponentPlan,
    Hyperparameters,
    ModelId,
    ModelRecord,
    Mutation,
    TaskInfo,
)
from munet.vit import architecture


def seed_child(
    state: State, experiment: Experiment, task: TaskInfo, id: ModelId, parent: ModelRecord, data: Hyperparameters
) -> ChildPlan:
    """A child of a seed parent taken in lines 10-13: trains the head only, shares everything else as it is.

    Args:
      state: the current state.
      experiment: the configuration.
      task: the active task.
      id: the child's id.
      parent: the seed parent.
      data: the data settings.
    """
    hyperparameters = {**select(parent.hyperparameters, model_settings(experiment)), **select(data, DATA_SETTINGS)}
    path = architecture.path_names(
        lookup.num_blocks(parent), lookup.adapter_indices(parent), lookup.lora_indices(parent)
    )
    plans = plan_path(state, experiment, task, parent, path, hyperparameters, inherit=False)
    plans, forced = mutations.clone_by_rule(plans, mutations.forced_clones(experiment, is_seed=True))
    return ChildPlan(id, task.name, parent.id, True, hyperparameters, tuple(plans), tuple(forced))


def mutated_child(
    state: State,
    experiment: Experiment,
    task: TaskInfo,
    id: ModelId,
    parent: ModelRecord,
    data: Hyperparameters,
    draws: Draws,
) -> ChildPlan:
    """A child of any other parent: every possible mutation fires with probability mu.

    Args:
      state: the current state.
      experiment: the configuration.
      task: the active task.
      id: the child's id.
      parent: the parent.
      data: the generation's data settings; unused where every child mutates its parent's.
      draws: those of the child.
    """
    names = model_settings(experiment)
    settings = {**select(parent.hyperparameters, names), **select(data, DATA_SETTINGS)}
    if experiment.fidelity.data_settings == "child":
        settings |= select(parent.hyperparameters, DATA_SETTINGS)
        names = (*names, *DATA_SETTINGS)
    fired: list[Mutation] = []
    blocks, new = mutations.mutate_num_blocks(experiment, lookup.num_blocks(parent), draws)
    fired += new
    settings, new = mutations.mutate_settings(experiment, settings, names, draws)
    fired += new
    remaining = range(blocks)  # what is inserted at a block goes with it
    adapters, new = mutations.insert(
        experiment, "adapter", blocks, lookup.adapter_indices(parent).intersection(remaining), draws
    )
    fired += new
    loras, new = mutations.insert(
        experiment, "lora", blocks, lookup.lora_indices(parent).intersection(remaining), draws
    )
    fired += new
    inherit = experiment.fidelity.trainability == "inherited"
    path = architecture.path_names(blocks, adapters, loras)
    plans = plan_path(state, experiment, task, parent, path, settings, inherit=inherit)
    plans, new = mutations.clone_by_rule(plans, mutations.forced_clones(experiment, is_seed=False))
    fired += new
    plans, new = mutations.clone_by_chance(experiment, plans, draws)
    fired += new
    return ChildPlan(id, task.name, parent.id, False, settings, tuple(plans), tuple(fired))


def plan_path(
    state: State,
    experiment: Experiment,
    task: TaskInfo,
    parent: ModelRecord,
    path: Iterable[ComponentName],
    hyperparameters: Hyperparameters,
    *,
    inherit: bool,
) -> list[ComponentPlan]:
    """Every component of the path (`architecture.path_names`), in its order, before any clone mutation."""
    variant = architecture.get_variant(experiment.variant)
    plans = []
    for name in path:
        leaves = architecture.model_leaves(variant, name, hyperparameters, task.num_classes)
        plans.append(lookup.plan_component(state, task.name, parent.id, name, leaves, inherit=inherit))
    return plans

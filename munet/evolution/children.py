"""Builds a child's plan from its parent: seed children unmutated, all others mutated (Algorithm 1, lines 26-34)."""

from __future__ import annotations

from collections.abc import Collection

from munet import architecture
from munet.config import Experiment
from munet.evolution import lookup, mutations
from munet.evolution.draws import Draws
from munet.evolution.search_space import DATA_SETTINGS, MODEL_SETTINGS, select
from munet.evolution.state import State
from munet.types import (
    ChildPlan,
    ComponentPlan,
    Hyperparameters,
    ModelId,
    ModelRecord,
    Mutation,
    TaskInfo,
)


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
    hyperparameters = {**select(parent.hyperparameters, MODEL_SETTINGS), **select(data, DATA_SETTINGS)}
    blocks, adapters = lookup.num_blocks(parent), lookup.adapter_indices(parent)
    plans = plan_path(state, experiment, task, parent, blocks, adapters, hyperparameters, inherit=False)
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
    settings = {**select(parent.hyperparameters, MODEL_SETTINGS), **select(data, DATA_SETTINGS)}
    names: tuple[str, ...] = MODEL_SETTINGS
    if experiment.fidelity.data_settings == "child":
        settings |= select(parent.hyperparameters, DATA_SETTINGS)
        names = (*MODEL_SETTINGS, *DATA_SETTINGS)
    fired: list[Mutation] = []
    blocks, new = mutations.mutate_num_blocks(experiment, lookup.num_blocks(parent), draws)
    fired += new
    settings, new = mutations.mutate_settings(experiment, settings, names, draws)
    fired += new
    remaining = {index for index in lookup.adapter_indices(parent) if index < blocks}  # an adapter goes with its block
    adapters, new = mutations.insert_adapters(experiment, blocks, remaining, draws)
    fired += new
    inherit = experiment.fidelity.trainability == "inherited"
    plans = plan_path(state, experiment, task, parent, blocks, adapters, settings, inherit=inherit)
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
    num_blocks: int,
    adapters: Collection[int],
    hyperparameters: Hyperparameters,
    *,
    inherit: bool,
) -> list[ComponentPlan]:
    """Every component of an architecture, in path order, before any clone mutation."""
    variant = architecture.get_variant(experiment.variant)
    plans = []
    for name in architecture.path_names(num_blocks, adapters):
        leaves = architecture.component_leaves(
            variant,
            name,
            image_size=int(hyperparameters["image_size"]),
            adapter_dim=int(hyperparameters["adapter_dim"]),
            num_classes=task.num_classes,
        )
        plans.append(lookup.plan_component(state, task.name, parent.id, name, leaves, inherit=inherit))
    return plans

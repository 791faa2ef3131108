"""Builds a child's plan from its parent: seed children unmutated, all others mutated (Algorithm 1, lines 26-34).

Baselines are children too: fixed ways of fine-tuning the root on the same engine. One generation of
replicas a task, all from the root with default settings; only which layers they train differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from munet.config import Experiment
from munet.evolution import lookup, mutations
from munet.evolution.search_space import DATA_SETTINGS, default_hyperparameters, model_settings, select
from munet.evolution.spread import as_mutations
from munet.evolution.stages import trained_kind
from munet.evolution.state import State
from munet.rng import Draws
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
from munet.vit.architecture import HEAD, NORM


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
    path, new = _path_with_insertions(experiment, experiment.mutation_probability, parent, blocks, draws)
    fired += new
    inherit = experiment.fidelity.trainability == "inherited"
    plans = plan_path(state, experiment, task, parent, path, settings, inherit=inherit)
    plans, new = mutations.clone_by_rule(plans, mutations.forced_clones(experiment, is_seed=False))
    fired += new
    plans, new = mutations.clone_by_chance(experiment.mutation_probability, plans, draws)
    fired += new
    return ChildPlan(id, task.name, parent.id, False, settings, tuple(plans), tuple(fired))


def _path_with_insertions(
    experiment: Experiment, probability: float, parent: ModelRecord, num_blocks: int, draws: Draws
) -> tuple[tuple[ComponentName, ...], list[Mutation]]:
    """The layers of a child with some of its parent's blocks, adapters and low-rank updates inserted by chance."""
    fired: list[Mutation] = []
    present: dict[str, frozenset[int]] = {}
    for kind, of_parent in (("adapter", lookup.adapter_indices), ("lora", lookup.lora_indices)):
        remaining = of_parent(parent).intersection(range(num_blocks))  # what is inserted at a block goes with it
        present[kind], new = mutations.insert(experiment, probability, kind, num_blocks, remaining, draws)
        fired += new
    return architecture.path_names(num_blocks, present["adapter"], present["lora"]), fired


def explored_child(
    state: State,
    experiment: Experiment,
    task: TaskInfo,
    id: ModelId,
    parent: ModelRecord,
    settings: Hyperparameters,
    draws: Draws,
) -> ChildPlan:
    """A child of an `explore` stage: settings as they were spread, layers cloned and inserted by chance.

    Each layer is cloned with `clone_probability`. What can be inserted at a block is trained with
    `insertion_probability`: inserted where the parent has none, else cloned.

    Args:
      state: the current state.
      experiment: the configuration.
      task: the active task.
      id: the child's id.
      parent: a seed parent, or the task's best model.
      settings: the settings that evolve (`spread.py`); the others are the parent's.
      draws: those of the child.
    """
    insertion = experiment.insertion_probability
    path, inserted = _path_with_insertions(experiment, insertion, parent, lookup.num_blocks(parent), draws)
    inherit = experiment.fidelity.trainability == "inherited"
    child = continued_child(state, experiment, task, id, parent, settings, path, inherit=inherit)
    plans, cloned = mutations.clone_by_chance(
        experiment.clone_probability, child.components, draws, of_insertions=insertion or None
    )
    changed = as_mutations(parent.hyperparameters, settings)
    return replace(child, components=tuple(plans), mutations=(*changed, *inserted, *child.mutations, *cloned))


def continued_child(
    state: State,
    experiment: Experiment,
    task: TaskInfo,
    id: ModelId,
    parent: ModelRecord,
    settings: Hyperparameters | None = None,
    path: Sequence[ComponentName] | None = None,
    *,
    inherit: bool = True,
) -> ChildPlan:
    """A child of a `narrow` or `train` stage: goes on training what its parent trained; nothing is drawn.

    Args:
      state, experiment, task, id, parent: as for `explored_child`.
      settings: what differs from the parent's; None: nothing.
      path: the child's layers; None: those of its parent.
      inherit: whether what the parent may train is copied and stays trainable.
    """
    names = (*model_settings(experiment), *DATA_SETTINGS)
    hyperparameters = {**select(parent.hyperparameters, names), **(settings or {})}
    path = path or architecture.path_names(
        lookup.num_blocks(parent), lookup.adapter_indices(parent), lookup.lora_indices(parent)
    )
    plans = plan_path(state, experiment, task, parent, path, hyperparameters, inherit=inherit)
    plans, forced = mutations.clone_by_rule(plans, mutations.forced_clones(experiment, is_seed=False))
    return ChildPlan(id, task.name, parent.id, False, hyperparameters, tuple(plans), tuple(forced))


def compressed_child(task: TaskInfo, id: ModelId, parent: ModelRecord) -> ChildPlan:
    """The child of a `compress` stage: its parent, of which some layers are to be stored in low rank.

    Which ones is found by measuring, so the plan shares them all; the journal's components of the child tell.
    """
    plans = tuple(ComponentPlan(name, "share", id, trainable=False) for name, id in parent.components.items())
    mutation = Mutation("compress", "layers")
    return ChildPlan(id, task.name, parent.id, False, parent.hyperparameters, plans, (mutation,))


def trained_layers(experiment: Experiment, adapters: Iterable[int] = ()) -> frozenset[ComponentName]:
    """The components of the root that the baseline trains copies of, besides the new head.

    Args:
      experiment: the configuration.
      adapters: the blocks before which the root has an adapter.
    """
    kind, num_blocks = trained_kind(experiment), experiment.num_blocks
    if kind == "full":
        return frozenset(architecture.path_names(num_blocks, adapters)) - {HEAD}
    if kind == "top_layers":
        top = range(experiment.baseline.frozen_blocks, num_blocks)
        of_top = [architecture.adapter_name(index) for index in adapters if index in top]
        return frozenset({NORM, *map(architecture.block_name, top), *of_top})
    if kind == "adapters":  # the root's own, where it has some, as those that are inserted
        return frozenset({NORM, *map(architecture.adapter_name, adapters)})
    return frozenset({NORM})  # multi_head and lora


def baseline_child(
    state: State, experiment: Experiment, task: TaskInfo, id: ModelId, settings: Hyperparameters | None = None
) -> ChildPlan:
    """One replica of the baseline, from the root with default settings but for `settings`."""
    hyperparameters = {**default_hyperparameters(experiment), **(settings or {})}
    kind = trained_kind(experiment)
    every, own = range(experiment.num_blocks), lookup.adapter_indices(state.root)
    path = architecture.path_names(experiment.num_blocks, own)
    if kind == "adapters":
        path = architecture.path_names(experiment.num_blocks, adapters=every)
        hyperparameters["adapter_dim"] = experiment.baseline.adapter_dim
    if kind == "lora":
        path = architecture.path_names(experiment.num_blocks, own, loras=every)
        hyperparameters["lora_rank"] = experiment.baseline.lora_rank
    plans = plan_path(state, experiment, task, state.root, path, hyperparameters, inherit=False)
    new = [name for name in path if architecture.is_inserted(name) and name not in state.root.components]
    inserted = [Mutation("insert", name, forced=True) for name in new]
    plans, cloned = mutations.clone_by_rule(plans, trained_layers(experiment, own))
    return ChildPlan(id, task.name, state.root.id, False, hyperparameters, tuple(plans), (*inserted, *cloned))


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

"""Fixed ways of fine-tuning the root, on the same engine (spec section 6): mutation probability 0 or 1.

One generation of replicas a task, all from the root with default settings; only which layers they train differs.
"""

from __future__ import annotations

from munet.config import Experiment
from munet.evolution.children import plan_path
from munet.evolution.mutations import clone_by_rule
from munet.evolution.search_space import default_hyperparameters
from munet.evolution.state import State
from munet.types import ChildPlan, ComponentName, ModelId, Mutation, TaskInfo
from munet.vit.architecture import HEAD, NORM, block_name, is_inserted, path_names


def trained_layers(experiment: Experiment) -> frozenset[ComponentName]:
    """The components of the root that the baseline trains copies of, besides the new head."""
    baseline, num_blocks = experiment.baseline, experiment.num_blocks
    if baseline.kind == "full":
        return frozenset(path_names(num_blocks)) - {HEAD}
    if baseline.kind == "top_layers":
        return frozenset({NORM, *(block_name(index) for index in range(baseline.frozen_blocks, num_blocks))})
    return frozenset({NORM})  # multi_head, adapters and lora


def baseline_child(state: State, experiment: Experiment, task: TaskInfo, id: ModelId) -> ChildPlan:
    """The plan of one child of a baseline: a replica of the root that trains the layers of its kind."""
    hyperparameters = default_hyperparameters(experiment)
    every = range(experiment.num_blocks)
    path = path_names(experiment.num_blocks)
    if experiment.baseline.kind == "adapters":
        path = path_names(experiment.num_blocks, adapters=every)
        hyperparameters["adapter_dim"] = experiment.baseline.adapter_dim
    if experiment.baseline.kind == "lora":
        path = path_names(experiment.num_blocks, loras=every)
        hyperparameters["lora_rank"] = experiment.baseline.lora_rank
    plans = plan_path(state, experiment, task, state.root, path, hyperparameters, inherit=False)
    inserted = [Mutation("insert", name, forced=True) for name in path if is_inserted(name)]
    plans, cloned = clone_by_rule(plans, trained_layers(experiment))
    return ChildPlan(id, task.name, state.root.id, False, hyperparameters, tuple(plans), (*inserted, *cloned))

"""Who becomes a parent: seed parents first, then Eq. 1 over the active population (Algorithm 1, lines 5-23)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from munet.config import Experiment
from munet.evolution.draws import Draws
from munet.evolution.schedule import num_generations
from munet.evolution.sorted_map import SortedMap
from munet.evolution.state import State
from munet.types import ModelId, TaskName


def seed_parents(state: State, experiment: Experiment, task: TaskName, draws: Draws) -> tuple[ModelId, ...]:
    """The seed parents of a phase that begins: retained models of other tasks and the root, in order of use.

    Newest id first, or in random order; at most `max_seed_parents` of them, and no more than the phase has children.
    The active task's own previous best is in the active population instead.

    Between two phases the models are the root's and the retained ones, so the newest are found without looking at all;
    a random order draws for each.
    """
    children = num_generations(experiment) * experiment.children_per_generation
    most = min(experiment.max_seed_parents or children, children)
    models = (
        state.models
        if experiment.fidelity.seed_order == "newest"
        else sorted(state.models, key=lambda model: draws.uniform("seed_order", model), reverse=True)
    )
    own = state.retained.get(task)
    return tuple(islice((model for model in reversed(models) if model != own), most))


def sample_parent(
    ranked: Sequence[ModelId], offspring: Mapping[ModelId, int], everyone: SortedMap[ModelId, Any], draws: Draws
) -> ModelId:
    """Eq. 1: visits models by decreasing score and accepts each with probability 0.5^offspring.

    Args:
      ranked: the active population, best first.
      offspring: children created from each so far, earlier ones of the same generation included.
      everyone: active and seed models, so all there are: the root and every task's retained model too. One is taken
        uniformly if all of the former are rejected.
      draws: those of the child.
    """
    for rank, model in enumerate(ranked):
        if draws.uniform("parent", rank) < 0.5 ** offspring[model]:
            return model
    return everyone.key_at(int(draws.uniform("fallback") * len(everyone)))

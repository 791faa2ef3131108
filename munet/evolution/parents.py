"""Who becomes a parent: seed parents first, then Eq. 1 over the active population (Algorithm 1, lines 5-23)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from munet import rng
from munet.config import Experiment
from munet.evolution.draws import Draws
from munet.evolution.state import State
from munet.types import ROOT_MODEL, ModelId, TaskName


def seed_parents(state: State, experiment: Experiment, task: TaskName, draws: Draws) -> tuple[ModelId, ...]:
    """The seed parents of a phase that begins: retained models of other tasks and the root, in order of use.

    Newest id first, or in random order; at most `max_seed_parents` of them. The active task's own previous best is
    in the active population instead.
    """
    models = [ROOT_MODEL, *(model for name, model in state.retained.items() if name != task)]
    if experiment.fidelity.seed_order == "random":
        models.sort(key=lambda model: draws.uniform("seed_order", model))
    else:
        models.sort(reverse=True)
    return tuple(models[: experiment.max_seed_parents or None])


def sample_parent(
    ranked: Sequence[ModelId], offspring: Mapping[ModelId, int], fallback: Sequence[ModelId], draws: Draws
) -> ModelId:
    """Eq. 1: visits models by decreasing score and accepts each with probability 0.5^offspring.

    Args:
      ranked: the active population, best first.
      offspring: children created from each so far, earlier ones of the same generation included.
      fallback: active and seed models, one of which is taken uniformly if all of the former are rejected.
      draws: those of the child.
    """
    for rank, model in enumerate(ranked):
        if draws.uniform("parent", rank) < 0.5 ** offspring[model]:
            return model
    return rng.choice((*draws.path, "fallback"), fallback)

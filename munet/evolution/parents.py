"""Who becomes a parent: seed parents first, then Eq. 1 over the active population (Algorithm 1, lines 5-23)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import nlargest
from itertools import islice
from typing import Any

from munet.config import Experiment
from munet.config.evolve import ParentChoice
from munet.evolution.schedule import chooses_by_fit, most_seed_parents
from munet.evolution.sorted_map import SortedMap
from munet.evolution.state import State
from munet.rng import Draws
from munet.types import ROOT_MODEL, ComponentId, ModelId, TaskName
from munet.vit.architecture import HEAD

# Models that fit is estimated of in a phase, or twice as many as it takes if that is more. Who is a candidate follows
# from it, so with another number old journals could not be replayed.
MAX_CANDIDATES = 64


def seed_parents(state: State, experiment: Experiment, task: TaskName, draws: Draws) -> tuple[ModelId, ...]:
    """The seed parents of a phase that begins: retained models of other tasks and the root, in order of use.

    Newest id first, or in random order; at most `max_seed_parents` of them, and no more than the phase has children.
    Where these are to be chosen by fit, the candidates are given instead, more than that (`best_fitting`): of very many
    models the root, the newest, and those from which most others descend, `MAX_CANDIDATES` together.
    The active task's own previous best is in the active population instead.

    Between two phases the models are the root's and the retained ones, so the newest are found without looking at all;
    a random order draws for each.
    """
    is_newest = experiment.fidelity.seed_order == "newest"
    place: Callable[[ModelId], float] = (
        (lambda model: -model) if is_newest else (lambda model: draws.uniform("seed_order", model))
    )
    models = reversed(state.models) if is_newest else iter(sorted(state.models, key=place))
    own, most = state.retained.get(task), most_seed_parents(experiment)
    others = (model for model in models if model != own and not is_private(state, experiment, task, model))
    if not chooses_by_fit(experiment, len(state.models) - (own is not None)):
        return tuple(islice(others, most))
    most = max(MAX_CANDIDATES, 2 * most)
    chosen = {ROOT_MODEL, *islice(others, most // 2)}
    used = _most_used(state, most // 2 - 1)
    chosen |= {model for model in used if model != own and not is_private(state, experiment, task, model)}
    chosen |= set(islice((model for model in others if model not in chosen), most - len(chosen)))
    return tuple(sorted(chosen, key=place))


def _most_used(state: State, count: int) -> list[ModelId]:
    """The models that most retained ones descend from directly; one look at every model that has heirs."""
    found = nlargest(count, ((len(heirs), model) for model, heirs in state.heirs.items()))
    return [model for _, model in found]


def best_fitting(state: State, experiment: Experiment, fits: Mapping[ModelId, float]) -> tuple[ModelId, ...]:
    """The seed parents of a phase among its candidates, best first; of equals those that come first in `state.seeds`.

    Models that differ only in their heads fit alike and have nearly the same seed children, so they take no place that
    another trunk can have.
    """
    ranked = sorted(state.seeds, key=lambda model: -fits[model])
    first_of_trunk: dict[frozenset[ComponentId], ModelId] = {}
    for model in ranked:
        components = state.models[model].components
        first_of_trunk.setdefault(frozenset(id for name, id in components.items() if name != HEAD), model)
    distinct = list(first_of_trunk.values())
    repeated = [model for model in ranked if model not in set(distinct)]
    return tuple((distinct + repeated)[: most_seed_parents(experiment)])


def is_private(state: State, experiment: Experiment, task: TaskName, model: ModelId) -> bool:
    """Whether a model is of another task that is private, so that it is no parent for `task`."""
    owner = state.models[model].task
    return owner != task and owner in experiment.private_tasks


def possible_parents(state: State, experiment: Experiment, task: TaskName) -> SortedMap[ModelId, Any]:
    """Active and seed models, so all there are, but those of other tasks that are private."""
    if not experiment.private_tasks:
        return state.models
    return state.models.changed({}, [model for model in state.models if is_private(state, experiment, task, model)])


def sample_parent(
    ranked: Sequence[ModelId],
    offspring: Mapping[ModelId, int],
    everyone: SortedMap[ModelId, Any],
    draws: Draws,
    choice: ParentChoice = "ranked",
) -> ModelId:
    """A parent of a mutated child.

    By default that of Eq. 1: visits models by decreasing score and accepts each with probability 0.5^offspring. The
    other choices are the published notebook's controls: they ask neither for the score nor, one of them, for the task.

    Args:
      ranked: the active population, best first.
      offspring: children created from each so far, earlier ones of the same generation included.
      everyone: active and seed models, so all there are: the root and every task's retained model too. One is taken
        uniformly if all of the former are rejected.
      draws: those of the child.
      choice: as `experiment.parent_choice`.
    """
    if choice == "tournament" and ranked:
        return ranked[min(int(draws.uniform("tournament", place) * len(ranked)) for place in range(2))]
    for rank, model in enumerate(ranked if choice == "ranked" else ()):
        if draws.uniform("parent", rank) < 0.5 ** offspring[model]:
            return model
    return everyone.key_at(int(draws.uniform("fallback") * len(everyone)))

"""What a MUiR training changes, and what it begins with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from munet import rng
from munet.config.muir import MuirExperiment
from munet.methods.muir import adapters, alignment, fresh
from munet.methods.muir.alignment import Generation
from munet.methods.muir.blocks import Plan
from munet.methods.muir.nets import Net


class Trained(NamedTuple):
    """What gradients move.

    Attributes:
      modules: shared.
      contexts: one for each location; without any, where blocks are shared as they are.
      own: what is not generated, of every part of the plan, with an axis of its tasks.
      adapters: of every location, if blocks have them; else ().
    """

    modules: Float[Array | np.ndarray, "modules context m n"]
    contexts: Float[Array | np.ndarray, "locations context"]
    own: tuple[Any, ...]
    adapters: Any = ()


class MuirState(NamedTuple):
    """What a round changes, and what it reads.

    Attributes:
      trained: what Adam moves at the ordinary rate.
      scores: of the candidates, before the softmax; moved at a rate of their own, where there are challengers.
      candidates: modules of every location, the incumbent's first.
      drawn: locations that have challengers.
      places: their numbers, or any as many where none has: no other location has candidates that differ.
      picks: which candidate wins where winners are drawn; else -1.
      moments: Adam's, of `trained`.
      score_moments: Adam's, of the scores.
      carries: what each part's recurrent models go on with, or what its batch norms have seen; () of others.
      born: how many updates were before each module's moments were zeros; () where they are never reset.
    """

    trained: Trained
    scores: Float[Array | np.ndarray, "candidates locations"]
    candidates: Int[Array | np.ndarray, "candidates locations"]
    drawn: Bool[Array | np.ndarray, " locations"]
    places: Int[Array | np.ndarray, " drawn"]
    picks: Int[Array | np.ndarray, " locations"]
    moments: Any
    score_moments: Any
    carries: Any = ()
    born: Any = ()


def module_deviation(context: int) -> float:
    """Of the numbers in a fresh module that contexts weigh: so that blocks keep the deviation that contexts say."""
    return 1 / math.sqrt(context)


def context_values(experiment: MuirExperiment, plan: Plan) -> Float[np.ndarray, "locations context"]:
    """The contexts at the start: constant in a layer, so that modules fit each other's places.

    A block is the sum of `context` independent normal matrices. The paper's Eq. 7 takes that for `context` times one,
    and comes out with weights of too small a variance (`context_scale = "paper"`).
    """
    count = experiment.context
    if not count:
        return np.ones((plan.num_locations, 1), np.float32)
    values = plan.deviations / (math.sqrt(count) * module_deviation(count))
    if experiment.context_scale == "paper":
        values = plan.deviations / (count * module_deviation(count))
    return np.repeat(values[:, None], count, axis=1).astype(np.float32)


def first_modules(
    experiment: MuirExperiment, plan: Plan, path: rng.Path, nets: Sequence[Net] = ()
) -> Float[np.ndarray, "modules c m n"]:
    """Modules at the start; without contexts, each with the deviation of the location of its number.

    Where a net's blocks are given (a root's), a module makes the block of the first location that has it: each of its
    slices has a part of that, and what was drawn less its mean over the slices, which cancels while the context is
    constant.
    """
    drawn, context = _drawn_modules(experiment, plan, path), experiment.context
    contexts, mapping = context_values(experiment, plan), first_mapping(experiment, plan)
    is_first = np.zeros(plan.num_locations, bool)
    is_first[np.unique(mapping, return_index=True)[1]] = True  # of those that have its module
    for index, net in enumerate(nets):
        if not net.given:
            continue
        places = plan.places(index)
        own, blocks = mapping[places][is_first[places]], plan.pack_part(index, net.given)[is_first[places]]
        slices = drawn[own] - drawn[own].mean(axis=1, keepdims=True) if context else 0
        drawn[own] = blocks[:, None] / contexts[places][is_first[places]].sum(axis=1)[:, None, None, None] + slices
    return drawn


def num_modules(experiment: MuirExperiment, plan: Plan) -> int:
    """How many there are, used or not: as many as the first mapping needs, if the config does not say it."""
    return experiment.modules or int(first_mapping(experiment, plan).max(initial=-1)) + 1


def _drawn_modules(experiment: MuirExperiment, plan: Plan, path: rng.Path) -> Float[np.ndarray, "modules c m n"]:
    count, context = num_modules(experiment, plan), experiment.context
    shape = (count, max(context, 1), *plan.block)
    if context:
        return rng.normal_array(path, shape) * np.float32(module_deviation(context))
    owner = np.arange(count) % plan.num_locations
    mapping = first_mapping(experiment, plan)
    owner[mapping[::-1]] = np.arange(plan.num_locations)[::-1]  # the first location that has the module
    normal = rng.normal_array(path, shape) * plan.deviations[owner, None, None, None]
    if experiment.initial == "framework":
        limits = plan.limits[owner, None, None, None]
        return np.where(limits > 0, (2 * rng.uniform_array(path, shape) - 1).astype(np.float32) * limits, normal)
    return normal


def first_mapping(experiment: MuirExperiment, plan: Plan) -> alignment.Mapping:
    """Every location has a module for itself; or its group's; or that of its place among its task's locations."""
    if experiment.sharing == "given":
        return np.array([experiment.groups[task] for task in plan.task_of], np.int32)
    if experiment.sharing == "hierarchical":
        found = np.zeros(plan.num_locations, np.int32)
        for task in np.unique(plan.task_of):
            is_own = plan.task_of == task
            found[is_own] = np.arange(is_own.sum())
        return found
    return np.arange(plan.num_locations, dtype=np.int32)


def with_generation(
    state: MuirState, generation: Generation, scores: Float[np.ndarray, " candidates"], adam: Any
) -> MuirState:
    """A state in which a generation begins: scores are reset, and their moments, and no other."""
    first = np.repeat(scores[:, None], len(generation.drawn), axis=1).astype(np.float32)
    places = np.flatnonzero(generation.drawn) if generation.drawn.any() else np.arange(len(state.places))
    return state._replace(
        scores=first,
        candidates=generation.candidates,
        drawn=generation.drawn,
        places=places.astype(np.int32),
        picks=generation.picks,
        score_moments=adam.init(first),
    )


def initial(
    experiment: MuirExperiment, plan: Plan, nets: tuple[Net, ...], seed: int, carries: tuple[Any, ...] = ()
) -> MuirState:
    """The state that a seed begins with, before any challengers are drawn.

    Args:
      experiment: what to do.
      plan: where blocks lie.
      nets: of the plan's parts.
      seed: of the replica.
      carries: what each part's recurrent models begin with.
    """
    own = []
    for net, part in zip(nets, plan.parts, strict=True):
        each = [_own(experiment, net, seed, task) for task in part.tasks]
        own.append({path: np.stack([one[path] for one in each]) for path in each[0]})
    trained = Trained(
        first_modules(experiment, plan, ("muir", seed, "modules"), nets),
        context_values(experiment, plan),
        tuple(own),
        adapters.first(experiment, plan.num_locations),
    )
    adam = optax.scale_by_adam()
    rest = alignment.resting(first_mapping(experiment, plan), experiment.challengers)
    scores = alignment.first_scores(experiment.challengers, experiment.challenger_share)
    empty = np.zeros(rest.candidates.shape, np.float32)
    places = np.arange(alignment.num_drawn(plan.num_locations, experiment.share), dtype=np.int32)
    bare = MuirState(
        trained, empty, rest.candidates, rest.drawn, places, rest.picks, adam.init(trained), adam.init(empty), carries,
        fresh.first_born(experiment, len(trained.modules)),
    )  # fmt: skip
    return with_generation(bare, rest, scores, adam)


def _own(experiment: MuirExperiment, net: Net, seed: int, task: int) -> dict[str, np.ndarray]:
    """What is not generated of a task's model; biases are 0 beside generated kernels but LSTMs', or as PyTorch's."""
    own = net.own(rng.key_data(("muir", seed, "own", task)))
    if experiment.initial == "framework":
        for one in net.generated:
            if one.limit and (bias := one.path.replace("kernel", "bias")) in own:
                drawn = 2 * rng.uniform_array(("muir", seed, "biases", task, bias), own[bias].shape) - 1
                own[bias] = drawn.astype(np.float32) * np.float32(one.limit)
    return own

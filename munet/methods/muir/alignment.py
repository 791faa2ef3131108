"""Which module each location uses, and how that is searched: plain NumPy, every draw from SHA-256 of its path.

A generation begins with `ask`, which draws challengers for some of the locations; training moves the weights of all
candidates, and `tell` says which of them won.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from munet import rng

Mapping = Int32[np.ndarray, " locations"]  # the module of each location


@dataclass(frozen=True)
class Search:
    """How challengers are drawn.

    Attributes:
      num_modules: that there are, used or not.
      challengers: for each location that is drawn (lambda).
      share: of the locations that are drawn in a generation (p), in [0, 1]; one at least.
      new: probability that a challenger is a module that nobody uses (epsilon).
      is_random: whether winners are drawn, too, instead of what training made of the weights.
    """

    num_modules: int
    challengers: int
    share: float
    new: float
    is_random: bool = False


@dataclass(frozen=True)
class Generation:
    """What competes in a generation.

    Attributes:
      candidates: modules of each location; the first row is the incumbent's.
      drawn: locations that have challengers; the candidates of others are all alike.
      fresh: modules that nobody used and that somebody tries now: to be initialised anew.
      picks: which candidate wins where winners are drawn; -1: the one with the most weight.
    """

    candidates: Int32[np.ndarray, "candidates locations"]
    drawn: Bool[np.ndarray, " locations"]
    fresh: tuple[int, ...]
    picks: Int32[np.ndarray, " locations"]


def resting(incumbent: Mapping, challengers: int) -> Generation:
    """A generation in which nothing competes."""
    candidates = np.repeat(incumbent[None], 1 + challengers, axis=0).astype(np.int32)
    length = len(incumbent)
    return Generation(candidates, np.zeros(length, bool), (), np.full(length, -1, np.int32))


def ask(
    incumbent: Mapping, search: Search, path: rng.Path, pools: Int[np.ndarray, " locations"] | None = None
) -> Generation:
    """Draws the challengers of a generation.

    Args:
      incumbent: the modules in use.
      search: how.
      path: of the generation's draws.
      pools: which locations may share: those of one number; None: any. A module that nobody uses is of the pool of the
        location of its number, which had it first.
    """
    length = len(incumbent)
    pools = np.zeros(length, np.int32) if pools is None else np.asarray(pools)
    order = np.argsort(pools, kind="stable")
    firsts, ends = (np.searchsorted(pools[order], pools, side) for side in ("left", "right"))
    places = drawn_locations(length, search.share, path)
    pairs = [(number, place) for number in range(1, 1 + search.challengers) for place in places.tolist()]
    # A location, all of which are equally probable, names its module: so a module comes as often as it is used.
    own = np.tile(places, search.challengers)
    shares = rng.uniforms((*path, "location"), pairs)
    chosen = incumbent[order[firsts[own] + (shares * (ends - firsts)[own]).astype(np.int64)]]
    unused = np.setdiff1d(np.arange(search.num_modules), incumbent)
    fresh: list[int] = []
    if len(unused) and search.new:
        found_new: set[int] = set()
        for at in np.flatnonzero(rng.uniforms((*path, "new"), pairs) < search.new).tolist():
            free = unused[pools[unused % length] == pools[own[at]]]
            if len(free):
                chosen[at] = free[int(rng.uniform((*path, "unused", *pairs[at])) * len(free))]
                found_new.add(int(chosen[at]))
        fresh = sorted(found_new)
    found = resting(incumbent, search.challengers)
    found.candidates[1:, places] = chosen.reshape(search.challengers, len(places))
    found.drawn[places] = True
    if search.is_random:
        picked = [(place,) for place in places.tolist()]
        found.picks[places] = (rng.uniforms((*path, "pick"), picked) * (1 + search.challengers)).astype(np.int32)
    return dataclasses.replace(found, fresh=tuple(fresh))


def num_drawn(length: int, share: float) -> int:
    """How many of so many locations a generation draws: ceil(share x length), one at least."""
    return min(max(math.ceil(share * length - 1e-9), 1), length)


def drawn_locations(length: int, share: float, path: rng.Path) -> Int[np.ndarray, " drawn"]:
    """As many locations as `num_drawn` says, in increasing order."""
    count = num_drawn(length, share)
    if count == length:
        return np.arange(length)
    keys = rng.uniforms((*path, "place"), [(place,) for place in range(length)])
    return np.sort(np.argsort(keys, kind="stable")[:count])


def masses(
    candidates: Int32[np.ndarray, "candidates locations"], scores: Float[np.ndarray, "candidates locations"]
) -> Float[np.ndarray, "candidates locations"]:
    """For every candidate the weight (softmax of the scores) of its module: that of all candidates with this module."""
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=0))
    shares = shifted / shifted.sum(axis=0)
    is_same = candidates[:, None] == candidates[None]
    return (is_same * shares[None]).sum(axis=1)


def tell(
    candidates: Int32[np.ndarray, "candidates locations"],
    scores: Float[np.ndarray, "candidates locations"],
    picks: Int32[np.ndarray, " locations"],
) -> tuple[Mapping, Float[np.ndarray, " locations"]]:
    """The modules that won, and the weight of each; of equal ones the earlier candidate, so the incumbent before all.

    Args:
      candidates: modules of each location.
      scores: of the candidates, before the softmax.
      picks: of `Generation`.
    """
    found = masses(candidates, scores)
    # Sums of equal weights in another order are equal, also where training adds them up in float32.
    rows = np.where(picks >= 0, picks, (found > found.max(axis=0) - 1e-6).argmax(axis=0))
    places = np.arange(candidates.shape[1])
    return candidates[rows, places].astype(np.int32), found[rows, places]


def first_scores(challengers: int, mass: float) -> Float[np.ndarray, " candidates"]:
    """Scores with which all challengers of a location together have this much of its weight.

    Args:
      challengers: lambda.
      mass: alpha; 0: lambda / (lambda + 1), every candidate the same.
    """
    if not challengers:
        return np.zeros(1, np.float32)
    alpha = mass or challengers / (challengers + 1)
    score = math.log(alpha) - math.log(challengers) - math.log(1 - alpha) if mass else 0.0
    return np.array([0.0, *[score] * challengers], np.float32)


def users(mapping: Mapping, task_of: Int[np.ndarray, " locations"]) -> dict[int, tuple[int, ...]]:
    """For every module in use the tasks that use it, in order."""
    found: dict[int, set[int]] = {}
    for module, task in zip(mapping.tolist(), np.asarray(task_of).tolist(), strict=True):
        found.setdefault(module, set()).add(task)
    return {module: tuple(sorted(tasks)) for module, tasks in sorted(found.items())}


def score(mapping: Mapping, groups: Sequence[int]) -> int:
    """Figure 2's score: for each location +1 if it shares its module inside its group only, -1 if with another, else 0.

    Args:
      mapping: one location a task.
      groups: the true group of each.
    """
    total = 0
    for place, module in enumerate(mapping):
        others = [groups[other] for other in np.flatnonzero(mapping == module).tolist() if other != place]
        if others:
            total += 1 if all(group == groups[place] for group in others) else -1
    return total

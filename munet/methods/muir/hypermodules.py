"""How blocks are made: a module, weighed by the private context of a location."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

_DENSE_CHOICE = 1 << 16  # modules x locations up to which choosing them is a matrix product


def generate(
    modules: Float[Array | np.ndarray, "modules context m n"],
    contexts: Float[Array | np.ndarray, "locations context"],
    candidates: Int[Array | np.ndarray, "candidates locations"],
    scores: Float[Array | np.ndarray, "candidates locations"] | None = None,
    places: Int[Array | np.ndarray, " drawn"] | None = None,
) -> Float[Array, "locations m n"]:
    """All blocks of all models: Eq. 5 of the first candidates, or Eq. 8 of all where scores are given.

    The soft merge mixes weights, so models themselves run once however many candidates there are.

    Args:
      modules: trained, shared.
      contexts: trained, one a location, the same for all of its candidates.
      candidates: modules of each location.
      scores: of the candidates, before the softmax.
      places: the only locations whose candidates may differ, in increasing order; None: any may.
    """
    shares = None if scores is None else jax.nn.softmax(scores, axis=0)
    chosen = jnp.asarray(candidates[:1] if shares is None else candidates)
    weights = jnp.ones(chosen.shape, modules.dtype) if shares is None else shares
    (count, context, m, n), locations = modules.shape, contexts.shape[0]
    if count * locations <= _DENSE_CHOICE:  # a gather's gradient scatters, which is slow where there is little to move
        is_chosen = chosen[:, :, None] == jnp.arange(count)
        share_of = jnp.where(is_chosen, weights[:, :, None], 0).sum(axis=0)
        mixing = share_of[:, :, None] * contexts[:, None, :]
        made = mixing.reshape(locations, count * context) @ modules.reshape(count * context, m * n)
        return made.reshape(locations, m, n)
    if shares is None:
        return _mixed(modules.reshape(-1, m * n), jnp.asarray(contexts), chosen[0]).reshape(locations, m, n)
    if places is None:
        places = jnp.arange(locations)
    # The incumbents of all locations and the challengers of those that have some, as rows of one gather.
    kept = jnp.ones(locations, modules.dtype).at[places].set(shares[0, places])
    tried = shares[1:, places, None] * contexts[places]
    rows = jnp.concatenate([chosen[0], chosen[1:, places].reshape(-1)])
    weighed = jnp.concatenate([kept[:, None] * contexts, tried.reshape(-1, context)])
    made = _mixed(modules.reshape(-1, m * n), weighed, rows)
    challengers = made[locations:].reshape(len(shares) - 1, -1, m * n).sum(axis=0)
    made = made[:locations].at[places].add(challengers, unique_indices=True, indices_are_sorted=True)
    return made.reshape(locations, m, n)


@jax.custom_vjp
def _mixed(
    slices: Float[Array, "modules_times_context x"], weights: Float[Array, "rows context"], chosen: Int[Array, " rows"]
) -> Float[Array, "rows x"]:
    """For each row the weighed sum of the slices of its module; one slice of all rows at a time.

    Left to itself autodiff keeps the gathered modules, many times the weights that come of them, and scatters them all
    at once; this backward rule gathers again, which takes half of the time and a third of the memory or less.
    """
    count = weights.shape[1]

    def add(at: Any, total: Array) -> Array:
        return total + weights[:, at, None] * slices[chosen * count + at]

    empty = jnp.zeros((len(chosen), slices.shape[1]), slices.dtype)
    made: Array = jax.lax.fori_loop(0, count, add, empty)
    return made


def _mixed_forward(slices: Array, weights: Array, chosen: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return _mixed(slices, weights, chosen), (slices, weights, chosen)


def _mixed_backward(kept: tuple[Array, Array, Array], gradient: Array) -> tuple[Array, Array, None]:
    slices, weights, chosen = kept
    count = weights.shape[1]

    def add(at: Any, found: tuple[Array, Array]) -> tuple[Array, Array]:
        of_slices, of_weights = found
        rows = chosen * count + at
        of_slices = of_slices.at[rows].add(weights[:, at, None] * gradient)
        return of_slices, of_weights.at[:, at].set((slices[rows] * gradient).sum(axis=1))

    empty = jnp.zeros_like(slices), jnp.zeros_like(weights)
    of_slices, of_weights = jax.lax.fori_loop(0, count, add, empty)
    return of_slices, of_weights, None


_mixed.defvjp(_mixed_forward, _mixed_backward)


def refined(
    candidates: Int[Array | np.ndarray, "candidates locations"],
    scores: Float[Array | np.ndarray, "candidates locations"],
    picks: Int[Array | np.ndarray, " locations"],
) -> Int[Array, " locations"]:
    """What `alignment.tell` gives, traced: the modules that would win now."""
    shares = jax.nn.softmax(scores, axis=0)
    found = (jnp.where(candidates[:, None] == candidates[None], shares[None], 0)).sum(axis=1)
    rows = jnp.where(picks >= 0, picks, (found > found.max(axis=0) - 1e-6).argmax(axis=0))
    return jnp.take_along_axis(candidates, rows[None], axis=0)[0]

"""Modules that are initialised anew in the middle of a training: Adam moves them as it moves any that begin.

Adam divides its moments by what they have taken in since they were zeros, which it counts for all parameters together.
A module whose moments are reset late would move by (1 - b1^a) / sqrt(1 - b2^a) times too much after `a` updates of its
own: about three times at once, six times after ten.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int32

from munet.config.muir import MuirExperiment

_DECAYS = 0.9, 0.999  # Adam's, as optax has them


def first_born(experiment: MuirExperiment, num_modules: int) -> Any:
    """For every module the updates before its moments were zeros, at the start; () where they are never reset later."""
    is_searched = experiment.sharing in ("search", "random") and experiment.challengers and experiment.share
    return np.zeros(num_modules, np.int32) if is_searched and experiment.reset_new_moments else ()


def moved(
    moves: Float[Array, "modules c m n"], born: Int32[Array, " modules"], count: Int32[Array, ""]
) -> Float[Array, "modules c m n"]:
    """Adam's moves of modules as if it had begun with each of them; those from the start are not changed by a bit.

    Args:
      moves: as Adam has them, that counts all updates.
      born: updates before each module's moments were zeros.
      count: updates, this one included.
    """
    age = jnp.maximum(count - born, 1)
    (first, second), (own_first, own_second) = _taken_in(count), _taken_in(age)
    factors = jnp.where(born > 0, jnp.sqrt(own_second / second) * first / own_first, 1)
    return moves * factors[:, None, None, None]


def _taken_in(count: Array) -> tuple[Array, Array]:
    """The share of gradients in both moments after so many updates."""
    first, second = _DECAYS
    return 1 - first**count, 1 - second**count

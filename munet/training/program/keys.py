"""Keys of JAX's random draws, from words: of the one generator that munet draws with, whatever JAX is set to."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, UInt32

GENERATOR = "threefry2x32"


def wrapped(words: UInt32[Array | np.ndarray, "*keys 2"]) -> Array:
    """A key for each pair of words (`munet.rng.key_data`). May be traced."""
    return jax.random.wrap_key_data(jnp.asarray(words), impl=GENERATOR)

"""Initial values of parameters that are not generated: PyTorch's defaults, or He's normal distribution."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn
from jaxtyping import Array

# Uniform, up to 1 over the root of the number of inputs on both sides of 0.
pytorch = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
he = nn.initializers.variance_scaling(2.0, "fan_in", "normal")


def between(limit: float) -> nn.initializers.Initializer:
    """Uniform between a number and its negative."""

    def init(key: Array, shape: Sequence[int], dtype: object = jnp.float32) -> Array:
        return jax.random.uniform(key, shape, dtype, -limit, limit)  # type: ignore[arg-type]  # a dtype

    return init

"""Gumbel-Matrix routing: which task uses which component of a layer, learnt by gradient.

After "Flexible Multi-task Networks by Learning Parameter Allocation", section III. No networks here: whoever routes
brings the outputs of a layer's components, all of one shape. A connection is a pair of logits, first "use", second "do
not use"; all connections are independent of each other.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Combination = Literal["mean", "sum"]
PATTERNS = ("all", "own")  # fixed: every task uses all components; task i only component i

_FIRST_TEMPERATURE, _LAST_TEMPERATURE = 50.0, 0.5
_TINY = 1e-20  # in the logarithms of Gumbel noise
_CLIP = 1e-6  # probabilities of 0 and 1 have no finite logits


def initial_logits(
    p_init: float | Float[np.ndarray, "tasks components"], shape: tuple[int, int]
) -> Float[np.ndarray, "tasks components 2"]:
    """The logits with which connections begin, float32.

    Args:
      p_init: probability of each connection, or of all of them; clipped, so that the logits are finite.
      shape: tasks and components.

    Raises:
      ValueError: a matrix of another shape.
    """
    if np.ndim(p_init) and np.shape(p_init) != shape:
        raise ValueError(f"p_init has shape {np.shape(p_init)}, expected {shape}")
    p = np.broadcast_to(np.clip(np.asarray(p_init, np.float64), _CLIP, 1 - _CLIP), shape)
    return np.stack([np.log(p), np.log1p(-p)], axis=-1).astype(np.float32)


def probabilities(logits: Float[Array, "*connections 2"]) -> Float[Array, "*connections"]:
    """How probable each connection is: the softmax of its two logits."""
    return jax.nn.sigmoid(logits[..., 0] - logits[..., 1])


def temperature(step: Int[Array, ""] | int) -> Float[Array, ""]:
    """Of the soft samples: 50 at first, then with the inverse square root of the task updates before, 0.5 at last."""
    return jnp.maximum(_LAST_TEMPERATURE, _FIRST_TEMPERATURE / jnp.sqrt(jnp.asarray(step, jnp.float32) + 1))


def gumbel(key: Array, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Gumbel(0, 1) noise, as the published implementation draws it."""
    return -jnp.log(-jnp.log(jax.random.uniform(key, shape) + _TINY) + _TINY)


@jax.custom_vjp
def sample(
    logits: Float[Array, "*connections 2"], noise: Float[Array, "*connections 2"], tau: Float[Array, ""]
) -> Float[Array, "*connections"]:
    """Whether each connection is active: exactly 0 or 1, with the gradient of the soft sample (straight-through).

    A gradient rule of its own, because `hard - soft + soft` may miss 0 and 1 by a rounding error, and what should be
    inactive would be trained a little.

    Args:
      logits: of the connections.
      noise: of `gumbel`.
      tau: temperature of the soft sample.
    """
    del tau
    noisy = logits + noise
    return (noisy[..., 0] >= noisy[..., 1]).astype(logits.dtype)


def soft_sample(
    logits: Float[Array, "*connections 2"], noise: Float[Array, "*connections 2"], tau: Float[Array, ""]
) -> Float[Array, "*connections"]:
    """The softmax of the noisy logits over the temperature: what `sample` has the gradient of."""
    noisy = (logits + noise) / tau
    return jax.nn.sigmoid(noisy[..., 0] - noisy[..., 1])


def _sample_forward(logits: Array, noise: Array, tau: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    return sample(logits, noise, tau), (logits, noise, tau)


def _sample_backward(kept: tuple[Array, Array, Array], gradient: Array) -> tuple[Array, Array, Array]:
    logits, noise, tau = kept
    soft = soft_sample(logits, noise, tau)
    slope = gradient * soft * (1 - soft) / tau
    return jnp.stack([slope, -slope], axis=-1), jnp.zeros_like(noise), jnp.zeros_like(tau)


sample.defvjp(_sample_forward, _sample_backward)


def greedy(logits: Float[Array, "*connections 2"]) -> Bool[Array, "*connections"]:
    """The most probable allocation, for inference: a probability of exactly one half counts as used."""
    return logits[..., 0] >= logits[..., 1]


def combine(
    row: Float[Array, " components"], outputs: Float[Array, "components ..."], by: Combination = "mean"
) -> Float[Array, "..."]:
    """What a layer gives a task: the mean of its active components, or their sum; zeros where none is active.

    The branches are explicit: with no active component the divisor is constant, with one or more it is their number,
    through which gradients flow. (`maximum(1, number)` would halve the gradient where exactly one is active.)

    Args:
      row: the task's, 0 or 1 a component.
      outputs: of the components, inactive ones too: the gradient of a connection needs them.
      by: mean or sum.
    """
    return jnp.tensordot(weights(row, by), outputs, axes=1)


def weights(row: Float[Array, " components"], by: Combination = "mean") -> Float[Array, " components"]:
    """By what the outputs of the components are multiplied, see `combine`."""
    if by == "sum":
        return row
    active = row.sum()
    return row / jnp.where(active >= 1, active, 1.0)


def pattern(name: str, num_tasks: int, num_components: int) -> Float[np.ndarray, "tasks components"]:
    """A fixed allocation: "all" (shared bottom) or "own" (no sharing).

    Raises:
      ValueError: no sharing with another number of components than tasks, or no such pattern.
    """
    if name == "all":
        return np.ones((num_tasks, num_components), np.float32)
    if name != "own":
        raise ValueError(f"no pattern {name!r}")
    if num_tasks != num_components:
        raise ValueError(f"{num_tasks} tasks and {num_components} components")
    return np.eye(num_tasks, dtype=np.float32)

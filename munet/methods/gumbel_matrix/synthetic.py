"""Tasks made of sines, whose relation is known: the synthetic data of the paper.

    y = w.x + sum over i = 1..waves of sin(i w.x + (i - 1)^2) + noise,    x ~ N(0, I)

Samples are never the same twice: they are drawn on the devices from a round's random words, so there are no files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from munet import rng
from munet.types import TaskName

NOISE = 0.01  # standard deviation


@dataclass(frozen=True)
class Sines:
    """Some tasks.

    Attributes:
      names: of the tasks.
      directions: the vector w of each.
      waves: sines of each.
    """

    names: tuple[TaskName, ...]
    directions: Float[np.ndarray, "tasks inputs"]
    waves: int = 6

    @property
    def num_inputs(self) -> int:
        """Numbers that a sample has."""
        return self.directions.shape[1]

    def draw(self, task: int, key: Array, count: int) -> tuple[Float[Array, "count inputs"], Float[Array, " count"]]:
        """New samples of a task and their values. Traced."""
        of_inputs, of_noise = jax.random.split(key)
        inputs = jax.random.normal(of_inputs, (count, self.num_inputs))
        values = self.values(task, inputs) + NOISE * jax.random.normal(of_noise, (count,))
        return inputs, values

    def values(self, task: int, inputs: Float[Array, "n inputs"]) -> Float[Array, " n"]:
        """What is to be predicted, without noise."""
        along = inputs @ jnp.asarray(self.directions[task])
        waves = np.arange(1, self.waves + 1)
        return along + jnp.sin(along[:, None] * waves + (waves - 1.0) ** 2).sum(axis=1)


def pair(seed: int, rho: float, *, num_inputs: int = 128, scale: float = 1.0, waves: int = 6) -> Sines:
    """Two tasks whose directions have the cosine `rho`."""
    first, second = basis(seed, num_inputs)[:2]
    other = rho * first + np.sqrt(1 - rho**2) * second
    directions = scale * np.stack([first, other])
    return Sines(("first", "second"), directions.astype(np.float32), waves)


def two_pairs(seed: int, *, num_inputs: int = 128, scale: float = 1.0, waves: int = 6) -> Sines:
    """Two pairs of tasks: one and the same inside a pair, but for noise, and unrelated between pairs."""
    first, second = basis(seed, num_inputs)[:2]
    directions = scale * np.stack([first, first, second, second])
    return Sines(("a", "a_again", "b", "b_again"), directions.astype(np.float32), waves)


def basis(seed: int, size: int) -> Float[np.ndarray, "size size"]:
    """Orthonormal rows: those of a random matrix, made orthogonal."""
    key = int.from_bytes(rng.digest(("sines", seed, "basis"))[16:32], "big")
    drawn = np.random.Generator(np.random.Philox(key=key)).normal(size=(size, size))
    rows, scales = np.linalg.qr(drawn)
    return (rows * np.sign(np.diagonal(scales))).T


MADE: dict[str, Sequence[TaskName]] = {"pair": ("first", "second"), "two_pairs": ("a", "a_again", "b", "b_again")}


def made(name: str, seed: int, rho: float) -> Sines:
    """The tasks that a config names."""
    return pair(seed, rho) if name == "pair" else two_pairs(seed)

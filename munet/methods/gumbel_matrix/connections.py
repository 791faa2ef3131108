"""Which component of each routed layer a task uses: learnt, by logits, or fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from munet.methods.gumbel_matrix import routing
from munet.training.program import keys


class Connections:
    """All connections of some tasks, by routed layer. Its logits are given with every call: they are trained.

    Args:
      num_tasks: that have them.
      widths: components of each routed layer.
      p_init: how probable connections are at first: one number for all, or one for each, task by task.
      fixed: patterns, one a routed layer; None: connections are learnt.
    """

    def __init__(
        self,
        num_tasks: int,
        widths: Sequence[int],
        p_init: Sequence[float],
        fixed: tuple[Float[np.ndarray, "tasks components"], ...] | None,
    ):
        self._num_tasks, self._widths, self._p_init, self._fixed = num_tasks, tuple(widths), tuple(p_init), fixed

    @property
    def is_learnt(self) -> bool:
        """Whether there are logits."""
        return self._fixed is None

    @property
    def widths(self) -> tuple[int, ...]:
        """Components of each layer that has logits."""
        return self._widths if self.is_learnt else ()

    def initial(self) -> tuple[Float[np.ndarray, "tasks components 2"], ...]:
        """Logits of connections that are as probable as `p_init` says; none where they are fixed."""
        if not self.is_learnt:
            return ()
        return tuple(
            routing.initial_logits(matrix, (self._num_tasks, width))
            for matrix, width in zip(self._first_probabilities(), self._widths, strict=True)
        )

    def greedy(self, logits: Sequence[Array], task: int | Array) -> list[Array]:
        """A task's rows in the most probable allocation. Traced."""
        if self._fixed is not None:
            return [jnp.asarray(matrix)[task] for matrix in self._fixed]
        return [routing.greedy(matrix[task]) for matrix in logits]

    def sampled(self, logits: Sequence[Array], task: Array, words: Array, updates: Array) -> list[Array]:
        """A task's rows of one update. Traced.

        Args:
          logits: of all connections.
          task: its place.
          words: random ones.
          updates: of tasks before this one; they say the temperature.
        """
        if self._fixed is not None:
            return [jnp.asarray(matrix)[task] for matrix in self._fixed]
        layers = jax.random.split(keys.wrapped(words), len(logits))
        tau = routing.temperature(updates)
        return [
            routing.sample(matrix[task], routing.gumbel(key, matrix.shape[1:]), tau)
            for matrix, key in zip(logits, layers, strict=True)
        ]

    def rows(self, logits: Sequence[Any]) -> tuple[Bool[np.ndarray, "tasks components"], ...]:
        """The most probable allocation of all tasks. On the host."""
        if self._fixed is not None:
            return tuple(matrix > 0 for matrix in self._fixed)
        return tuple(np.asarray(matrix[..., 0] >= matrix[..., 1]) for matrix in logits)

    def probabilities(self, logits: Sequence[Any]) -> tuple[Float[np.ndarray, "tasks components"], ...]:
        """How probable each connection is. On the host."""
        if self._fixed is not None:
            return self._fixed
        return tuple(np.asarray(routing.probabilities(jnp.asarray(np.asarray(matrix)))) for matrix in logits)

    def _first_probabilities(self) -> list[float | Float[np.ndarray, "tasks components"]]:
        if len(self._p_init) == 1:
            return [self._p_init[0]] * len(self._widths)
        matrix = np.reshape(self._p_init, (self._num_tasks, sum(self._widths)))
        return list(np.split(matrix, np.cumsum(self._widths)[:-1], axis=1))

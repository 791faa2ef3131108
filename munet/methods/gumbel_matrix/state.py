"""What a round of routing changes, and what of it belongs to one task."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from munet.methods.gumbel_matrix.network import HEAD


class Routed(NamedTuple):
    """What a round changes.

    Attributes:
      params: weights by component; heads stacked by task.
      logits: of the routed layers; () where patterns are fixed.
      moments: of Adam, for weights and for logits.
      updates: of tasks, before this round.
    """

    params: dict[str, dict[str, Any]]
    logits: tuple[Any, ...]
    moments: tuple[Any, Any]
    updates: Any


def only_of(task: Array, new: Routed, old: Routed) -> Routed:
    """`new`, but what is another task's alone, its moments included, as it was: its logits and its head."""

    def row(now: Array, before: Array) -> Array:
        is_own = jnp.arange(len(now)).reshape(-1, *[1] * (now.ndim - 1)) == task
        return jnp.where(is_own, now, before)

    def heads(now: Any, before: Any) -> Any:
        return {**now, HEAD: jax.tree.map(row, now[HEAD], before[HEAD])} if HEAD in now else now

    weights, connections = new.moments
    old_weights, old_connections = old.moments
    weights = weights._replace(mu=heads(weights.mu, old_weights.mu), nu=heads(weights.nu, old_weights.nu))
    connections = connections._replace(
        mu=jax.tree.map(row, connections.mu, old_connections.mu),
        nu=jax.tree.map(row, connections.nu, old_connections.nu),
    )
    return Routed(
        heads(new.params, old.params),
        jax.tree.map(row, new.logits, old.logits),
        (weights, connections),
        new.updates,
    )

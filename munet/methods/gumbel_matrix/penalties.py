"""What is added to the loss of a task: L2 of weights, and penalties of how probable connections are.

Each penalty takes the logits of a task, or of all tasks, layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from munet.config.routing import RoutingExperiment
from munet.methods.gumbel_matrix import routing


def total(
    experiment: RoutingExperiment, params: Any, logits: Sequence[Array] | None, task: Array, progress: float | Array
) -> Float[Array, ""]:
    """Everything that is added to the loss of a task. Traced.

    Args:
      experiment: its weights.
      params: weights of all components and heads.
      logits: of the routed layers, for all tasks; None: patterns are fixed.
      task: its place.
      progress: the share of all updates that are done, for the entropy penalty.
    """
    added = jnp.float32(0)
    if experiment.l2:
        decayed = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params) if not _is_bias(path[-1].key)]
        added += experiment.l2 * 0.5 * jnp.stack([(leaf**2).sum() for leaf in decayed]).sum()
    if logits is None:
        return added
    own = [matrix[task] for matrix in logits]
    if experiment.budget < 1:
        held = logits if experiment.budget_of == "all" else own
        added += experiment.budget_weight * of_budget(held, experiment.budget)
    if experiment.disconnect_weight:
        added += experiment.disconnect_weight * of_disconnection(own)
    if experiment.connection_weight:
        added += experiment.connection_weight * of_connections(own)
    if experiment.entropy_weight:
        added += experiment.entropy_weight * progress**experiment.entropy_power * of_entropy(own)
    return added


def expected_share(layers: Sequence[Float[Array, "*tasks components 2"]]) -> Float[Array, ""]:
    """The expected share of active connections, all layers together."""
    return jnp.concatenate([routing.probabilities(logits).ravel() for logits in layers]).mean()


def of_budget(layers: Sequence[Float[Array, "*tasks components 2"]], budget: float) -> Float[Array, ""]:
    """How far the expected share is above the budget; exactly 0, and without gradient, up to it and its rounding."""
    excess = expected_share(layers) - budget
    return jnp.where(excess > 1e-6, excess, 0.0)


def of_disconnection(layers: Sequence[Float[Array, "*tasks components 2"]]) -> Float[Array, ""]:
    """The probability that a layer has no active component, added up over layers (and tasks)."""
    return jnp.stack([(1 - routing.probabilities(logits)).prod(axis=-1).sum() for logits in layers]).sum()


def of_connections(layers: Sequence[Float[Array, "*tasks components 2"]]) -> Float[Array, ""]:
    """The expected number of active connections."""
    return jnp.stack([routing.probabilities(logits).sum() for logits in layers]).sum()


def of_entropy(layers: Sequence[Float[Array, "*tasks components 2"]]) -> Float[Array, ""]:
    """The entropies of all connections (nats), added up."""
    found = []
    for logits in layers:
        difference = logits[..., 0] - logits[..., 1]
        p = jax.nn.sigmoid(difference)
        found.append((jax.nn.softplus(difference) - p * difference).sum())
    return jnp.stack(found).sum()


def _is_bias(name: str) -> bool:
    return name.rpartition("/")[2] == "bias"

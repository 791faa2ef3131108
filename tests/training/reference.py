"""A plain one-child training loop without the engine's masks, gates, padding or programs: what it must equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from munet.types import Hyperparameters
from munet.vit import architecture, forward

Batch = tuple[np.ndarray, np.ndarray]


def train(
    variant: architecture.Variant,
    params: Mapping[str, Any],
    trainable: set[str],
    hyperparameters: Hyperparameters,
    batches: Sequence[Batch],
    *,
    steps_per_cycle: int,
    clip_norm: float,
) -> dict[str, Any]:
    """Trains the components named in `trainable`; returns all components after the last batch."""
    num_blocks = sum(architecture.is_block(name) for name in params)
    frozen = {name: leaf for name, leaf in params.items() if name not in trainable}
    tuned = {name: leaf for name, leaf in params.items() if name in trainable}
    rate = schedule(hyperparameters, num_steps=len(batches), steps_per_cycle=steps_per_cycle)
    optimiser = optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.trace(
            jnp.float32(hyperparameters["momentum"]),  # an array, or optax multiplies in bfloat16
            nesterov=bool(hyperparameters["nesterov"]),
            accumulator_dtype=jnp.bfloat16,
        ),
        optax.scale_by_learning_rate(rate),
    )
    state = optimiser.init(tuned)

    def loss(tuned: Any, images: Any, labels: Any) -> Any:
        logits = forward.logits(variant, {**frozen, **tuned}, images, num_blocks=num_blocks)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    gradient = jax.jit(jax.grad(loss))
    for images, labels in batches:
        updates, state = optimiser.update(gradient(tuned, jnp.asarray(images), jnp.asarray(labels)), state, tuned)
        tuned = optax.apply_updates(tuned, updates)
    return {**frozen, **tuned}


def schedule(hyperparameters: Hyperparameters, *, num_steps: int, steps_per_cycle: int) -> optax.Schedule:
    """Schedules from optax's own parts."""
    peak, kind = float(hyperparameters["learning_rate"]), hyperparameters["schedule"]
    if kind == "constant":
        return optax.constant_schedule(peak / 2)
    horizon = num_steps if kind == "cosine" else steps_per_cycle
    warmup = int(float(hyperparameters["warmup_ratio"]) * horizon)
    shape = optax.warmup_cosine_decay_schedule(peak / 100, peak, warmup, horizon)
    return lambda step: shape(step % horizon)

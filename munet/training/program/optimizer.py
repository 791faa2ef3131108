"""SGD with momentum whose hyper-parameters are arrays, so that changing one compiles nothing.

Gradients are clipped to a global norm, the momentum buffer is kept in bfloat16 while the product is float32, and the
three schedules of the search space are one formula selected by a value.
"""

from __future__ import annotations

from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int

from munet.config import Experiment
from munet.config.evolve import MomentumProduct, Schedule
from munet.types import Hyperparameters

Params = Any  # a pytree of float32 arrays
SCHEDULES: tuple[Schedule, ...] = get_args(Schedule)


class UpdateRule(NamedTuple):
    """What all children of a run share of their optimiser; static, one program each."""

    clip_norm: float = 1.0  # of the gradients, over all that trains
    # of momentum and its buffer: "float32", or "bfloat16" as optax has it for a buffer of that type, where a momentum
    # of 0.99 acts as 0.988
    momentum_product: MomentumProduct = "float32"

    @classmethod
    def of(cls, experiment: Experiment) -> UpdateRule:
        """That of a run with these settings."""
        return cls(experiment.clip_norm, experiment.fidelity.momentum_product)


class OptimizerSettings(NamedTuple):
    """One child's optimiser, as scalars."""

    learning_rate: Float[Array, ""]
    momentum: Float[Array, ""]
    nesterov: Float[Array, ""]  # 0 or 1
    schedule: Int[Array, ""]  # index into SCHEDULES
    warmup_steps: Int[Array, ""]
    horizon: Int[Array, ""]  # steps after which the cosine reaches 0: all of them, or one cycle with restarts

    @classmethod
    def from_hyperparameters(
        cls, hyperparameters: Hyperparameters, *, steps_per_cycle: int, num_cycles: int
    ) -> OptimizerSettings:
        """Reads a child's hyper-parameters; warm-up steps are computed here, on the host."""
        schedule = SCHEDULES.index(hyperparameters["schedule"])
        horizon = steps_per_cycle if SCHEDULES[schedule] == "restarts" else steps_per_cycle * num_cycles
        return cls(
            learning_rate=jnp.float32(hyperparameters["learning_rate"]),
            momentum=jnp.float32(hyperparameters["momentum"]),
            nesterov=jnp.float32(hyperparameters["nesterov"]),
            schedule=jnp.int32(schedule),
            warmup_steps=jnp.int32(int(float(hyperparameters["warmup_ratio"]) * horizon)),
            horizon=jnp.int32(horizon),
        )


def learning_rate(settings: OptimizerSettings, step: Int[Array, ""]) -> Float[Array, ""]:
    """The rate at a step (from 0).

    cosine: linear from rate/100 to rate over the warm-up, then half a cosine to 0 at the horizon. restarts: the same
    shape once a cycle. constant: half the rate, no warm-up.

    optax's `warmup_cosine_decay_schedule` takes its lengths and rates as Python numbers and would make a program for
    each child; with `inject_hyperparams` they may be arrays, but not which schedule it is, nor a warm-up of no steps.
    Here all is an array, so one program trains children of any settings; tests hold it to optax's values.
    """
    peak = settings.learning_rate
    time = (step % settings.horizon).astype(jnp.float32)
    warmup = settings.warmup_steps.astype(jnp.float32)
    rest = jnp.maximum(settings.horizon.astype(jnp.float32) - warmup, 1.0)
    rising = peak * (0.01 + 0.99 * time / jnp.maximum(warmup, 1.0))  # guarded: warm-up may have no steps
    falling = peak * 0.5 * (1.0 + jnp.cos(jnp.pi * (time - warmup) / rest))
    shaped = jnp.where(time < warmup, rising, falling)
    return jnp.where(settings.schedule == SCHEDULES.index("constant"), 0.5 * peak, shaped)


def init_momentum(params: Params) -> Params:
    """A fresh buffer of zeros in bfloat16, on the host."""
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, jnp.bfloat16), params)


def update(
    params: Params,
    momentum: Params,
    grads: Params,
    settings: OptimizerSettings,
    step: Int[Array, ""],
    rule: UpdateRule,
) -> tuple[Params, Params]:
    """One step: clip `grads` (already masked) to a norm, move the buffer, move the parameters."""
    clip = optax.clip_by_global_norm(rule.clip_norm)
    grads, _ = clip.update(grads, clip.init(params))

    def kept(buffer: Array) -> Array:
        """What is left of the buffer after a step."""
        if rule.momentum_product == "float32":
            return settings.momentum * buffer.astype(jnp.float32)
        return _rounded(_rounded(settings.momentum) * buffer.astype(jnp.float32))

    velocity = jax.tree.map(lambda buffer, grad: kept(buffer) + grad, momentum, grads)
    direction = jax.tree.map(
        lambda speed, grad: jnp.where(settings.nesterov > 0, settings.momentum * speed + grad, speed),
        velocity,
        grads,
    )
    rate = learning_rate(settings, step)
    params = jax.tree.map(lambda leaf, move: leaf - rate * move, params, direction)
    return params, jax.tree.map(lambda speed: speed.astype(jnp.bfloat16), velocity)


def _rounded(values: Array) -> Array:
    """As bfloat16 has them, still float32; XLA may leave out a conversion there and back, never this."""
    return jax.lax.reduce_precision(values, exponent_bits=8, mantissa_bits=7)

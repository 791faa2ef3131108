"""Optimisers of joint trainings: SGD is evolution's, and a frozen group does not move."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from munet.joint import optimizers
from munet.training.program import optimizer as evolution
from munet.training.program.optimizer import OptimizerSettings

SETTINGS = OptimizerSettings.from_hyperparameters(
    {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True, "schedule": "cosine", "warmup_ratio": 0.2},
    steps_per_cycle=10,
    num_cycles=1,
)


def params() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    return {
        name: {"kernel": jnp.asarray(generator.normal(size=(3, 4)), jnp.float32), "bias": jnp.ones(4)} for name in "ab"
    }


def test_sgd_is_evolutions() -> None:
    ours = theirs = params()
    momentum: Any = evolution.init_momentum(theirs)
    transformation = optimizers.build("sgd", SETTINGS, 1.0)
    state = transformation.init(ours)
    rule = evolution.UpdateRule(1.0)
    for step in range(5):
        gradients = jax.tree.map(lambda leaf: jnp.sin(leaf + 1), theirs)
        moves, state = transformation.update(gradients, state, ours)
        ours = optax.apply_updates(ours, moves)
        theirs, momentum = evolution.update(theirs, momentum, gradients, SETTINGS, jnp.int32(step), rule)
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=0, atol=1e-6), ours, theirs)


@pytest.mark.parametrize("name", ["sgd", "adamw", "adam", "rmsprop"])
def test_a_frozen_group_does_not_move_by_a_bit(name: str) -> None:
    before = after = params()
    transformation = optimizers.by_group(
        {"trained": optimizers.build(name, SETTINGS, 1.0, 0.1)}, lambda key: "frozen" if key == "a" else "trained"
    )
    state = transformation.init(after)
    for _ in range(3):
        moves, state = transformation.update(jax.tree.map(jnp.ones_like, after), state, after)
        after = optax.apply_updates(after, moves)
    for leaf, value in before["a"].items():
        assert np.asarray(value).tobytes() == np.asarray(after["a"][leaf]).tobytes()
    assert not np.array_equal(before["b"]["kernel"], after["b"]["kernel"])


def test_adamw_decays_matrices_only() -> None:
    after = params()
    transformation = optimizers.build("adamw", SETTINGS, 1.0, 0.5)
    moves, _ = transformation.update(jax.tree.map(jnp.zeros_like, after), transformation.init(after), after)
    assert moves["a"]["kernel"].any()
    assert not moves["a"]["bias"].any()

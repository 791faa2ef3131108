"""Schedules, momentum and clipping by value."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from munet.training.program import optimizer
from munet.training.program.optimizer import OptimizerSettings, UpdateRule
from tests.training.children import hyperparameters
from tests.training.reference import schedule

RULE, UNCLIPPED = UpdateRule(), UpdateRule(1e9)


def settings(steps_per_cycle: int = 10, num_cycles: int = 4, **changes: object) -> OptimizerSettings:
    drawn = hyperparameters(**changes)  # type: ignore[arg-type]  # values by name
    return OptimizerSettings.from_hyperparameters(drawn, steps_per_cycle=steps_per_cycle, num_cycles=num_cycles)


def rate(values: OptimizerSettings, step: int) -> float:
    return float(optimizer.learning_rate(values, jnp.int32(step)))


def test_cosine_at_its_corners() -> None:
    values = settings(schedule="cosine", learning_rate=0.1, warmup_ratio=0.2)  # 40 steps, 8 of warm-up
    assert rate(values, 0) == pytest.approx(0.001)
    assert rate(values, 8) == pytest.approx(0.1)
    assert rate(values, 24) == pytest.approx(0.05)
    assert rate(values, 39) == pytest.approx(0.1 * 0.5 * (1 + np.cos(np.pi * 31 / 32)), rel=1e-4)


def test_restarts_repeat_every_cycle() -> None:
    values = settings(schedule="restarts", learning_rate=0.1, warmup_ratio=0.2)
    one_cycle = settings(schedule="cosine", num_cycles=1, learning_rate=0.1, warmup_ratio=0.2)
    for step in range(40):
        assert rate(values, step) == pytest.approx(rate(one_cycle, step % 10))


def test_constant_is_half_the_rate_without_warm_up() -> None:
    values = settings(schedule="constant", learning_rate=0.1, warmup_ratio=0.4)
    assert [rate(values, step) for step in range(40)] == pytest.approx([0.05] * 40)


def test_no_warm_up_steps_are_guarded() -> None:
    values = settings(schedule="cosine", learning_rate=0.1, warmup_ratio=0.01, num_cycles=1)
    assert int(values.warmup_steps) == 0
    assert rate(values, 0) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", optimizer.SCHEDULES)
@pytest.mark.parametrize("warmup", [0.01, 0.3])
def test_schedules_equal_optax(kind: str, warmup: float) -> None:
    values = settings(schedule=kind, learning_rate=0.05, warmup_ratio=warmup)
    reference = schedule(
        hyperparameters(schedule=kind, learning_rate=0.05, warmup_ratio=warmup), num_steps=40, steps_per_cycle=10
    )
    for step in range(40):
        assert rate(values, step) == pytest.approx(float(reference(step)), rel=1e-5, abs=1e-9)


def test_the_buffer_is_bfloat16_and_the_product_float32() -> None:
    values = settings(schedule="constant", learning_rate=2.0, momentum=0.9)
    params, grads = {"w": jnp.zeros(1)}, {"w": jnp.full(1, 1 / 3)}
    momentum = optimizer.init_momentum(params)
    params, momentum = optimizer.update(params, momentum, grads, values, jnp.int32(0), RULE)
    assert momentum["w"].dtype == jnp.bfloat16
    assert float(params["w"][0]) == pytest.approx(-1 / 3, rel=1e-6)  # not rounded to bfloat16
    second, _ = optimizer.update(params, momentum, grads, values, jnp.int32(1), RULE)
    rounded = float(jnp.bfloat16(1 / 3))
    assert float(second["w"][0]) == pytest.approx(-1 / 3 - (0.9 * rounded + 1 / 3), rel=1e-6)


def test_gradients_are_clipped_together() -> None:
    values = settings(schedule="constant", learning_rate=2.0, momentum=0.7)
    params = {"a": jnp.zeros(1), "b": jnp.zeros(1)}
    grads = {"a": jnp.full(1, 30.0), "b": jnp.full(1, 40.0)}
    moved, _ = optimizer.update(params, optimizer.init_momentum(params), grads, values, jnp.int32(0), RULE)
    assert float(optax.tree.norm(moved)) == pytest.approx(1.0)
    assert float(moved["a"][0]) == pytest.approx(-0.6)


@pytest.mark.parametrize("rule", [UNCLIPPED, UNCLIPPED._replace(momentum_product="bfloat16")])
def test_nesterov_is_a_value_and_equals_optax(rule: UpdateRule) -> None:
    grads = [{"w": jnp.float32([0.1, -0.2])}, {"w": jnp.float32([0.3, 0.1])}, {"w": jnp.float32([0.0, 0.7])}]
    # optax multiplies in the buffer's bfloat16 by a plain number, and in float32 by an array of that type.
    decay: Any = 0.99 if rule.momentum_product == "bfloat16" else jnp.float32(0.99)
    for nesterov in (False, True):
        values = settings(schedule="constant", learning_rate=0.2, momentum=0.99, nesterov=nesterov)
        trace = optax.trace(decay, nesterov, accumulator_dtype=jnp.bfloat16)
        reference = optax.chain(trace, optax.scale(-0.1))
        params = expected = {"w": jnp.float32([1.0, 1.0])}
        momentum, state = optimizer.init_momentum(params), reference.init(expected)
        for step, grad in enumerate(grads):
            params, momentum = optimizer.update(params, momentum, grad, values, jnp.int32(step), rule)
            updates, state = reference.update(grad, state)
            expected = optax.apply_updates(expected, updates)
        np.testing.assert_allclose(params["w"], expected["w"], rtol=1e-6)

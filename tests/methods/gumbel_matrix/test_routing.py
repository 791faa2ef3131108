"""Properties of a routed layer by itself."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.methods.gumbel_matrix import routing

KEY = jax.random.key(0)


@pytest.mark.parametrize("p", [0.03, 0.5, 0.97])
def test_connections_are_active_as_often_as_they_are_probable(p: float) -> None:
    draws = 100_000
    logits = jnp.broadcast_to(routing.initial_logits(p, (1, 1)), (draws, 1, 2))
    share = float(routing.sample(logits, routing.gumbel(KEY, logits.shape), jnp.float32(1)).mean())
    assert abs(share - p) < 3 * (p * (1 - p) / draws) ** 0.5


def test_the_noise_is_gumbels() -> None:
    noise = routing.gumbel(KEY, (100_000,))
    assert abs(float(noise.mean()) - np.euler_gamma) < 3 * (np.pi / 6**0.5) / 100_000**0.5


@pytest.mark.parametrize("tau", [0.5, 5.0, 50.0])
def test_the_gradient_is_that_of_the_soft_sample(tau: float) -> None:
    logits = jax.random.normal(KEY, (3, 4, 2))
    noise = routing.gumbel(jax.random.key(1), logits.shape)
    of = jax.random.normal(jax.random.key(2), (3, 4))
    found = jax.grad(lambda values: (routing.sample(values, noise, jnp.float32(tau)) * of).sum())(logits)

    def soft(values: np.ndarray) -> Any:  # by itself, in float64
        noisy = np.exp((values + np.asarray(noise, np.float64)) / tau)
        return (noisy[..., 0] / noisy.sum(-1) * np.asarray(of)).sum()

    base, step = np.asarray(logits, np.float64), 1e-5
    for place in np.ndindex(base.shape):
        moved = np.zeros_like(base)
        moved[place] = step
        slope = (soft(base + moved) - soft(base - moved)) / (2 * step)
        assert found[place] == pytest.approx(slope, rel=1e-3, abs=1e-7)


def test_samples_are_exactly_0_or_1_at_every_temperature() -> None:
    logits = jax.random.normal(KEY, (500, 7, 2)) * 5
    noise = routing.gumbel(jax.random.key(1), logits.shape)
    for step in (0, 99, 9_999, 10**6):
        found = jax.jit(routing.sample)(logits, noise, routing.temperature(step))
        assert set(np.unique(found)) == {0.0, 1.0}


def test_a_half_counts_as_used() -> None:
    logits = jnp.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1e-6], [1e-6, 0.0]])
    assert routing.greedy(logits).tolist() == [True, True, False, True]
    assert routing.greedy(jnp.asarray(routing.initial_logits(0.5, (2, 3)))).all()


def test_a_layer_is_the_mean_of_the_active_components() -> None:
    outputs = jax.random.normal(KEY, (3, 5, 2))
    two = routing.combine(jnp.array([1.0, 0.0, 1.0]), outputs)
    np.testing.assert_allclose(two, (outputs[0] + outputs[2]) / 2, rtol=1e-6)
    assert (routing.combine(jnp.array([0.0, 1.0, 0.0]), outputs) == outputs[1]).all()
    assert (routing.combine(jnp.zeros(3), outputs) == jnp.zeros((5, 2))).all()
    summed = routing.combine(jnp.array([1.0, 0.0, 1.0]), outputs, "sum")
    np.testing.assert_allclose(summed, outputs[0] + outputs[2], rtol=1e-6)


def test_an_inactive_component_learns_nothing_and_its_connection_does() -> None:
    kernel, logits = jax.random.normal(KEY, (3, 4, 2)), jnp.array([[5.0, 0], [-5.0, 0], [5.0, 0]])
    noise = jnp.zeros((3, 2))

    def loss(kernel: Any, logits: Any) -> Any:
        row = routing.sample(logits, noise, jnp.float32(0.5))
        return (routing.combine(row, jnp.ones(4) @ kernel) ** 2).sum()

    of_kernel, of_logits = jax.grad(loss, (0, 1))(kernel, logits)
    assert (of_kernel[1] == 0).all()
    assert (of_kernel[0] != 0).all()
    assert (of_logits != 0).all()


def test_gradients_flow_through_the_number_of_active_ones() -> None:
    outputs = jnp.array([2.0, 3.0])

    def of_row(row: list[float]) -> Any:
        return jax.grad(lambda values: routing.combine(values, outputs))(jnp.array(row)).tolist()

    # Of sum(a y) / sum(a): (y_j - mean) / number. With none active the divisor is the constant 1.
    assert of_row([1.0, 1.0]) == pytest.approx([-0.25, 0.25])
    assert of_row([1.0, 0.0]) == pytest.approx([0.0, 1.0])  # exactly one: the whole gradient, not half of it
    assert of_row([0.0, 0.0]) == pytest.approx([2.0, 3.0])


def test_the_temperature_falls_with_the_root_of_the_updates() -> None:
    found = [float(routing.temperature(step)) for step in (0, 99, 9_998, 9_999, 10**7)]
    assert found == pytest.approx([50, 5, 50 / 9999**0.5, 0.5, 0.5])
    assert found[2] > 0.5


def test_connections_begin_as_probable_as_is_said() -> None:
    matrix = np.array([[0.2, 0.97], [0.5, 1.0], [0.0, 0.7]])
    found = np.asarray(routing.probabilities(jnp.asarray(routing.initial_logits(matrix, (3, 2)))))
    np.testing.assert_allclose(found, np.clip(matrix, 1e-6, 1 - 1e-6), rtol=1e-4)
    assert np.asarray(routing.probabilities(jnp.asarray(routing.initial_logits(0.97, (2, 4))))).min() > 0.9699
    assert np.isfinite(routing.initial_logits(1.0, (1, 1))).all()
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(2, 3\)"):
        routing.initial_logits(matrix, (2, 3))


def test_fixed_patterns() -> None:
    assert routing.pattern("all", 2, 3).tolist() == [[1, 1, 1]] * 2
    assert routing.pattern("own", 2, 2).tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="2 tasks and 3 components"):
        routing.pattern("own", 2, 3)

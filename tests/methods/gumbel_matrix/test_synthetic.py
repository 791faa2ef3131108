"""Tasks of sines are related as is said."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.methods.gumbel_matrix import synthetic


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_directions_have_the_cosine_that_was_asked_for(rho: float) -> None:
    sines = synthetic.pair(0, rho, scale=2.0)
    first, second = np.asarray(sines.directions, np.float64)
    assert first @ second == pytest.approx(4 * rho, abs=1e-5)
    assert first @ first == pytest.approx(4)
    assert second @ second == pytest.approx(4)


def test_values_are_the_papers_formula() -> None:
    sines = synthetic.pair(3, 0.5)
    inputs = np.random.default_rng(0).normal(size=(5, 128)).astype(np.float32)
    along = inputs.astype(np.float64) @ sines.directions[1].astype(np.float64)
    expected = along + sum(np.sin(i * along + (i - 1) ** 2) for i in range(1, 7))
    np.testing.assert_allclose(sines.values(1, jnp.asarray(inputs)), expected, atol=2e-4)


def test_equal_tasks_differ_by_noise_only_and_pairs_are_unrelated() -> None:
    sines = synthetic.two_pairs(1)
    inputs = jax.random.normal(jax.random.key(0), (20_000, 128))
    values = [np.asarray(sines.values(task, inputs)) for task in range(4)]
    assert (values[0] == values[1]).all()
    assert abs(np.corrcoef(values[0], values[2])[0, 1]) < 0.03
    drawn, noisy = sines.draw(0, jax.random.key(1), 20_000)
    noise = np.asarray(noisy - sines.values(0, drawn))
    assert noise.std() == pytest.approx(0.01, rel=0.05)  # a standard deviation, not a variance


def test_seeds_give_other_tasks_and_the_same_seed_the_same() -> None:
    assert (synthetic.two_pairs(0).directions == synthetic.two_pairs(0).directions).all()
    assert abs(synthetic.two_pairs(0).directions[0] @ synthetic.two_pairs(1).directions[0]) < 0.5
    rows = synthetic.basis(0, 16)
    np.testing.assert_allclose(rows @ rows.T, np.eye(16), atol=1e-9)

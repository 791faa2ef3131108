"""What is added to the loss of a task, by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.methods.gumbel_matrix import penalties, routing


def test_the_budget_counts_from_where_it_is_exceeded() -> None:
    # Two layers: expected (0.9 + 0.5 + 0.4 + 0.6 + 0.6) / 5 = 0.6.
    one = jnp.asarray(routing.initial_logits(np.array([[0.9, 0.5]]), (1, 2)))[0]
    two = jnp.asarray(routing.initial_logits(np.array([[0.4, 0.6, 0.6]]), (1, 3)))[0]
    assert float(penalties.of_budget((one, two), 0.5)) == pytest.approx(0.1, abs=1e-6)
    assert float(penalties.of_budget((one, two), 0.6001)) == 0
    gradient = jax.grad(lambda layers: penalties.of_budget(layers, 0.75))((one, two))
    assert all((leaf == 0).all() for leaf in gradient)
    for p in (0.1, 0.75):  # met but for rounding
        met = jnp.asarray(routing.initial_logits(p, (1, 4)))[0]
        assert (jax.grad(lambda logits, p=p: penalties.of_budget((logits,), p))(met) == 0).all()
    half = jnp.asarray(routing.initial_logits(0.5, (1, 4)))[0]  # exactly met
    assert float(penalties.of_budget((half,), 0.5)) == 0
    assert (jax.grad(lambda logits: penalties.of_budget((logits,), 0.5))(half) == 0).all()


def test_the_other_penalties_by_hand() -> None:
    layers = [jnp.asarray(routing.initial_logits(np.array([row]), (1, len(row))))[0] for row in ([0.9, 0.5], [0.2])]
    assert float(penalties.of_disconnection(layers)) == pytest.approx(0.1 * 0.5 + 0.8, rel=1e-5)
    assert float(penalties.of_connections(layers)) == pytest.approx(1.6, rel=1e-5)
    entropy = -sum(p * np.log(p) + (1 - p) * np.log(1 - p) for p in (0.9, 0.5, 0.2))
    assert float(penalties.of_entropy(layers)) == pytest.approx(entropy, rel=1e-5)

"""Components one after the other give the same as stacked ones, and take less; the budget decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.methods.gumbel_matrix import memory, networks
from munet.methods.gumbel_matrix.components import Conv, Pool
from munet.methods.gumbel_matrix.network import Evaluation, Layer, Network

NETWORK = networks.clusters(32)
SMALL = Network(
    (8, 8, 3),
    (Layer(((Conv(4, (3, 3), 2, norm=True),),) * 2 + ((Conv(4, (1, 1), 2),), (Pool("max", 3, 2), Conv(4, (1, 1))))),),
)
INPUTS = np.random.default_rng(0).uniform(size=(2, 8, 8, 3)).astype(np.float32)


def loss_of(network: Network) -> Any:
    def loss(params: Any, row: Any) -> Any:
        return (network.features(params, [row], jnp.asarray(INPUTS)) ** 2).mean()

    return jax.jit(jax.value_and_grad(loss, (0, 1)))


@pytest.mark.parametrize("evaluation", ["in_turn", "again"])
def test_every_evaluation_gives_the_same(evaluation: Evaluation) -> None:
    params, row = SMALL.initial(("test",)), np.array([1, 0, 1, 1], np.float32)
    found, expected = (loss_of(network)(params, row) for network in (replace(SMALL, evaluation=evaluation), SMALL))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert not np.asarray(found[1][0]["layer_0.component_1"]["0/kernel"]).any()  # inactive


def test_the_budget_decides() -> None:
    needed = memory.needed(NETWORK, 32, 90)
    assert memory.fitted(NETWORK, 32, 1, None, 90) is NETWORK
    assert memory.fitted(NETWORK, 32, 1, needed, 90) is NETWORK
    assert memory.fitted(NETWORK, 32, 2, needed, 90).evaluation == "again"
    assert memory.fitted(NETWORK, 32, 1, needed - 1, 90).evaluation == "again"
    again = replace(NETWORK, evaluation="again")
    assert memory.activation_bytes(again, 32) < 0.6 * memory.activation_bytes(NETWORK, 32)
    assert memory.activation_bytes(NETWORK, 64) == pytest.approx(2 * memory.activation_bytes(NETWORK, 32))

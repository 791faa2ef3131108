"""Components one after the other give the same as stacked ones, and take less; the budget decides."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.joint.memory import image_bytes, replica_bytes
from munet.methods.gumbel_matrix import memory, networks
from munet.methods.gumbel_matrix.components import Conv, Pool
from munet.methods.gumbel_matrix.job import prepare
from munet.methods.gumbel_matrix.learner import Routing
from munet.methods.gumbel_matrix.network import Evaluation, Layer, Network
from munet.training.batches import resident
from tests.joint import tiny
from tests.methods.gumbel_matrix import routed

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
    def needed(network: Network) -> float:
        return memory.state_bytes(network, 90) + memory.activation_bytes(network, 32)

    assert memory.fitted(NETWORK, needed, None) is NETWORK
    assert memory.fitted(NETWORK, needed, needed(NETWORK)) is NETWORK
    assert memory.fitted(NETWORK, needed, needed(NETWORK) - 1).evaluation == "again"
    again = replace(NETWORK, evaluation="again")
    assert memory.activation_bytes(again, 32) < 0.6 * memory.activation_bytes(NETWORK, 32)
    assert memory.activation_bytes(NETWORK, 64) == pytest.approx(2 * memory.activation_bytes(NETWORK, 32))


def test_the_state_is_what_a_replica_begins_with(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    job = prepare(routed.config(tmp_path))
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(job.learner.initial(0).params))
    assert isinstance(job.learner, Routing)
    assert memory.state_bytes(job.learner.network, sum(task.info.num_classes for task in job.tasks)) == 3 * state


def test_streamed_images_take_nothing_of_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_data(tmp_path)
    config = routed.config(tmp_path)
    job = prepare(config)
    state = 3 * sum(leaf.nbytes for leaf in jax.tree.leaves(job.learner.initial(0).params))
    images = image_bytes(job.streams, math.inf)
    needed = replica_bytes(state, job.activation_bytes, keeps_best=bool(job.keeps_best))
    config.runtime.device_memory_gb = (needed + images / 2) / 1e9
    for limit, is_again in ((math.inf, True), (0, False)):
        monkeypatch.setattr(resident, "max_resident", lambda *_, limit=limit: limit)
        learner = prepare(config).learner
        assert isinstance(learner, Routing)
        assert (learner.network.evaluation == "again") == is_again

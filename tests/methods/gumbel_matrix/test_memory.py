"""Every evaluation gives the same; the estimate is nearly the compiler's figure, and the budget decides by it."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.config import RoutingExperiment
from munet.joint.memory import image_bytes, replica_bytes
from munet.methods.gumbel_matrix import memory, networks
from munet.methods.gumbel_matrix.components import Conv, Pool
from munet.methods.gumbel_matrix.job import prepare
from munet.methods.gumbel_matrix.learner import Answering, Routing
from munet.methods.gumbel_matrix.network import Evaluation, Layer, Network
from munet.methods.gumbel_matrix.sources import Images
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


def learner_of(network: Network, batch_size: int) -> Routing:
    tasks = [Answering(name, 3, np.ones(batch_size, np.float32)) for name in ("first", "second")]
    source = Images(network.inputs[0], is_grey=False)
    return Routing(RoutingExperiment(), network, tasks, source, None, is_value=False, num_rounds=10)


@pytest.mark.parametrize("evaluation", ["in_turn", "again"])
def test_every_evaluation_gives_the_same(evaluation: Evaluation) -> None:
    params, row = SMALL.initial(("test",)), np.array([1, 0, 1, 1], np.float32)
    found, expected = (loss_of(network)(params, row) for network in (replace(SMALL, evaluation=evaluation), SMALL))
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert not np.asarray(found[1][0]["layer_0.component_1"]["0/kernel"]).any()  # inactive


@pytest.mark.parametrize("evaluation", ["together", "in_turn", "again"])
def test_the_compiler_says_nearly_the_same(evaluation: Evaluation) -> None:
    learner = learner_of(replace(SMALL, evaluation=evaluation), 64)
    gradient = jax.jit(jax.value_and_grad(learner.loss, has_aux=True))
    told = gradient.lower(*learner.abstract()).compile().memory_analysis()
    assert told is not None
    batches = 2 * 64 * 8 * 8 * 3 * 4  # of two tasks
    assert memory.activation_bytes(learner) - batches == pytest.approx(told.temp_size_in_bytes, rel=0.25)


def test_what_is_computed_again_takes_less_and_twice_the_batch_twice_as_much() -> None:
    once, again = (learner_of(replace(NETWORK, evaluation=how), 32) for how in ("together", "again"))
    assert memory.activation_bytes(again) < 0.7 * memory.activation_bytes(once)
    twice = memory.activation_bytes(learner_of(NETWORK, 64))
    assert twice == pytest.approx(2 * memory.activation_bytes(once), rel=0.01)


@pytest.mark.parametrize("make", [routed.config, partial(routed.config, allocation="all"), routed.sines, routed.root])
def test_the_state_is_what_a_replica_begins_with(tmp_path: Path, make: Any) -> None:
    tiny.write_data(tmp_path)
    learner = prepare(make(tmp_path)).learner
    assert isinstance(learner, Routing)
    state = learner.initial(0)
    trained, *_ = learner.abstract()
    assert jax.tree.map(np.shape, (state.params, state.logits)) == jax.tree.map(lambda leaf: leaf.shape, trained)
    counters = 3 * 4  # of updates, and of those of each Adam
    assert memory.state_bytes(learner) == sum(leaf.nbytes for leaf in jax.tree.leaves(state)) - counters


@pytest.mark.parametrize(("spare", "is_again"), [(2, False), (-2, True)])
def test_the_budget_decides(tmp_path: Path, spare: int, is_again: bool) -> None:
    tiny.write_data(tmp_path)
    config = routed.config(tmp_path, keep="last")
    job = prepare(config)
    assert isinstance(job.learner, Routing)
    needed = replica_bytes(memory.state_bytes(job.learner), job.activation_bytes(), keeps_best=False)
    config.runtime.device_memory_gb = (needed + image_bytes(job.streams, math.inf) + spare) / 1e9
    said: list[str] = []
    learner = prepare(config, said.append).learner
    assert isinstance(learner, Routing)
    assert (learner.network.evaluation == "again") == is_again == any("again in the backward" in one for one in said)


def test_streamed_images_take_nothing_of_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_data(tmp_path)
    config = routed.config(tmp_path)
    job = prepare(config)
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(job.learner.initial(0)))
    images = image_bytes(job.streams, math.inf)
    needed = replica_bytes(state, job.activation_bytes(), keeps_best=bool(job.keeps_best))
    config.runtime.device_memory_gb = (needed + images / 2) / 1e9
    for limit, is_again in ((math.inf, True), (0, False)):
        monkeypatch.setattr(resident, "max_resident", lambda *_, limit=limit: limit)
        learner = prepare(config).learner
        assert isinstance(learner, Routing)
        assert (learner.network.evaluation == "again") == is_again

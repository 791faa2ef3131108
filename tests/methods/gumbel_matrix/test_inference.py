"""What a task computes after training is what was trained, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.errors import UserError
from munet.joint import run
from munet.joint.workdir import Workdir
from munet.methods.gumbel_matrix import inference, job, networks
from munet.methods.gumbel_matrix.learner import Routing
from munet.methods.gumbel_matrix.result import ROUTING
from munet.system import routed as routed_models
from tests.joint import tiny
from tests.methods.gumbel_matrix import routed


def test_the_model_of_a_row_says_what_the_whole_network_says(tmp_path: Path) -> None:
    tiny.write_data(tmp_path)
    learner = cast(Routing, job.prepare(routed.config(tmp_path, combination="sum")).learner)
    state = learner.initial(0)
    rows = ("1010010", "1111111", "0000000", "0100001")
    use = [np.array([[used == "1" for used in row]] * 2) for row in rows]
    state = state._replace(logits=tuple(np.stack([one, ~one], axis=-1).astype(np.float32) * 20 for one in use))
    inputs = jax.random.uniform(jax.random.key(0), (3, 8, 8, 1))
    own = {part.name: part.arrays for part in learner.components(state) if "first" in part.tasks}
    model = inference.model_of(learner.network, rows, own, "sum")
    assert [len(layer.components) for layer in model.network.layers] == [3, 7, 0, 2]
    whole = jax.jit(learner.answers, static_argnums=1)
    np.testing.assert_allclose(jax.jit(lambda inputs: model(inputs))(inputs), whole(state, 0, inputs), atol=1e-5)
    assert learner.facts(state)["first"].flops == model.network.flops([np.ones(3), np.ones(7), np.ones(2)], 2)


@pytest.mark.slow
def test_a_finished_training_is_opened_task_by_task(tmp_path: Path) -> None:
    run.train(routed.sines(tmp_path), str(tmp_path / "run"), lambda _: None)
    found = Workdir(tmp_path / "run", ROUTING).result().replicas[0].tasks["b"]
    says = routed_models.load(str(tmp_path / "run"), "b")
    inputs = np.random.default_rng(0).normal(size=(7, 128)).astype(np.float32)
    assert says(inputs).shape == (7, 1)
    params = {
        name: Workdir(tmp_path / "run", ROUTING).components.load(identity)
        for name, identity in found.components.items()
    }
    by_hand = []
    for number, used in enumerate(found.rows[0]):
        if used == "1":
            own = params[f"layer_0.component_{number}"]
            hidden = inputs
            for place in range(3):
                hidden = hidden @ own[f"{place}/kernel"] + own[f"{place}/bias"]
                hidden = np.maximum(hidden, 0) if place < 2 else hidden
            by_hand.append(hidden)
    np.testing.assert_allclose(says(inputs), np.mean(by_hand, axis=0), atol=1e-5)
    with pytest.raises(UserError, match="has no task 'c'"):
        routed_models.load(str(tmp_path / "run"), "c")
    with pytest.raises(UserError, match="replicas 0 to 0, not 3"):
        routed_models.load(str(tmp_path / "run"), "b", 3)


def test_a_row_without_a_component_is_zeros() -> None:
    network = networks.sines()
    model = inference.model_of(network, ("0000",), {})
    assert (model(jnp.ones((2, 128))) == jnp.zeros((2, 1))).all()

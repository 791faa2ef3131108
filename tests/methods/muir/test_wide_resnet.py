"""A wide ResNet that trains: what batch norms have seen is state, moves with training images only, and is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from munet.config import MuirConfig
from munet.errors import ConfigError
from munet.joint.learner import Place
from munet.joint.run import train
from munet.methods.muir import job
from munet.methods.muir.learner import Muir
from munet.methods.muir.nets import wide_resnet
from munet.methods.muir.objectives import judged
from munet.report.verify.verify import verify
from tests.joint import tiny
from tests.methods.muir.small import config

LEAVES = wide_resnet(3, 10).leaves


def settings(folder: Path, **changes: Any) -> MuirConfig:
    tiny.write_data(folder)
    given = {
        "tasks": (f"npz:{folder}/first.npz",), "groups": (), "nets": ("wide_resnet_10",), "block_rows": 16,
        "block_columns": 16, "context": 2, "challengers": 1, "batch_size": 4, "generations": 2, "generation_rounds": 2,
        "final_generations": 0, "flip": False,
    }  # fmt: skip
    return config(folder, **{**given, **changes})


def test_statistics_move_in_training_and_stay_in_measuring() -> None:
    net = wide_resnet(3, 10)
    assert set(net.statistics) == {f"{path.rpartition('/')[0]}/{kind}" for path in LEAVES if path.endswith("/scale")
                                   for kind in ("mean", "var")}  # fmt: skip
    key = jax.random.key(0)
    leaves = {path: 0.1 * jax.random.normal(key, shape) for path, shape in net.leaves.items()}
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)), jnp.uint8)
    labels, start = jnp.array([0, 1, 2, 0, 1]), net.start(0)

    @jax.jit
    def trained(carry: Any) -> Any:
        return judged(net, leaves, images, labels, carry, jax.random.key(1)).carry

    first = trained(start)
    assert sorted(path for path in start if not np.array_equal(start[path], first[path])) == sorted(start)
    # A tenth of the way to the batch's own, so the next step with the same batch is nine tenths as long.
    second = trained(first)
    for path in start:
        np.testing.assert_allclose(second[path] - first[path], 0.9 * (first[path] - start[path]), rtol=1e-3, atol=1e-5)
    measured = judged(net, leaves, images, labels, first)
    assert all(np.array_equal(first[path], measured.carry[path]) for path in first)
    alone = judged(net, leaves, images[:1], labels[:1], first)
    np.testing.assert_allclose(alone.losses, measured.losses[:1], rtol=1e-3)  # nobody's neighbours count


@pytest.mark.slow
def test_a_wide_resnet_trains(tmp_path: Path) -> None:
    given = settings(tmp_path)
    prepared = job.prepare(given)
    learner = prepared.learner
    assert isinstance(learner, Muir)
    assert not learner.is_recurrent
    train(given, str(tmp_path / "run"), lambda _: None)
    folded, weights = (load_file(tmp_path / "run" / f"replica_0{name}.safetensors") for name in ("", "_weights"))
    statistics = {path: weights[f"first/{path}"] for path in learner.nets[0].statistics}
    assert all(np.array_equal(folded[f"own/first/{path}"], leaf) for path, leaf in statistics.items())
    assert all(leaf.min() > 0 and (leaf != 1).any() for path, leaf in statistics.items() if path.endswith("/var"))
    assert verify(str(tmp_path / "run")).is_sound
    # A decision leaves alone what was seen.
    state = learner.initial(0)._replace(carries=(statistics,))
    decided, record = learner.decide(state, Place(0, 2, 4))
    assert record is not None
    assert decided.carries[0] is statistics
    # The files make the model that was tested.
    (task,) = prepared.tasks
    leaves = {path: jnp.asarray(weights[f"first/{path}"]) for path in LEAVES}
    with task.testing():
        split = task.split("test")
        found = judged(learner.nets[0], leaves, jnp.asarray(split.decoded), jnp.asarray(split.labels), statistics)
    tested = json.loads((tmp_path / "run" / "result.json").read_text())["replicas"][0]["tasks"]["first"]
    assert tested["test_loss"] == pytest.approx(float(found.losses.mean()), rel=1e-3)


@pytest.mark.parametrize(("depth", "nearest"), [(39, "34 or 40"), (4, "10"), (41, "40 or 46")])
def test_depths_that_there_are_not_are_refused(tmp_path: Path, depth: int, nearest: str) -> None:
    with pytest.raises(ConfigError, match=rf"wide_resnet_{depth} for first: .* use a depth of {nearest}\."):
        job.prepare(settings(tmp_path, nets=(f"wide_resnet_{depth}",)))

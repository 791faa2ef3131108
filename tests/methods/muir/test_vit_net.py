"""ViTs as architectures: what is generated, and that models begin as the root."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.joint.learner import Batch
from munet.methods.muir import job
from munet.methods.muir.blocks import Part, Plan
from munet.methods.muir.hypermodules import generate
from munet.methods.muir.learner import Muir
from munet.methods.muir.vit_net import VitNet, vit
from munet.vit import flops
from munet.vit.architecture import component_leaves, get_variant, path_names
from tests.joint import tiny
from tests.methods.muir.small import config


def test_all_kernels_of_the_blocks_of_three_ti_16_blocks_are_5184_blocks() -> None:
    variant = get_variant("Ti/16")
    names = [name for name in path_names(3) if name != "head"]
    sizes = {"image_size": 32, "adapter_dim": 1, "num_classes": 10, "lora_rank": 1}
    leaves = {name: component_leaves(variant, name, **sizes) for name in names}
    root = {name: {path: np.zeros(one.shape, np.float32) for path, one in own.items()} for name, own in leaves.items()}
    net = vit(variant, 3, 32, root, 10)
    assert Plan((16, 16), [Part((0,), net.generated)]).num_locations == 5184
    assert net.flops == flops.forward(variant, path_names(3), {"image_size": 32}, 10)


@pytest.mark.parametrize(
    ("sharing", "context", "initial"),
    [("search", 4, "he"), ("separate", 0, "he"), ("separate", 0, "framework"), ("hierarchical", 2, "he")],
)
def test_models_begin_as_the_root(tmp_path: Path, sharing: str, context: int, initial: str) -> None:
    tiny.write_data(tmp_path)
    settings = config(
        tmp_path, tasks=(f"npz:{tmp_path}/first.npz", f"npz:{tmp_path}/second.npz"), groups=(), nets=("vit", "vit"),
        num_blocks=1, sharing=sharing, context=context, block_rows=16, block_columns=16, challengers=1, flip=False,
        initial=initial,
    )  # fmt: skip
    prepared = job.prepare(settings)
    assert prepared.beginning.root["sha256"]
    learner = prepared.learner
    assert isinstance(learner, Muir)
    state = learner.initial(0)
    net = learner.net_of("first")
    assert isinstance(net, VitNet)
    modules, contexts = jnp.asarray(state.trained.modules), jnp.asarray(state.trained.contexts)
    blocks = generate(modules, contexts, state.candidates[:1])
    for index in range(2):
        for path, leaf in learner.plan.unpack(blocks, index).items():
            np.testing.assert_allclose(leaf[0], net.given[path], atol=2e-6)
        own = net.own(np.zeros(2, np.uint32))
        assert all((state.trained.own[index][path][0] == leaf).all() for path, leaf in own.items())
    if context:  # slices of a module differ, or contexts would be one number
        assert state.trained.modules.std(axis=1).mean() > 0.1
    batches = {
        stream.name: Batch(
            jnp.asarray(stream.images[:4]), jnp.asarray(stream.labels[:4]), jnp.zeros((1, 2), jnp.uint32)
        )
        for stream in prepared.streams
    }
    step = jax.jit(learner.train)
    trained, losses = step(step(state, batches)[0], batches)  # heads of zeros give their trunks nothing at first
    assert all(np.isfinite(loss) for loss in losses.values())
    assert (trained.trained.modules != state.trained.modules).any()

"""Forward FLOPs: by hand, and beside what XLA counts in the compiled program."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from flax.traverse_util import unflatten_dict

from munet.evolution import costs
from munet.vit import flops
from munet.vit.architecture import EMBEDDING, HEAD, NORM, Variant, get_variant, model_leaves, path_names
from munet.vit.forward import logits
from tests.evolution.simulation import make_experiment, make_tasks

SIZES: dict[str, Any] = {"image_size": 32, "adapter_dim": 8, "lora_rank": 4}


def test_a_small_network_by_hand() -> None:
    variant = Variant("tiny/16", width=8, mlp_dim=16, num_heads=2, max_blocks=3, patch_size=16)
    embedding = 2 * 4 * 768 * 8
    # 5 tokens; query, key, value and out; scores and their use; MLP
    below = 2 * 5 * 4 * 64 + 2 * 2 * 5 * 5 * 8 + 2 * 2 * 5 * 8 * 16
    top = 2 * 2 * (1 + 5) * 64 + 2 * 2 * 1 * 5 * 8 + 2 * 2 * 1 * 8 * 16  # of the class token alone
    head = 2 * 8 * 3
    assert flops.forward(variant, path_names(2), SIZES, 3) == embedding + below + top + head
    adapter = 2 * 2 * 5 * 8 * 8
    lora = 2 * 2 * (5 + 5) * 8 * 4
    assert flops.forward(variant, path_names(2, [0], [0]), SIZES, 3) == embedding + below + top + head + adapter + lora


@pytest.mark.parametrize(
    ("variant", "names", "size"),
    [
        ("Ti/16", path_names(3), 32),
        ("Ti/16", path_names(2, [0, 1]), 48),
        ("Ti/16", path_names(2, [], [0, 1]), 48),
    ],
)
def test_it_is_what_xla_counts(variant: str, names: tuple[str, ...], size: int) -> None:
    """Within 5 %: XLA also counts norms, activations, softmax and additions."""
    sizes = {**SIZES, "image_size": size, "adapter_dim": 64, "lora_rank": 16}
    model = get_variant(variant)
    shapes = {
        name: unflatten_dict(
            {
                path: jax.ShapeDtypeStruct(leaf.shape, np.dtype(leaf.dtype))
                for path, leaf in model_leaves(model, name, sizes, 10).items()
            },
            sep="/",
        )
        for name in names
    }
    blocks = sum(name.startswith("encoderblock") for name in names)
    images = jax.ShapeDtypeStruct((1, size, size, 3), np.dtype(np.float32))
    lowered = jax.jit(lambda params, images: logits(model, params, images, num_blocks=blocks)).lower(shapes, images)
    counted = lowered.compile().cost_analysis()
    assert counted is not None
    assert flops.forward(model, names, sizes, 10) == pytest.approx(counted["flops"], rel=0.05)


def test_every_part_costs_something() -> None:
    variant = get_variant("Ti/16")

    def of(*arguments: Any, classes: int = 10, **sizes: int) -> int:
        return flops.forward(variant, path_names(*arguments), {**SIZES, **sizes}, classes)

    assert of(2) < of(3) < of(3, [0]) < of(3, [0, 1]) < of(3, [0, 1], [0])
    assert of(3) < of(3, [], [2]) < of(3, [], [0])  # the last block asks for the class token's query alone
    assert of(3, [0]) < of(3, [0], adapter_dim=16)
    assert of(3, [], [0]) < of(3, [], [0], lora_rank=8)
    assert of(3) < of(3, image_size=48)
    assert of(3) < of(3, classes=11)


def test_the_root_is_the_unit() -> None:
    experiment = make_experiment(make_tasks(2), variant="Ti/16")
    assert costs.relative_flops(experiment, path_names(3), SIZES, 2) == 1.0
    assert costs.root_flops(experiment) == flops.forward(get_variant("Ti/16"), path_names(3), SIZES, 2)


@pytest.mark.parametrize(
    ("tuned", "passed"),
    [
        (set(path_names(2)), set(path_names(2))),  # full training
        ({"encoderblock_1", NORM, HEAD}, {"encoderblock_1", NORM, HEAD}),  # the top block
        ({EMBEDDING, NORM, HEAD}, set(path_names(2))),  # frozen blocks that a gradient passes through
    ],
)
def test_a_train_step_is_what_xla_counts(tuned: set[str], passed: set[str]) -> None:
    """Gradients of exactly these components, cut below the lowest; within 5 %, as above."""
    model, size = get_variant("Ti/16"), 64
    names = path_names(2)
    shapes = {
        name: unflatten_dict(
            {
                path: jax.ShapeDtypeStruct(leaf.shape, np.dtype(leaf.dtype))
                for path, leaf in model_leaves(model, name, {**SIZES, "image_size": size}, 10).items()
            },
            sep="/",
        )
        for name in names
    }
    own = {name: shapes[name] for name in names if name in tuned}
    others = {name: shapes[name] for name in names if name not in tuned}
    lowest = -1 if EMBEDDING in tuned else 1

    def loss(own: Any, others: Any, images: Any) -> Any:
        values = logits(model, {**own, **others}, images, num_blocks=2, first_trainable=lowest)
        return values.sum()

    images = jax.ShapeDtypeStruct((8, size, size, 3), np.dtype(np.float32))
    counted = jax.jit(jax.value_and_grad(loss)).lower(own, others, images).compile().cost_analysis()
    assert counted is not None
    forward, backward = flops.train_step(model, names, {**SIZES, "image_size": size}, 10, tuned=tuned, passed=passed)
    assert forward == flops.forward(model, names, {**SIZES, "image_size": size}, 10)
    assert 8 * (forward + backward) == pytest.approx(counted["flops"], rel=0.05)

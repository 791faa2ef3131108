"""Laws of the forward pass: gates equal truncation, padding changes nothing, nothing below the stop gets a gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.vit import forward, layers
from munet.vit.architecture import VARIANTS, get_variant, path_names, root_params
from tests.vit.trees import (
    TINY,
    features,
    initial_params,
    loss_and_logits,
    make_gates,
    random_images,
    random_params,
    train,
)

IMAGES = random_images()


def num_leaves(tree: Any) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


TI_COUNTS = {
    "embedding": 147_648, "cls": 192, "posembed_input": 960, "encoderblock_0": 444_864, "encoder_norm": 384,
    "residual_adapter_0": 12_896, "head": 193 * 10,
}  # fmt: skip


def test_parameter_counts_of_ti16_by_walking_a_tree() -> None:
    params = initial_params(get_variant("Ti/16"), 3, adapter_dim=32, adapters=[0], num_classes=10)
    assert {name: num_leaves(params[name]) for name in TI_COUNTS} == TI_COUNTS


@pytest.mark.parametrize(
    ("dim", "count"),
    [(8, 3_656), (16, 6_736), (32, 12_896), (64, 25_216), (128, 49_856), (256, 99_136), (512, 197_696)],
)
def test_parameter_counts_of_adapters(dim: int, count: int) -> None:
    params = initial_params(get_variant("Ti/16"), 1, adapter_dim=dim, adapters=[0])
    assert num_leaves(params["residual_adapter_0"]) == count


# Trunk at 32x32 plus a 2-class head: Ti/16 with 3 blocks and B/16 are the spec's #root-model-params; its L/16 count is
# at 224x224 (below); the others are worked out by hand, so that no variant is untested.
ROOT_COUNTS = {
    ("demo/16", 3): 199_810,
    ("Ti/16", 3): 1_484_162,
    ("Ti/32", 3): 1_925_954,
    ("S/16", 12): 21_592_706,
    ("S/32", 12): 22_476_290,
    ("B/16", 12): 85_652_738,
    ("B/32", 12): 87_419_906,
    ("L/16", 24): 303_107_074,
    ("L/32", 24): 305_463_298,
}


def test_every_variant_has_a_golden_count() -> None:
    assert {name for name, _ in ROOT_COUNTS} == set(VARIANTS)


@pytest.mark.parametrize(("name", "num_blocks"), list(ROOT_COUNTS))
def test_root_counts_of_the_layers_own_declarations(name: str, num_blocks: int) -> None:
    """The Linen modules' declared shapes, not the table in `architecture`, summed without allocating anything."""
    variant = get_variant(name)
    width, patch = variant.width, variant.patch_size
    tokens = jax.ShapeDtypeStruct((1, variant.num_tokens(32), width), jnp.float32)
    patches = jax.ShapeDtypeStruct((1, variant.num_tokens(32) - 1, patch, patch, 3), jnp.float32)
    modules: list[tuple[Any, Any, tuple[int, ...], int]] = [
        (layers.Dense((patch, patch, 3), (width,)), patches, (), 1),
        (layers.ClassToken(), tokens, (), 1),
        (layers.PositionEmbedding(), tokens, (), 1),
        (layers.EncoderBlock(variant), tokens, (1,), num_blocks),
        (layers.LayerNorm(), tokens, (), 1),
        (layers.Dense((width,), (2,)), tokens, (), 1),
    ]
    count = 0
    for module, inputs, static, times in modules:
        shapes = jax.eval_shape(lambda x, m=module, s=static: m.init(jax.random.key(0), x, *s), inputs)
        count += times * num_leaves(shapes)
    assert count == ROOT_COUNTS[name, num_blocks]


def test_root_count_of_l16_at_224_pixels() -> None:
    assert root_params(get_variant("L/16"), num_blocks=24, image_size=224) == 303_303_682


@pytest.mark.parametrize("adapters", [(), (1,)])
def test_declared_names_and_shapes_are_those_of_the_architecture(adapters: tuple[int, ...]) -> None:
    params = random_params(TINY, 2, adapters=adapters)
    assert set(params) == set(path_names(2, adapters))

    def declared(tree: Any) -> Any:
        return jax.eval_shape(lambda p: forward.logits(TINY, p, IMAGES, num_blocks=2), tree)

    assert declared(params).shape == (3, 5)  # Linen refuses any shape that it did not declare
    with pytest.raises(Exception, match="scale"):
        declared({**params, "encoder_norm": {"scale": np.ones(9), "bias": np.ones(9)}})


def test_forward_is_the_layers_one_after_the_other_with_all_tokens() -> None:
    """So it does not matter that the last block computes the class token only; an adapter is before its block."""
    params = random_params(TINY, 2, adapters=[1])

    @jax.jit
    def all_tokens(params: Any, images: Any) -> Any:
        def apply(module: Any, name: str, *inputs: Any) -> Any:
            return module.apply({"params": params[name]}, *inputs)

        x = apply(layers.Dense((16, 16, 3), (8,)), "embedding", layers.split_into_patches(images, 16))
        x = apply(layers.ClassToken(), "cls", x)
        x = apply(layers.PositionEmbedding(), "posembed_input", x)
        x = apply(layers.EncoderBlock(TINY), "encoderblock_0", x, 5)
        x = apply(layers.ResidualAdapter(4), "residual_adapter_1", x)
        x = apply(layers.EncoderBlock(TINY), "encoderblock_1", x, 5)
        return apply(layers.LayerNorm(), "encoder_norm", x)

    expected = all_tokens(params, IMAGES)[:, 0]
    np.testing.assert_allclose(features(TINY, params, IMAGES, num_blocks=2), expected, atol=1e-5)


def test_inserting_new_adapters_leaves_the_output_unchanged_exactly() -> None:
    params = random_params(TINY, 2)
    with_adapters = {**initial_params(TINY, 2, adapters=[0, 1]), **params}
    assert np.any(with_adapters["residual_adapter_1"]["Dense_0"]["kernel"])
    before = features(TINY, params, IMAGES, num_blocks=2)
    after = features(TINY, with_adapters, IMAGES, num_blocks=2)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("num_blocks", "adapters"), [(1, (0,)), (2, (0,)), (2, (0, 1))], ids=["1 block", "1 adapter", "all"]
)
def test_gated_slots_equal_the_plain_smaller_network(num_blocks: int, adapters: tuple[int, ...]) -> None:
    full = random_params(TINY, 2, adapters=[0, 1])
    names = path_names(num_blocks, adapters)
    plain = {name: full[name] for name in names}
    # Absent slots hold zeros in the shared program.
    shared = {name: tree if name in names else jax.tree.map(np.zeros_like, tree) for name, tree in full.items()}
    gates = make_gates(
        blocks=[float(index < num_blocks) for index in range(2)],
        adapters=[float(index in adapters) for index in range(2)],
    )
    loss, logits, gradients = train(shared, gates=gates)
    plain_loss, plain_logits, plain_gradients = train(plain, num_blocks)
    np.testing.assert_allclose(logits, plain_logits, atol=1e-6)
    np.testing.assert_allclose(loss, plain_loss, atol=1e-6)
    for name, tree in gradients.items():
        for leaf, expected in zip(
            jax.tree.leaves(tree), jax.tree.leaves(plain_gradients.get(name, shared[name])), strict=True
        ):  # nothing flows into padding, which holds zeros
            np.testing.assert_allclose(leaf, expected, atol=1e-5 if name in names else 0)


def test_gated_slots_do_not_matter_whatever_they_hold() -> None:
    full = random_params(TINY, 2, adapters=[0, 1])
    gates = make_gates(blocks=[1, 0], adapters=[1, 0])
    _, expected, _ = train({name: full[name] for name in path_names(1, [0])}, 1)
    _, logits, _ = train(full, gates=gates)
    np.testing.assert_allclose(logits, expected, atol=1e-6)


def test_a_narrow_adapter_padded_to_a_wider_bucket_is_the_same_adapter() -> None:
    dim, pad = 3, 1
    narrow = random_params(TINY, 2, adapters=[0, 1], adapter_dim=dim)

    def widen(adapter: Any, inner_bias: float, outer_kernel: Any) -> Any:
        first, second = adapter["Dense_0"], adapter["Dense_1"]
        return {
            **adapter,
            "Dense_0": {
                "kernel": np.pad(first["kernel"], ((0, 0), (0, pad))),
                "bias": np.pad(first["bias"], (0, pad), constant_values=inner_bias),
            },
            "Dense_1": {
                "kernel": np.concatenate([second["kernel"], np.zeros((pad, 8), np.float32) + outer_kernel]),
                "bias": second["bias"],
            },
        }

    def wide(*fill: Any) -> Any:
        return {**narrow, **{name: widen(narrow[name], *fill) for name in narrow if name.startswith("residual")}}

    gates = make_gates(units=[1] * dim + [0] * pad)
    _, expected, plain = train(narrow)
    _, logits, padded = train(wide(0, 0), gates=gates)
    np.testing.assert_allclose(logits, expected, atol=1e-6)
    for name in ("residual_adapter_0", "residual_adapter_1"):
        first, second = padded[name]["Dense_0"], padded[name]["Dense_1"]
        np.testing.assert_allclose(first["kernel"][:, :dim], plain[name]["Dense_0"]["kernel"], atol=1e-5)
        np.testing.assert_allclose(first["bias"][:dim], plain[name]["Dense_0"]["bias"], atol=1e-5)
        np.testing.assert_allclose(second["kernel"][:dim], plain[name]["Dense_1"]["kernel"], atol=1e-5)
        # What pads stays zero under training.
        assert not first["kernel"][:, dim:].any()
        assert not first["bias"][dim:].any()
        assert not second["kernel"][dim:].any()
    # The mask alone removes padded units too, whatever their parameters are.
    uneven = np.arange(8, dtype=np.float32)  # what is equal everywhere would vanish in the next layer norm
    np.testing.assert_allclose(train(wide(1, uneven), gates=gates)[1], expected, atol=1e-6)


def test_padded_classes_are_seen_by_no_softmax_and_no_argmax() -> None:
    count, pad = 3, 2
    params = random_params(TINY, 2, adapters=[0, 1], num_classes=count)
    head = {
        "kernel": np.pad(params["head"]["kernel"], ((0, 0), (0, pad))),
        "bias": np.pad(params["head"]["bias"], (0, pad), constant_values=99),
    }
    loss, logits, gradients = train({**params, "head": head}, gates=make_gates(classes=[1] * count + [0] * pad))
    plain_loss, plain_logits, plain = train(params)
    np.testing.assert_allclose(logits[:, :count], plain_logits, atol=1e-6)
    weights = np.asarray(jax.nn.softmax(logits))
    np.testing.assert_array_equal(weights[:, count:], np.zeros((3, pad)))
    assert logits.argmax(axis=1).max() < count
    np.testing.assert_allclose(loss, plain_loss, rtol=1e-6)
    np.testing.assert_allclose(gradients["head"]["kernel"][:, :count], plain["head"]["kernel"], atol=1e-6)
    assert not gradients["head"]["kernel"][:, count:].any()
    assert not gradients["head"]["bias"][count:].any()
    np.testing.assert_allclose(gradients["cls"]["cls"], plain["cls"]["cls"], atol=1e-6)


@pytest.mark.parametrize("first_trainable", [-1, 0, 1, 2])
def test_nothing_below_the_first_trainable_stage_gets_a_gradient(first_trainable: int) -> None:
    params = random_params(TINY, 2, adapters=[0, 1])
    loss, _, full = train(params)
    same_loss, _, stopped = train(params, first_trainable=first_trainable)
    np.testing.assert_allclose(loss, same_loss, rtol=1e-6)
    for name in params:
        level = int(name[-1]) if name[-1].isdigit() else 2 if name in ("encoder_norm", "head") else -1
        for leaf, expected in zip(jax.tree.leaves(stopped[name]), jax.tree.leaves(full[name]), strict=True):
            np.testing.assert_allclose(leaf, expected if level >= first_trainable else 0 * expected, atol=1e-6)
            assert expected.any(), f"{name} gets no gradient even without a stop"


def test_children_of_different_architecture_side_by_side_under_vmap() -> None:
    trees = [random_params(TINY, 2, adapters=[0, 1], seed=seed) for seed in range(3)]
    gates = [
        make_gates(adapters=[0, 0]),
        make_gates(blocks=[1, 0], adapters=[1, 0], units=[1, 1, 0, 0]),
        make_gates(adapters=[1, 0], classes=[1, 1, 1, 0, 0]),
    ]
    stacked = [jax.tree.map(lambda *leaves: np.stack(leaves), *part) for part in (trees, gates)]
    gradient = jax.grad(loss_and_logits, has_aux=True)
    together, _ = jax.device_get(jax.jit(jax.vmap(lambda tree, gate: gradient(tree, 2, gate, None)))(*stacked))
    for child in range(3):
        _, _, alone = train(trees[child], gates=gates[child])
        for stack, expected in zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True):
            np.testing.assert_allclose(stack[child], expected, rtol=1e-3, atol=1e-6)


def test_bfloat16_activations_stay_close_to_float32() -> None:
    params = random_params(TINY, 2)
    exact = features(TINY, params, IMAGES, num_blocks=2)
    rounded = features(TINY, params, IMAGES, num_blocks=2, dtype=jnp.bfloat16)
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.15)
    assert not np.array_equal(rounded, exact)

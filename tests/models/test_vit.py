"""Laws of the forward pass: gates equal truncation, padding changes nothing, nothing below the stop gets a gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.architecture import VARIANTS, block_name, get_variant, path_names, root_params
from munet.models import layers, vit
from munet.models.vit import Gates
from tests.models.trees import TINY, features, initial_params, logits, random_images, random_params

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


@pytest.mark.parametrize("adapters", [(), (0, 2)])
def test_declared_names_and_shapes_are_those_of_the_architecture(adapters: tuple[int, ...]) -> None:
    params = random_params(TINY, 3, adapters=adapters)
    assert set(params) == set(path_names(3, adapters))
    logits(TINY, params, IMAGES, num_blocks=3)  # Linen refuses any shape that it did not declare
    broken = {**params, "encoder_norm": {"scale": jnp.ones(9), "bias": jnp.ones(9)}}
    with pytest.raises(Exception, match="scale"):
        logits(TINY, broken, IMAGES, num_blocks=3)


def test_class_token_of_the_last_block_equals_computing_all_tokens() -> None:
    params = random_params(TINY, 2)

    @jax.jit
    def all_tokens(params: Any, images: Any) -> Any:
        x: Any = layers.split_into_patches(images, 16)
        x = layers.Dense((16, 16, 3), (8,)).apply({"params": params["embedding"]}, x)
        x = layers.ClassToken().apply({"params": params["cls"]}, x)
        x = layers.PositionEmbedding().apply({"params": params["posembed_input"]}, x)
        for index in range(2):
            x = layers.EncoderBlock(TINY).apply({"params": params[block_name(index)]}, x, 5)
        return layers.LayerNorm().apply({"params": params["encoder_norm"]}, x)

    expected = all_tokens(params, IMAGES)[:, 0]
    np.testing.assert_allclose(features(TINY, params, IMAGES, num_blocks=2), expected, atol=1e-5)


def test_inserting_new_adapters_leaves_the_output_unchanged_exactly() -> None:
    params = random_params(TINY, 3)
    with_adapters = {**initial_params(TINY, 3, adapters=[0, 1, 2]), **params}
    assert any(np.any(leaf) for leaf in jax.tree.leaves(with_adapters["residual_adapter_1"]))
    before = features(TINY, params, IMAGES, num_blocks=3)
    after = features(TINY, with_adapters, IMAGES, num_blocks=3)
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("present", [1, 2, 3])
def test_gated_blocks_equal_the_truncated_network(present: int) -> None:
    params = random_params(TINY, 3, adapters=[0, 2])
    absent = [name for name in params if name[-1].isdigit() and int(name[-1]) >= present]
    # Absent slots hold zeros in the shared program.
    shared = {**params, **{name: jax.tree.map(jnp.zeros_like, params[name]) for name in absent}}
    gates = Gates(
        blocks=jnp.asarray([float(index < present) for index in range(3)]),
        adapters=jnp.asarray([float(index < present and index != 1) for index in range(3)]),
    )
    plain = {name: tree for name, tree in params.items() if name not in absent}
    expected = features(TINY, plain, IMAGES, num_blocks=present)
    np.testing.assert_allclose(features(TINY, shared, IMAGES, num_blocks=3, gates=gates), expected, atol=1e-6)

    def loss(tree: Any, num_blocks: int, gates: Gates | None) -> Any:
        return jnp.sum(jnp.sin(features(TINY, tree, IMAGES, num_blocks=num_blocks, gates=gates)))

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    gradients = gradient(shared, 3, gates)
    for name, tree in gradient(plain, present, None).items():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), gradients[name], tree)
    for name in absent:  # and nothing flows into padding
        assert all(np.array_equal(leaf, np.zeros_like(leaf)) for leaf in jax.tree.leaves(gradients[name]))


def test_gated_slots_do_not_matter_whatever_they_hold() -> None:
    params = random_params(TINY, 2, adapters=[1])
    gates = Gates(blocks=jnp.asarray([1.0, 0.0]), adapters=jnp.asarray([0.0, 0.0]))
    expected = features(TINY, params, IMAGES, num_blocks=1)
    np.testing.assert_allclose(features(TINY, params, IMAGES, num_blocks=2, gates=gates), expected, atol=1e-6)


def test_a_narrow_adapter_padded_to_a_wider_bucket_is_the_same_adapter() -> None:
    narrow = random_params(TINY, 2, adapters=[1], adapter_dim=3)
    first, second = (narrow["residual_adapter_1"][name] for name in ("Dense_0", "Dense_1"))
    wide = {
        **narrow,
        "residual_adapter_1": {
            **narrow["residual_adapter_1"],
            "Dense_0": {"kernel": jnp.pad(first["kernel"], ((0, 0), (0, 5))), "bias": jnp.pad(first["bias"], (0, 5))},
            "Dense_1": {"kernel": jnp.pad(second["kernel"], ((0, 5), (0, 0))), "bias": second["bias"]},
        },
    }
    gates = Gates(adapter_units=jnp.asarray([1.0] * 3 + [0.0] * 5))

    def loss(tree: Any, gates: Gates | None) -> Any:
        return jnp.sum(jnp.sin(features(TINY, tree, IMAGES, num_blocks=2, gates=gates)))

    expected = features(TINY, narrow, IMAGES, num_blocks=2)
    np.testing.assert_allclose(features(TINY, wide, IMAGES, num_blocks=2, gates=gates), expected, atol=1e-6)
    gradient = jax.jit(jax.grad(loss))
    padded = gradient(wide, gates)["residual_adapter_1"]
    plain = gradient(narrow, None)["residual_adapter_1"]
    np.testing.assert_allclose(padded["Dense_1"]["kernel"][:3], plain["Dense_1"]["kernel"], atol=1e-5)
    np.testing.assert_allclose(padded["Dense_0"]["kernel"][:, :3], plain["Dense_0"]["kernel"], atol=1e-5)
    assert not padded["Dense_1"]["kernel"][3:].any()
    assert not padded["Dense_0"]["kernel"][:, 3:].any()
    assert not padded["Dense_0"]["bias"][3:].any()

    # The mask alone removes padded units too: whatever their parameters are.
    mask_only = jax.tree.map(lambda leaf: leaf, wide)
    mask_only["residual_adapter_1"]["Dense_0"]["bias"] = jnp.pad(first["bias"], (0, 5), constant_values=1.0)
    mask_only["residual_adapter_1"]["Dense_1"]["kernel"] = jnp.pad(
        second["kernel"], ((0, 5), (0, 0)), constant_values=7.0
    )
    np.testing.assert_allclose(features(TINY, mask_only, IMAGES, num_blocks=2, gates=gates), expected, atol=1e-6)


def test_padded_classes_are_seen_by_no_softmax_and_no_argmax() -> None:
    params = random_params(TINY, 1, num_classes=3)
    head = {
        "kernel": jnp.pad(params["head"]["kernel"], ((0, 0), (0, 5))),
        "bias": jnp.pad(params["head"]["bias"], (0, 5), constant_values=99.0),
    }
    gates = Gates(classes=jnp.asarray([1.0] * 3 + [0.0] * 5))
    labels = jnp.asarray([0, 2, 1])

    def loss(tree: Any, gates: Gates | None) -> Any:
        values = jax.nn.log_softmax(logits(TINY, tree, IMAGES, num_blocks=1, gates=gates))
        return -jnp.mean(jnp.take_along_axis(values, labels[:, None], axis=1))

    padded = {**params, "head": head}
    plain_logits = logits(TINY, params, IMAGES, num_blocks=1)
    padded_logits = logits(TINY, padded, IMAGES, num_blocks=1, gates=gates)
    np.testing.assert_array_equal(padded_logits[:, :3], plain_logits)
    np.testing.assert_array_equal(jax.nn.softmax(padded_logits)[:, 3:], np.zeros((3, 5)))
    assert int(padded_logits.argmax(axis=1).max()) < 3
    np.testing.assert_allclose(loss(padded, gates), loss(params, None), rtol=1e-6)
    gradient = jax.jit(jax.grad(loss))
    ours, plain = gradient(padded, gates), gradient(params, None)
    np.testing.assert_allclose(ours["head"]["kernel"][:, :3], plain["head"]["kernel"], atol=1e-6)
    assert not ours["head"]["kernel"][:, 3:].any()
    assert not ours["head"]["bias"][3:].any()
    np.testing.assert_allclose(ours["cls"]["cls"], plain["cls"]["cls"], atol=1e-6)


@pytest.mark.parametrize("first_trainable", [None, -1, 0, 1, 2])
def test_nothing_below_the_first_trainable_stage_gets_a_gradient(first_trainable: int | None) -> None:
    params = random_params(TINY, 2, adapters=[0, 1])

    def loss(tree: Any, stop: int | None) -> Any:
        return jnp.sum(jnp.sin(logits(TINY, tree, IMAGES, num_blocks=2, first_trainable=stop)))

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    full, stopped = gradient(params, None), gradient(params, first_trainable)
    np.testing.assert_array_equal(loss(params, None), loss(params, first_trainable))
    for name in params:
        stage = int(name[-1]) if name[-1].isdigit() else 2 if name in ("encoder_norm", "head") else -1
        is_live = first_trainable is None or stage >= first_trainable
        for a, b in zip(jax.tree.leaves(stopped[name]), jax.tree.leaves(full[name]), strict=True):
            np.testing.assert_allclose(a, b if is_live else jnp.zeros_like(b), atol=1e-6)
            assert bool(b.any()), f"{name} gets no gradient even without a stop"


def test_children_of_different_architecture_side_by_side_under_vmap() -> None:
    trees = [random_params(TINY, 2, adapters=[0], seed=seed) for seed in range(3)]
    gates = [
        Gates(jnp.asarray(blocks), jnp.asarray(adapters), jnp.asarray(units), jnp.asarray(classes))
        for blocks, adapters, units, classes in [
            ([1.0, 1.0], [0.0, 0.0], [1.0] * 4, [1.0] * 3),
            ([1.0, 0.0], [1.0, 0.0], [1.0, 1.0, 0.0, 0.0], [1.0] * 3),
            ([1.0, 1.0], [1.0, 0.0], [1.0] * 4, [1.0, 1.0, 0.0]),
        ]
    ]

    @jax.jit
    def gradient(tree: Any, gate: Gates) -> Any:
        return jax.grad(lambda p: jnp.sum(jax.nn.softmax(logits(TINY, p, IMAGES, num_blocks=2, gates=gate)) ** 2))(tree)

    together = jax.jit(jax.vmap(gradient))(*(jax.tree.map(lambda *x: jnp.stack(x), *part) for part in (trees, gates)))
    for child in range(3):
        alone = gradient(trees[child], gates[child])
        jax.tree.map(
            lambda a, b, child=child: np.testing.assert_allclose(a[child], b, rtol=1e-3, atol=1e-6), together, alone
        )


def test_bfloat16_activations_stay_close_to_float32() -> None:
    params = random_params(TINY, 2)
    exact = features(TINY, params, IMAGES, num_blocks=2)
    rounded = features(TINY, params, IMAGES, num_blocks=2, dtype=jnp.bfloat16)
    assert rounded.dtype == jnp.float32
    np.testing.assert_allclose(rounded, exact, atol=0.15)
    assert not np.array_equal(rounded, exact)


def test_nest_and_flatten_are_inverse() -> None:
    flat = {"b/kernel": 2, "a": 1, "b/bias": 3, "b/c/d": 4}
    nested = vit.nest(flat)
    assert nested == {"a": 1, "b": {"bias": 3, "c": {"d": 4}, "kernel": 2}}
    assert vit.flatten(nested) == flat
    assert list(vit.flatten(nested)) == sorted(flat)

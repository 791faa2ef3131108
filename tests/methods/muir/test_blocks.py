"""What a hypermodule generates: cutting leaves into blocks, and making blocks."""

from __future__ import annotations

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from munet.methods.muir import alignment
from munet.methods.muir.blocks import (
    Matrices,
    Part,
    Plan,
    convolution,
    dense,
    gates,
    into_heads,
    matrices,
    out_of_heads,
)
from munet.methods.muir.hypermodules import generate, refined

_REFINED = jax.jit(refined)
KINDS = [
    (dense, (5, 7)),
    (convolution, (3, 3, 4, 6)),
    (convolution, (24, 5, 3)),
    (gates, (4, 6, 5)),
    (into_heads, (6, 3, 4)),
    (out_of_heads, (3, 4, 6)),
]


def test_a_dense_layer_by_hand() -> None:
    """4 x 6 in blocks of 2 x 3: block (i, j) maps inputs 2i, 2i + 1 to outputs 3j, 3j + 1, 3j + 2."""
    kernel = np.arange(24.0).reshape(4, 6)
    one = dense("kernel", kernel.shape)
    blocks = one.pack(kernel, (2, 3))
    expected = [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]], [[12, 13, 14], [18, 19, 20]]]
    assert blocks[:3].tolist() == expected
    assert blocks.shape == (one.num_blocks((2, 3)), 2, 3)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KINDS), st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**31))
def test_cutting_loses_nothing(kind: tuple[Any, tuple[int, ...]], rows: int, columns: int, seed: int) -> None:
    made, shape = kind
    one, leaf = made("kernel", shape), np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    blocks = one.pack(leaf, (rows, columns))
    assert len(blocks) == one.num_blocks((rows, columns))
    # On the host: each of these shapes would be compiled.
    np.testing.assert_array_equal(one.unpack(cast(jax.Array, blocks), (rows, columns)), leaf)
    # What hangs over the edges is all that is not in the leaf.
    assert np.count_nonzero(blocks) == np.count_nonzero(leaf)


def _plan(block: tuple[int, int] = (2, 2)) -> Plan:
    net = (dense("a", (4, 4)), convolution("b", (3, 2, 3)))
    return Plan(block, [Part((0, 2), net), Part((1,), (dense("c", (3, 5)),))])


def test_a_plan_lays_models_side_by_side() -> None:
    plan = _plan()
    # a: 4 blocks, b: 3 taps x 1 x 2; c: 2 x 3, overhanging.
    assert plan.task_of.tolist() == [0] * 10 + [2] * 10 + [1] * 6
    assert plan.num_locations == 26
    np.testing.assert_allclose(plan.deviations[:4], np.sqrt(2 / 4), rtol=1e-6)
    np.testing.assert_allclose(plan.deviations[4:10], np.sqrt(2 / 6), rtol=1e-6)
    generator = np.random.default_rng(0)
    leaves = [
        {"a": generator.normal(size=(2, 4, 4)), "b": generator.normal(size=(2, 3, 2, 3))},
        {"c": generator.normal(size=(1, 3, 5))},
    ]
    blocks = plan.pack(leaves)
    for index, own in enumerate(leaves):
        for path, leaf in plan.unpack(jnp.asarray(blocks), index).items():
            np.testing.assert_allclose(np.asarray(leaf), own[path], rtol=1e-6)


def test_a_rule_chooses_leaves() -> None:
    chosen = matrices({"x": (2, 2), "bias": (2,)}, lambda path, shape: dense(path, shape) if path == "x" else None)
    assert [one.path for one in chosen] == ["x"]


def _arrays(modules: int, locations: int, context: int, candidates: int) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(modules + locations)
    return (
        generator.normal(size=(modules, context, 3, 2)).astype(np.float32),
        generator.normal(size=(locations, context)).astype(np.float32),
        generator.integers(0, modules, (candidates, locations)).astype(np.int32),
        generator.normal(size=(candidates, locations)).astype(np.float32),
    )


@pytest.mark.parametrize("modules", [5, 10_000])  # a matrix product, and a gather
@pytest.mark.parametrize("context", [1, 4])
def test_blocks_are_weighed_sums_of_their_modules(modules: int, context: int) -> None:
    """Eq. 5 and Eq. 8, location by location, candidate by candidate; gradients too."""
    arrays = _arrays(modules, 9, context, 3)

    def slowly(h: jax.Array, z: jax.Array, s: jax.Array) -> jax.Array:
        shares = jax.nn.softmax(s, axis=0)
        rows = [sum(shares[i, at] * jnp.tensordot(z[at], h[arrays[2][i, at]], 1) for i in range(3)) for at in range(9)]
        return jnp.stack(rows)

    h, z, psi, s = map(jnp.asarray, arrays)
    np.testing.assert_allclose(jax.jit(generate)(h, z, psi, s), jax.jit(slowly)(h, z, s), rtol=2e-5, atol=1e-5)
    np.testing.assert_allclose(
        generate(h, z, psi)[4], np.tensordot(arrays[1][4], arrays[0][arrays[2][0, 4]], 1), rtol=2e-5, atol=1e-5
    )
    fast, slow = (
        jax.jit(jax.grad(lambda h, z, s, made=made: (made(h, z, s) ** 2).sum(), argnums=(0, 1, 2)))(h, z, s)
        for made in (lambda h, z, s: generate(h, z, psi, s), slowly)
    )
    for one, other in zip(fast, slow, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("modules", [5, 10_000])
def test_places_without_challengers_are_made_once(modules: int) -> None:
    """Naming the only locations whose candidates differ changes nothing, gradients included."""
    h, z, psi, s = map(jnp.asarray, _arrays(modules, 9, 2, 4))
    places = jnp.array([1, 4, 8])
    psi = jnp.repeat(psi[:1], 4, axis=0).at[:, places].set(psi[:, places])
    one, other = (
        jax.jit(jax.value_and_grad(lambda h, z, s, at=at: (generate(h, z, psi, s, at) ** 2).sum(), argnums=(0, 1, 2)))(
            h, z, s
        )
        for at in (None, places)
    )
    np.testing.assert_allclose(one[0], other[0], rtol=1e-5)
    for leaf, same in zip(one[1][:2], other[1][:2], strict=True):
        np.testing.assert_allclose(leaf, same, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(one[1][2][:, places], other[1][2][:, places], rtol=1e-3, atol=1e-4)


def test_a_merge_of_one_candidate_is_that_candidate() -> None:
    h, z, psi, _ = map(jnp.asarray, _arrays(5, 9, 2, 3))
    sure = jnp.full((3, 9), -200.0).at[1].set(0.0)
    np.testing.assert_array_equal(generate(h, z, psi, sure), generate(h, z, psi[1:2]))


def test_modules_of_their_own_make_any_weights() -> None:
    """With context 1 and a module for every location, H = W / z."""
    plan = _plan()
    wanted = np.random.default_rng(0).normal(size=(plan.num_locations, 2, 2)).astype(np.float32)
    z = np.full((plan.num_locations, 1), 0.5, np.float32)
    made = generate(
        jnp.asarray(wanted[:, None] / 0.5), jnp.asarray(z), jnp.arange(plan.num_locations, dtype=jnp.int32)[None]
    )
    np.testing.assert_allclose(made, wanted, rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.booleans())
def test_the_device_names_the_winners_that_the_host_names(seed: int, candidates: int, is_drawn: bool) -> None:
    generator = np.random.default_rng(seed)
    psi = generator.integers(0, 3, (candidates, 7)).astype(np.int32)
    scores = generator.choice([0.0, 0.5, 1.0], (candidates, 7)).astype(np.float32)  # with ties
    picks = generator.integers(-1, candidates if is_drawn else 0, 7).astype(np.int32)
    np.testing.assert_array_equal(_REFINED(psi, scores, picks), alignment.tell(psi, scores, picks)[0])


def test_matrices_count_blocks_that_overhang() -> None:
    assert Matrices("x", (33, 20), 1, 33, 20, 1.0).num_blocks((16, 16)) == 6

"""Convolutions of large windows: values and gradients are XLA's, and gradients are what is fast inside of a loop."""

from __future__ import annotations

import re
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.methods.gumbel_matrix import convolution

AXES = ("NHWC", "HWIO", "NHWC")


@pytest.fixture(autouse=True)
def all_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """No window is small enough to be gathered."""
    monkeypatch.setattr(convolution, "MOST_GATHERED", 0)


@pytest.mark.parametrize(
    ("size", "stride", "padding", "sides"),
    [
        ((7, 7), 1, "SAME", (9, 8)),
        ((7, 7), 2, "SAME", (9, 8)),
        ((7, 7), 2, "SAME", (4, 3)),  # smaller than the window
        ((5, 5), 2, "SAME", (8, 9)),
        ((4, 4), 2, "SAME", (9, 8)),
        ((5, 5), 1, "VALID", (9, 8)),
        ((5, 5), 2, "VALID", (8, 9)),  # the last row is in no window
        ((3, 3), 3, "SAME", (10, 8)),
        ((1, 1), 2, "SAME", (8, 9)),
        ((1, 7), 1, "SAME", (5, 9)),
        ((7, 1), 2, "SAME", (9, 5)),
    ],
)
def test_values_and_gradients_are_a_convolutions(
    size: tuple[int, int], stride: int, padding: Literal["SAME", "VALID"], sides: tuple[int, int]
) -> None:
    inputs = jax.random.normal(jax.random.key(0), (2, *sides, 3))
    kernel = jax.random.normal(jax.random.key(1), (*size, 3, 4))

    def plain(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(inputs, kernel, (stride, stride), padding, dimension_numbers=AXES)

    def ours(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        return convolution.convolved(inputs, kernel, stride, padding)

    outputs, backward = jax.vjp(plain, inputs, kernel)
    slopes = jax.random.normal(jax.random.key(2), outputs.shape)
    found, own = jax.vjp(ours, inputs, kernel)
    np.testing.assert_allclose(found, outputs, atol=1e-4)
    for one, other in zip(own(slopes), backward(slopes), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_replicas_side_by_side() -> None:
    inputs = jax.random.normal(jax.random.key(0), (3, 2, 6, 6, 3))
    kernels = jax.random.normal(jax.random.key(1), (3, 5, 5, 3, 4))

    def loss(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        return (convolution.convolved(inputs, kernel, 2, "SAME") ** 2).sum()

    together = jax.vmap(jax.grad(loss, (0, 1)))(inputs, kernels)
    for place in range(3):
        alone = jax.grad(loss, (0, 1))(inputs[place], kernels[place])
        for one, other in zip(together, alone, strict=True):
            np.testing.assert_allclose(one[place], other, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("stride", [1, 2])
def test_in_a_loop_every_convolution_has_a_fast_kernel(stride: int) -> None:
    """XLA puts those whose axes are in order, and that have no gaps, into fusions of a library; others stay bare."""

    def loss(inputs: jax.Array, kernel: jax.Array) -> jax.Array:
        return (convolution.convolved(inputs, kernel, stride, "SAME") ** 2).mean()

    def trained(count: jax.Array, inputs: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        def step(_: jax.Array, before: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            slopes = jax.grad(loss, (0, 1))(*before)
            return before[0] - slopes[0], before[1] - slopes[1]

        return jax.lax.fori_loop(0, count, step, (inputs, kernel))

    given = np.int32(1), jnp.ones((4, 9, 9, 8)), jnp.ones((5, 5, 8, 8))
    program = jax.jit(trained).lower(*given).compile().as_text() or ""
    found = re.findall(r" convolution\(.*window={(.*?)}.*dim_labels=(\S+?)[,\s]", program)
    assert len(found) == 3
    assert {order for _, order in found} == {"b01f_01io->b01f"}
    assert not [window for window, _ in found if "dilate" in window or "stride" in window]

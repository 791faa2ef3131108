"""Operations by themselves: fast forms equal the plain ones, and what they cost is what they have."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.methods.gumbel_matrix import components
from munet.methods.gumbel_matrix.components import Conv, Dense, Norm, Pool, ShapeError


@pytest.mark.parametrize(("size", "channels"), [((5, 5), 1), ((3, 3), 4), ((1, 7), 3), ((7, 1), 2), ((1, 1), 6)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("side", [8, 9])
def test_a_convolution_as_a_product_is_a_convolution(
    size: tuple[int, int], channels: int, stride: int, padding: Any, side: int
) -> None:
    inputs = jax.random.normal(jax.random.key(0), (2, side, side, channels))
    kernel = jax.random.normal(jax.random.key(1), (*size, channels, 4))
    names = ("NHWC", "HWIO", "NHWC")
    plain = jax.lax.conv_general_dilated(inputs, kernel, (stride, stride), padding, dimension_numbers=names)
    conv = Conv(4, size, stride, padding, relu=False)
    apply = jax.jit(
        lambda kernel, inputs: components.apply((conv,), {"0/kernel": kernel, "0/bias": jnp.zeros(4)}, inputs)
    )
    found = apply(kernel, inputs)
    assert found.shape[1:] == components.shape_after((conv,), (side, side, channels))
    np.testing.assert_allclose(found, plain, atol=1e-4)


@pytest.mark.parametrize("side", [8, 9])
def test_pools(side: int) -> None:
    inputs = jax.random.normal(jax.random.key(0), (2, side, side, 3))
    halves = components.apply((Pool("average", 2, 2, "VALID"),), {}, inputs)
    np.testing.assert_allclose(halves[0, 1, 2], inputs[0, 2:4, 4:6].mean(axis=(0, 1)), rtol=1e-5, atol=1e-6)
    same = components.apply((Pool("average", 3),), {}, jnp.ones((1, 5, 5, 1)))
    np.testing.assert_allclose(same, 1.0, rtol=1e-6)  # what is outside is not counted
    most = components.apply((Pool("max", 3, 2),), {}, inputs)
    assert most.shape == (2, -(-side // 2), -(-side // 2), 3)


def test_a_norm_of_zeros_is_finite() -> None:
    params = {"0/scale": jnp.ones(8), "0/offset": jnp.zeros(8)}
    sloped = jax.jit(jax.value_and_grad(lambda x: components.apply((Norm(),), params, x).sum()))
    loss, slope = sloped(jnp.zeros((2, 3, 3, 8)))
    assert float(loss) == 0
    assert np.isfinite(slope).all()


def test_new_parameters_are_glorots_and_the_same_everywhere() -> None:
    found = components.initial(("x",), (Dense(50), Dense(3)), (200,))
    assert {name: leaf.shape for name, leaf in found.items()} == {
        "0/kernel": (200, 50), "0/bias": (50,), "1/kernel": (50, 3), "1/bias": (3,),
    }  # fmt: skip
    limit = math.sqrt(6 / 250)
    assert limit * 0.99 < np.abs(found["0/kernel"]).max() <= limit
    assert abs(found["0/kernel"].mean()) < limit / 50
    assert found["0/kernel"].tobytes() == components.initial(("x",), (Dense(50),), (200,))["0/kernel"].tobytes()
    conv = components.draw(("y", "kernel"), (5, 5, 2, 6))
    assert np.abs(conv).max() <= math.sqrt(6 / (25 * 8))


def test_flops_are_those_of_the_products() -> None:
    found = components.flops((Conv(4, (3, 3), 2), Pool("max", 2), Dense(5)), (8, 8, 3))
    assert found == 2 * 9 * 3 * 4 * 4 * 4 + 2 * 64 * 5


def test_what_cannot_be_applied_is_said() -> None:
    with pytest.raises(ShapeError, match="multiple of 4 channels, not 6"):
        components.shape_after((Norm(),), (3, 3, 6))
    with pytest.raises(ShapeError, match="needs images"):
        components.shape_after((Conv(4, (3, 3)),), (12,))

"""Batches that pass in parts: the same loss and gradients, and how many parts there are."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from munet.training import accumulation
from munet.training.signature import Signature


@pytest.mark.parametrize("num_parts", [1, 2, 3, 12])
def test_loss_and_gradients_are_those_of_the_whole_batch(num_parts: int) -> None:
    """Their scale too, which clipping could hide from a comparison of trained parameters."""
    random = np.random.default_rng(0)
    tuned: dict[str, Any] = {"w": jnp.asarray(random.normal(size=(12,))), "b": jnp.asarray(random.normal(size=()))}
    images, labels = jnp.asarray(random.normal(size=(12, 2, 2, 3))), jnp.asarray(random.integers(0, 5, 12))

    def loss(tuned: dict[str, Any], images: Array, labels: Array) -> Array:
        return ((images.reshape(-1, 12) @ tuned["w"] + tuned["b"] - labels) ** 2).mean()

    expected = jax.value_and_grad(loss)(tuned, images, labels)
    found = accumulation.mean_gradients(loss, tuned, images, labels, num_parts)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


@pytest.mark.parametrize(
    ("batch_size", "image_size", "cores", "parts"),
    [(512, 32, 1, 4), (512, 32, 2, 2), (512, 32, 8, 1), (64, 128, 1, 4), (347, 32, 1, 1), (16, 32, 1, 1)],
)
def test_parts_fit_the_caches_of_the_cores_that_work_on_a_child(
    batch_size: int, image_size: int, cores: int, parts: int
) -> None:
    """A prime number of images stays whole rather than passing one by one."""
    program = Signature("Ti/16", 3, -1, 0, image_size, batch_size, 64)
    assert accumulation.cached_parts(program, cores) == parts


def test_parts_have_no_more_images_than_is_said() -> None:
    assert [accumulation.parts_of(12, at_most) for at_most in (100, 12, 11, 6, 5, 1, 0)] == [1, 1, 2, 2, 3, 12, 12]
    assert accumulation.parts_of(7, 6) == 7

"""Batches that pass in parts: the same loss and gradients, and how many parts there are."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

from munet.training.program import accumulation


@pytest.mark.parametrize("part", [12, 6, 5, 7, 1, 100])
def test_loss_and_gradients_are_those_of_the_whole_batch(part: int) -> None:
    """Their scale too, which clipping could hide from a comparison of trained parameters."""
    random = np.random.default_rng(0)
    tuned: dict[str, Any] = {"w": jnp.asarray(random.normal(size=(12,))), "b": jnp.asarray(random.normal(size=()))}
    images, labels = jnp.asarray(random.normal(size=(12, 2, 2, 3))), jnp.asarray(random.integers(0, 5, 12))

    def losses(tuned: dict[str, Any], images: Array, labels: Array) -> Array:
        return (images.reshape(-1, 12) @ tuned["w"] + tuned["b"] - labels) ** 2

    expected = jax.value_and_grad(lambda *given: losses(*given).mean())(tuned, images, labels)
    found = accumulation.mean_gradients(losses, tuned, images, labels, part)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), found, expected)


def test_parts_hold_all_images_and_are_spread_as_evenly_as_their_batch() -> None:
    for batch_size in range(1, 40):
        for parts in range(1, batch_size + 1):
            size = accumulation.part_size(batch_size, parts)
            assert size == -(-batch_size // parts)
            for data in (2, 3, 4):
                spread = accumulation.part_size(batch_size, parts, data)
                assert 0 <= spread - size < data
                assert spread == size or batch_size % data == spread % data == 0
                assert spread % data == 0 or batch_size % data != 0

"""What models are given in training is what they are measured on."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from munet.data.augment import prepare
from munet.joint.learner import Batch
from munet.methods.gumbel_matrix.sources import Images


@pytest.mark.parametrize("size", [8, 6])
@pytest.mark.parametrize("inverts", [False, True])
@pytest.mark.parametrize(("channels", "is_grey"), [(1, True), (1, False), (3, False)])
def test_images_are_the_same_in_training_and_measurement(
    size: int, inverts: bool, channels: int, is_grey: bool
) -> None:
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 8, 8, channels), dtype=np.uint8))
    source = Images(size, is_grey, inverts)
    found, _ = source.batch(0, Batch(images, jnp.zeros(4, jnp.int32), jnp.zeros((4, 2), jnp.uint32)))
    assert found.shape == (4, size, size, 1 if is_grey else 3)
    np.testing.assert_allclose(found, source.prepared(prepare(images, size, antialias=False)), atol=1e-6)
    black = source.prepared(-jnp.ones((1, size, size, 3)))
    assert (black == (1 if inverts else 0)).all()

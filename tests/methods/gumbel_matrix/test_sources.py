"""What models are given in training is what they are measured on."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from munet.data.augment import prepare
from munet.joint.learner import Batch
from munet.methods.gumbel_matrix.sources import Images, RootImages


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


def test_training_images_are_padded_and_cropped_anew() -> None:
    images = jnp.asarray(np.random.default_rng(0).integers(1, 256, (16, 8, 8, 3), dtype=np.uint8))
    words = jnp.arange(8, dtype=jnp.uint32).reshape(4, 2)
    source = Images(8, is_grey=False, padding=2)
    found, _ = source.batch(0, Batch(images, jnp.zeros(16, jnp.int32), words))
    padded = np.pad(np.asarray(images, np.float32) / 255, [(0, 0), (2, 2), (2, 2), (0, 0)])
    corners = set()
    for image, whole in zip(np.asarray(found), padded, strict=True):
        corner = [
            (row, column)
            for row in range(5)
            for column in range(5)
            if np.allclose(image, whole[row : row + 8, column : column + 8], atol=1e-6)
        ]
        assert len(corner) == 1
        corners |= set(corner)
    assert len(corners) > 5
    other, _ = source.batch(1, Batch(images, jnp.zeros(16, jnp.int32), words))
    assert np.array_equal(found, other)  # words are a task's own: another place among tasks changes nothing
    other, _ = source.batch(0, Batch(images, jnp.zeros(16, jnp.int32), words + 1))
    assert not np.array_equal(found, other)


def test_whoever_asks_a_model_gives_shares_of_white() -> None:
    white = jnp.ones((1, 8, 8, 1))
    for source in (Images(8, is_grey=True), Images(8, is_grey=True, inverts=True), RootImages(8, 1.0, 1.0, flip=False)):
        np.testing.assert_array_equal(source.from_shares(white), source.prepared(white))
        np.testing.assert_array_equal(source.from_shares(0 * white), source.prepared(-white))


def test_a_root_sees_augmented_images_in_its_range() -> None:
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (4, 10, 10, 1), dtype=np.uint8))
    batch = Batch(images, jnp.zeros(4, jnp.int32), jnp.arange(8, dtype=jnp.uint32).reshape(4, 2))
    plain, _ = RootImages(16, 1.0, 0.75, flip=False).batch(0, batch)
    expected = prepare(images, 16, antialias=False)
    np.testing.assert_allclose(plain, expected, atol=1e-5)
    np.testing.assert_array_equal(RootImages(16, 1.0, 0.75, flip=False).prepared(expected), expected)
    cropped, _ = RootImages(16, 0.3, 0.75, flip=True).batch(0, batch)
    assert cropped.shape == (4, 16, 16, 3)
    assert not np.allclose(cropped, expected, atol=0.1)

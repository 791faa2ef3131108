"""Images moved by a few pixels are windows of the image with its edge, all over, each by draws of its own."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from munet.data.shifts import shifted


@pytest.mark.parametrize("edges", ["reflect", "constant"])
def test_shifted_images_are_windows_of_the_padded_image(edges: Literal["reflect", "constant"]) -> None:
    images = np.random.default_rng(0).integers(1, 256, (40, 6, 5, 1), dtype=np.uint8)
    crops = np.asarray(shifted(jnp.asarray(images), 2, jax.random.key(0), edges))
    assert (crops.shape, crops.dtype) == (images.shape, images.dtype)
    padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode=edges)
    starts = set()
    for crop, image in zip(crops, padded, strict=True):
        found = [(y, x) for y in range(5) for x in range(5) if (image[y : y + 6, x : x + 5] == crop).all()]
        assert len(found) == 1
        starts.update(found)
    assert len(starts) > 10  # all over
    assert {y for y, _ in starts} == set(range(5)) == {x for _, x in starts}

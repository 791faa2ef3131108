"""Images moved by a few pixels: a random crop of an image with an edge around it, as large as it was."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key, Shaped


def shifted(
    images: Shaped[Array, "batch h w c"], pixels: int, key: Key[Array, ""], edges: Literal["reflect", "constant"]
) -> Shaped[Array, "batch h w c"]:
    """Each image moved by up to `pixels` to any side, by draws of its own. Traced.

    Args:
      images: of any type.
      pixels: less than a side, if they are reflected.
      key: of the draws.
      edges: what comes in: the image reflected there, or zeros ("constant").
    """
    padded = jnp.pad(images, [(0, 0), (pixels, pixels), (pixels, pixels), (0, 0)], mode=edges)
    corners = jax.random.randint(key, (len(images), 2), 0, 2 * pixels + 1)

    def crop(image: Array, corner: Array) -> Array:
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(crop)(padded, corners)

"""Random crops: the laws by which their boxes are drawn (`fidelity.crop`).

`uniform_area` draws the area uniformly, and the aspect from those with which a box of that area fits the image.
`tensorflow` is the law of `tf.image.sample_distorted_bounding_box`, which the authors use: the height
is uniform within what area, aspect and image allow. No box of these two is below the stated minimum. `clipped_area` is
what munet did up to 0.4: any aspect, and boxes clipped to the image, which leaves some below it.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from munet.config.evolve import CropLaw

_ROUNDING = 1e-4  # of a pixel: a product that floats make a little too small is not a box too small


class CropDraws(NamedTuple):
    """Uniforms in [0, 1), one of each for an image."""

    size: Float32[Array, " b"]  # of its area, or its height
    aspect: Float32[Array, " b"]
    across: Float32[Array, " b"]
    down: Float32[Array, " b"]


class Boxes(NamedTuple):
    """Boxes in whole pixels."""

    top: Int[Array, " b"]
    left: Int[Array, " b"]
    height: Int[Array, " b"]
    width: Int[Array, " b"]


def crop_boxes(
    law: CropLaw,
    draws: CropDraws,
    height: int,
    width: int,
    area_min: Float[Array, ""] | np.float32,
    aspect_min: Float[Array, ""] | np.float32,
) -> Boxes:
    """Each image's box; the whole image if `area_min` is 1.

    Args:
      law: how boxes are drawn.
      draws: of each image.
      height, width: of the images.
      area_min: smallest share of the image's area.
      aspect_min: smallest ratio of width to height; the largest is its inverse.
    """
    least = jnp.asarray(area_min * height * width)
    if law == "tensorflow":
        tall, wide = _by_height(draws, height, width, least, aspect_min)
    else:
        area = (area_min + draws.size * (1 - area_min)) * height * width
        lowest, highest = aspect_min, 1 / aspect_min
        if law == "uniform_area":
            lowest, highest = _fitting(area, height, width, aspect_min)
        aspect = lowest + draws.aspect * (highest - lowest)
        tall, wide = jnp.sqrt(area / aspect), jnp.sqrt(area * aspect)
        if law == "uniform_area":
            tall, wide = _not_below(tall, wide, height, width, least)
    is_cropped = area_min < 1

    def side(length: Float32[Array, " b"], full: int, draw: Float32[Array, " b"]) -> tuple[Array, Array]:
        size = jnp.where(is_cropped, jnp.clip(jnp.round(length), 1, full), full).astype(jnp.int32)
        # The product may round up to the number of starts.
        start = jnp.minimum((draw * (full - size + 1)).astype(jnp.int32), full - size)
        return start, size

    left, box_width = side(wide, width, draws.across)
    top, box_height = side(tall, height, draws.down)
    return Boxes(top, left, box_height, box_width)


def _fitting(
    area: Float32[Array, "*b"], height: int, width: int, aspect_min: Float[Array, ""] | np.float32
) -> tuple[Float32[Array, "*b"], Float32[Array, "*b"]]:
    """The lowest and the highest aspect with which boxes of some area fit the image."""
    lowest = jnp.maximum(aspect_min, area / height**2)
    return lowest, jnp.maximum(jnp.minimum(1 / aspect_min, width**2 / area), lowest)


def _not_below(
    tall: Float32[Array, " b"], wide: Float32[Array, " b"], height: int, width: int, least: Float[Array, ""]
) -> tuple[Float32[Array, " b"], Float32[Array, " b"]]:
    """Whole pixels, a row and then a column more where rounding has left a box below the least area."""
    tall, wide = jnp.round(tall), jnp.round(wide)
    tall = jnp.where(tall * wide < least - _ROUNDING, jnp.minimum(tall + 1, height), tall)
    return tall, jnp.where(tall * wide < least - _ROUNDING, jnp.minimum(wide + 1, width), wide)


def _by_height(
    draws: CropDraws,
    height: int,
    width: int,
    least: Float[Array, ""],
    aspect_min: Float[Array, ""] | np.float32,
) -> tuple[Float32[Array, " b"], Float32[Array, " b"]]:
    """Height and width of boxes of whole pixels, of at least some area.

    TensorFlow draws an aspect again whose boxes would leave the image or be too small; drawn from the aspects of which
    none is, it comes out the same.
    """
    lowest, highest = _fitting(least, height, width, aspect_min)
    aspect = lowest + draws.aspect * (highest - lowest)
    tallest = jnp.minimum(height, jnp.floor((width + 0.5 - _ROUNDING) / aspect))
    shortest = jnp.minimum(jnp.round(jnp.sqrt(least / aspect)), tallest)
    tall = shortest + jnp.floor(draws.size * (tallest - shortest + 1))
    tall = jnp.minimum(tall, tallest)  # the product may round up

    def too_small(tall: Float32[Array, " b"]) -> Array:
        return tall * jnp.round(tall * aspect) < least - _ROUNDING

    tall = jnp.where(too_small(tall), tall + 1, tall)
    is_fit = ~too_small(tall) & (tall <= height) & (jnp.round(tall * aspect) <= width)
    # What rounding leaves without a box keeps the whole image, as in TensorFlow.
    return jnp.where(is_fit, tall, height), jnp.where(is_fit, jnp.round(tall * aspect), width)

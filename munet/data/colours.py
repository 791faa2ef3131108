"""Random changes of brightness, contrast, saturation and hue, on images whose channels come first.

Two ways (`fidelity.colours`). `resized`: of the resized crop, in [0, 1]; contrast turns about the mean of what the
model sees, and a brightness delta is a share of the whole range. `source`: as the authors have it, of the crop before
its resize, in [-1, 1]; so a delta of 0.2 shifts by a tenth of the range, and TensorFlow's saturation, made for [0, 1],
turns colours grey whose largest channel is not above the middle of the range.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32


class ColourDeltas(NamedTuple):
    """The largest change of each kind, as float32 scalars."""

    brightness: Float[Array, ""] | np.float32
    contrast: Float[Array, ""] | np.float32
    saturation: Float[Array, ""] | np.float32
    hue: Float[Array, ""] | np.float32


class ColourDraws(NamedTuple):
    """Uniforms in [0, 1), one of each for an image."""

    brightness: Float32[Array, " b"]
    contrast: Float32[Array, " b"]
    saturation: Float32[Array, " b"]
    hue: Float32[Array, " b"]


def change_resized(
    planes: Float32[Array, "b c h w"], draws: ColourDraws, deltas: ColourDeltas
) -> Float32[Array, "b c h w"]:
    """Changes crops with values in [0, 1]; the result may leave the range."""
    planes += _deviation(draws.brightness, deltas.brightness)
    mean = planes.mean((2, 3), keepdims=True)
    planes += (planes - mean) * _deviation(draws.contrast, deltas.contrast)
    if planes.shape[1] == 3:  # static: a property of the source
        factor = 1 + _deviation(draws.saturation, deltas.saturation)
        planes = saturation_and_hue(jnp.clip(planes, 0, 1), factor, _deviation(draws.hue, deltas.hue))
    return planes


def change_source(
    planes: Float32[Array, "b c h w"],
    is_inside: Bool[Array, "b 1 h w"],
    draws: ColourDraws,
    deltas: ColourDeltas,
) -> Float32[Array, "b c h w"]:
    """Changes images with values in [-1, 1] of which only the pixels of a box count; the result may leave the range."""
    planes += _deviation(draws.brightness, deltas.brightness)
    count = is_inside.sum((2, 3), keepdims=True)
    mean = jnp.where(is_inside, planes, 0).sum((2, 3), keepdims=True) / count
    planes += (planes - mean) * _deviation(draws.contrast, deltas.contrast)
    if planes.shape[1] == 1:
        return planes
    factor = 1 + _deviation(draws.saturation, deltas.saturation)
    # Each of the two runs only where its delta is above 0; at a factor of 1 saturation would still change a colour.
    planes = jnp.where(deltas.saturation > 0, saturation_and_hue(planes, factor, jnp.zeros_like(factor)), planes)
    turns = _deviation(draws.hue, deltas.hue)
    return jnp.where(deltas.hue > 0, saturation_and_hue(planes, None, turns), planes)


def saturation_and_hue(
    planes: Float32[Array, "b 3 h w"], factor: Float32[Array, "b 1 1 1"] | None, turns: Float32[Array, "b 1 1 1"]
) -> Float32[Array, "b 3 h w"]:
    """Multiplies the saturation and rotates the hue in HSV (hexagonal) space, without ever building an HSV image.

    Args:
      planes: colours; in [0, 1], unless TensorFlow's way with others is wanted.
      factor: of the saturation, which is then clipped to [0, 1]; None: it stays.
      turns: hue rotation; 1 is a full turn.
    """
    red, green, blue = planes[:, :1], planes[:, 1:2], planes[:, 2:]
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    inverse = 1 / jnp.maximum(chroma, 1e-9)  # grey has hue 0
    hue = jnp.where(
        value == red,
        (green - blue) * inverse,
        jnp.where(value == green, (blue - red) * inverse + 2, (red - green) * inverse + 4),
    )
    if factor is not None:
        # Saturation = chroma / value, at most 1, and none without a positive value.
        chroma = jnp.maximum(jnp.minimum(chroma * factor, value), 0)
    position = hue + 6 * turns + jnp.array([5.0, 3.0, 1.0])[:, None, None]
    position -= 6 * jnp.floor(position / 6)  # several times faster on CPU than `%`
    return value - chroma * jnp.clip(jnp.minimum(position, 4 - position), 0, 1)


def _deviation(draw: Float32[Array, " b"], delta: Float[Array, ""] | np.float32) -> Float32[Array, "b 1 1 1"]:
    """From a uniform in [0, 1) to one in [-delta, delta), for each image."""
    return ((2 * draw - 1) * delta)[:, None, None, None]

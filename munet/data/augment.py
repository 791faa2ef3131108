"""Augmentation on the device, and the plain resize of validation and test images (spec section 5).

Spec section 5, "Order of augmentation", but for two things. Colours are changed in [0, 1] (DESIGN section 6). And the
resize comes before the colours, not after them: crop and resize are one separable linear resampling, two small matrix
products an image; a flip only reverses the rows of one of the matrices. So contrast turns about the mean of the resized
crop, and saturation and hue, which are not linear (nor is the clip before them), see resampled pixels; brightness
commutes with resampling. Resizing is without antialias unless the run asks for it.

Every setting is a traced scalar, so one program serves all settings. Grey images stay one channel until the end:
saturation and hue leave grey as it is, so they never need three.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Key, UInt8

from munet.types import Hyperparameters

_NUM_DRAWS = 9  # uniforms an image takes, see `_augment_step`


class AugmentSettings(NamedTuple):
    """The data settings of a generation, as float32 scalars (spec section 4; `flip` is 0 or 1)."""

    crop_area_min: Float[Array, ""] | np.float32
    crop_aspect_min: Float[Array, ""] | np.float32
    flip: Float[Array, ""] | np.float32
    brightness_delta: Float[Array, ""] | np.float32
    contrast_delta: Float[Array, ""] | np.float32
    saturation_delta: Float[Array, ""] | np.float32
    hue_delta: Float[Array, ""] | np.float32

    @classmethod
    def from_hyperparameters(cls, hyperparameters: Hyperparameters) -> AugmentSettings:
        """The data settings among a model's hyper-parameters."""
        return cls(*(np.float32(hyperparameters[name]) for name in cls._fields))


def augment(
    images: UInt8[Array, "steps batch h w c"],
    keys: Key[Array, " steps"],
    settings: AugmentSettings,
    *,
    image_size: int,
    antialias: bool,
) -> Float32[Array, "steps batch image_size image_size 3"]:
    """Augmented training batches with values in [-1, 1].

    Args:
      images: pixels, with one (grey) or three channels.
      keys: one for each step; images of a step draw independently.
      settings: the data settings.
      image_size: pixels on a side of the result.
      antialias: whether images that shrink are smoothed.
    """

    def step(batch: UInt8[Array, "batch h w c"], key: Key[Array, ""]) -> Float32[Array, "batch size size 3"]:
        return _augment_step(batch, key, settings, image_size=image_size, antialias=antialias)

    return jax.vmap(step)(images, keys)


def prepare(
    images: UInt8[Array, "batch h w c"], image_size: int, antialias: bool
) -> Float32[Array, "batch image_size image_size 3"]:
    """Validation and test images: resized only, with values in [-1, 1]."""
    height, width = images.shape[1:3]
    rows = _resampling(jnp.int32(0), jnp.int32(height), height, image_size, antialias)
    columns = _resampling(jnp.int32(0), jnp.int32(width), width, image_size, antialias)
    return _to_model_range(_apply(rows[None, None], _planes(images), columns[None, None]))


def prepare_boxes(
    images: UInt8[Array, "batch h w c"],
    heights: Int[Array, " batch"],
    widths: Int[Array, " batch"],
    image_size: int,
    antialias: bool,
) -> Float32[Array, "batch image_size image_size 3"]:
    """As `prepare`, of images of many sizes, each in the upper left corner of its box: one program for all of them."""
    resample = jax.vmap(_resampling, in_axes=(None, 0, None, None, None))
    rows = resample(jnp.int32(0), heights, images.shape[1], image_size, antialias)
    columns = resample(jnp.int32(0), widths, images.shape[2], image_size, antialias)
    return _to_model_range(_apply(rows[:, None], _planes(images), columns[:, None]))


def _augment_step(
    images: UInt8[Array, "batch h w c"],
    key: Key[Array, ""],
    settings: AugmentSettings,
    *,
    image_size: int,
    antialias: bool,
) -> Float32[Array, "batch size size 3"]:
    batch, height, width, channels = images.shape
    draws = jax.random.uniform(key, (_NUM_DRAWS, batch))
    area, aspect, across, down, flip, brightness, contrast, saturation, hue = draws
    top, left, crop_height, crop_width = _crop_boxes(area, aspect, down, across, height, width, settings)
    resample = jax.vmap(_resampling, in_axes=(0, 0, None, None, None))
    rows = resample(top, crop_height, height, image_size, antialias)
    columns = resample(left, crop_width, width, image_size, antialias)
    is_flipped = (flip < 0.5) & (settings.flip > 0.5)
    columns = jnp.where(is_flipped[:, None, None], columns[:, ::-1], columns)
    planes = _apply(rows[:, None], _planes(images), columns[:, None])

    planes += _deviation(brightness, settings.brightness_delta)
    mean = planes.mean((2, 3), keepdims=True)
    planes += (planes - mean) * _deviation(contrast, settings.contrast_delta)
    if channels == 3:  # static: a property of the source
        factor = 1 + _deviation(saturation, settings.saturation_delta)
        planes = _saturation_and_hue(jnp.clip(planes, 0, 1), factor, _deviation(hue, settings.hue_delta))
    return _to_model_range(planes)


def _planes(images: UInt8[Array, "b h w c"]) -> Float32[Array, "b c h w"]:
    """Pixels in [0, 1], channels first: so that everything up to the end runs along rows of an image."""
    return jnp.moveaxis(images, -1, 1).astype(jnp.float32) / 255


def _apply(
    rows: Float32[Array, "#b 1 i h"], planes: Float32[Array, "b c h w"], columns: Float32[Array, "#b 1 j w"]
) -> Float32[Array, "b c i j"]:
    """Resamples rows, then columns. Full float32 also where products are faster in less."""
    # Else XLA's CPU backend makes weights and floats anew inside the products: twice the time at 105 pixels.
    rows, planes, columns = jax.lax.optimization_barrier((rows, planes, columns))
    return jnp.matmul(jnp.matmul(rows, planes, precision="highest"), jnp.swapaxes(columns, -1, -2), precision="highest")


def _to_model_range(planes: Float32[Array, "b c s s"]) -> Float32[Array, "b s s 3"]:
    """From [0, 1], clipped, to three channels in [-1, 1], channels last."""
    result = jnp.moveaxis(jnp.clip(planes, 0, 1) * 2 - 1, 1, -1)
    return jnp.broadcast_to(result, (*result.shape[:-1], 3))


def _deviation(draw: Float32[Array, " b"], delta: Float[Array, ""] | np.float32) -> Float32[Array, "b 1 1 1"]:
    """From a uniform in [0, 1) to one in [-delta, delta), for each image."""
    return ((2 * draw - 1) * delta)[:, None, None, None]


def _crop_boxes(
    area: Float32[Array, " b"],
    aspect: Float32[Array, " b"],
    down: Float32[Array, " b"],
    across: Float32[Array, " b"],
    height: int,
    width: int,
    settings: AugmentSettings,
) -> tuple[Int[Array, " b"], Int[Array, " b"], Int[Array, " b"], Int[Array, " b"]]:
    """Top, left, height and width of each image's box, in whole pixels; the whole image if `crop_area_min` is 1.

    The area is uniform in [min, 1] of the image's, the ratio of width to height uniform in [r, 1/r]; the box is clipped
    to the image.
    """
    minimum, ratio = settings.crop_area_min, settings.crop_aspect_min
    box_area = (minimum + area * (1 - minimum)) * height * width
    box_aspect = ratio + aspect * (1 / ratio - ratio)
    is_cropped = minimum < 1

    def side(length: Float32[Array, " b"], full: int, draw: Float32[Array, " b"]) -> tuple[Array, Array]:
        size = jnp.where(is_cropped, jnp.clip(jnp.round(length), 1, full), full).astype(jnp.int32)
        # The product may round up to the number of starts.
        start = jnp.minimum((draw * (full - size + 1)).astype(jnp.int32), full - size)
        return start, size

    left, crop_width = side(jnp.sqrt(box_area * box_aspect), width, across)
    top, crop_height = side(jnp.sqrt(box_area / box_aspect), height, down)
    return top, left, crop_height, crop_width


def _resampling(
    start: Int[Array, ""], length: Int[Array, ""], full: int, image_size: int, antialias: bool
) -> Float32[Array, "image_size full"]:
    """Weights that resample pixels `start` ... `start + length - 1` of `full` to `image_size` linearly.

    Pixels outside the box have weight 0: the result is that of cutting the box out first. Equal sizes: the identity.
    """
    scale = length.astype(jnp.float32) / image_size
    centres = start + (jnp.arange(image_size) + 0.5) * scale - 0.5
    pixels = jnp.arange(full)
    reach = jnp.maximum(scale, 1.0) if antialias else 1.0
    distance = jnp.abs(centres[:, None] - pixels) / reach
    is_inside: Bool[Array, " full"] = (pixels >= start) & (pixels < start + length)
    weights = jnp.where(is_inside, jnp.maximum(1 - distance, 0), 0)
    return weights / weights.sum(1, keepdims=True)


def _saturation_and_hue(
    planes: Float32[Array, "b 3 s s"], factor: Float32[Array, "b 1 1 1"], turns: Float32[Array, "b 1 1 1"]
) -> Float32[Array, "b 3 s s"]:
    """Multiplies the saturation and rotates the hue in HSV (hexagonal) space, without ever building an HSV image.

    Args:
      planes: colours in [0, 1].
      factor: of the saturation, which is then clipped to [0, 1].
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
    chroma = jnp.minimum(chroma * factor, value)  # saturation = chroma / value, at most 1
    position = hue + 6 * turns + jnp.array([5.0, 3.0, 1.0])[:, None, None]
    position -= 6 * jnp.floor(position / 6)  # several times faster on CPU than `%`
    return value - chroma * jnp.clip(jnp.minimum(position, 4 - position), 0, 1)

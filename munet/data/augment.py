"""Augmentation on the device, and the plain resize of validation and test images.

In the order of the published code, with three laws for crops (`crops.py`) and two for colours (`colours.py`). By
default colours are changed in [0, 1], and after the resize, which is cheaper: crop and resize are one separable linear
resampling, two small matrix products an image; a flip only reverses the rows of one of the matrices. Then contrast
turns about the mean of the resized crop, and saturation and hue, which are not linear (nor is the clip before them),
see resampled pixels; brightness commutes with resampling. Resizing is without antialias unless the run asks for it.

Every setting is a traced scalar, so one program serves all settings. Grey images stay one channel until the end:
saturation and hue leave grey as it is, so they never need three.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Int, Key, UInt8

from munet.config.evolve import ColourOrder, CropLaw
from munet.data.colours import ColourDeltas, ColourDraws, change_resized, change_source
from munet.data.crops import Boxes, CropDraws, crop_boxes
from munet.types import Hyperparameters

_NUM_DRAWS = 9  # uniforms an image takes, see `_augment_step`


class AugmentSettings(NamedTuple):
    """The data settings of a generation, as float32 scalars."""

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

    @property
    def colour_deltas(self) -> ColourDeltas:
        """Those of the colours."""
        return ColourDeltas(self.brightness_delta, self.contrast_delta, self.saturation_delta, self.hue_delta)


class AugmentLaws(NamedTuple):
    """Where product and published code differ (`experiment.fidelity`); static, one program each."""

    crop: CropLaw = "clipped_area"
    colours: ColourOrder = "resized"


PLAIN_LAWS = AugmentLaws()


def augment(
    images: UInt8[Array, "steps batch h w c"],
    keys: Key[Array, " steps"],
    settings: AugmentSettings,
    *,
    image_size: int,
    antialias: bool,
    laws: AugmentLaws = PLAIN_LAWS,
) -> Float32[Array, "steps batch image_size image_size 3"]:
    """Augmented training batches with values in [-1, 1].

    Args:
      images: pixels, with one (grey) or three channels.
      keys: one for each step; images of a step draw independently.
      settings: the data settings.
      image_size: pixels on a side of the result.
      antialias: whether images that shrink are smoothed.
      laws: of crops and colours.
    """

    def step(batch: UInt8[Array, "batch h w c"], key: Key[Array, ""]) -> Float32[Array, "batch size size 3"]:
        return _augment_step(batch, key, settings, image_size=image_size, antialias=antialias, laws=laws)

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
    laws: AugmentLaws,
) -> Float32[Array, "batch size size 3"]:
    batch, height, width, _ = images.shape
    area, aspect, across, down, flip, *colours = jax.random.uniform(key, (_NUM_DRAWS, batch))
    draws, deltas = ColourDraws(*colours), settings.colour_deltas
    boxes = crop_boxes(
        laws.crop,
        CropDraws(area, aspect, across, down),
        height,
        width,
        settings.crop_area_min,
        settings.crop_aspect_min,
    )
    resample = jax.vmap(_resampling, in_axes=(0, 0, None, None, None))
    rows = resample(boxes.top, boxes.height, height, image_size, antialias)
    columns = resample(boxes.left, boxes.width, width, image_size, antialias)
    is_flipped = (flip < 0.5) & (settings.flip > 0.5)
    columns = jnp.where(is_flipped[:, None, None], columns[:, ::-1], columns)
    planes = _planes(images)
    if laws.colours == "source":
        planes = (change_source(2 * planes - 1, _inside(boxes, height, width), draws, deltas) + 1) / 2
    planes = _apply(rows[:, None], planes, columns[:, None])
    if laws.colours == "resized":
        planes = change_resized(planes, draws, deltas)
    return _to_model_range(planes)


def _inside(boxes: Boxes, height: int, width: int) -> Bool[Array, "b 1 h w"]:
    """Which pixels lie in each image's box."""

    def along(start: Int[Array, " b"], length: Int[Array, " b"], full: int) -> Bool[Array, "b full"]:
        at = jnp.arange(full)
        return (at >= start[:, None]) & (at < (start + length)[:, None])

    rows, columns = along(boxes.top, boxes.height, height), along(boxes.left, boxes.width, width)
    return rows[:, None, :, None] & columns[:, None, None, :]


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

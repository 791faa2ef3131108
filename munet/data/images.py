"""Pixels in their normal form: uint8, one channel when the whole set is grey, one size for all images of a set.

Images may have any size and 1, 3 or 4 channels; photos of many sizes are squashed to a square canvas.
Everything here is lossless but for the canvas and transparency (composited on white).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Pixels = UInt8[np.ndarray, "h w c"]  # c: 1 or 3


def on_white(images: UInt8[np.ndarray, "*n h w 4"]) -> UInt8[np.ndarray, "*n h w 3"]:
    """Composites transparent images on white."""
    colour, alpha = images[..., :3].astype(np.uint16), images[..., 3:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def squash(image: Pixels, canvas: int | tuple[int, int]) -> Pixels:
    """Resizes one image to a square canvas or a height and width, whatever its aspect; smoothed when it shrinks."""
    grey = image.shape[-1] == 1
    height, width = (canvas, canvas) if isinstance(canvas, int) else canvas
    resized = Image.fromarray(image[..., 0] if grey else image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)[..., None] if grey else np.asarray(resized)


def is_grey(images: UInt8[np.ndarray, "*n h w c"]) -> bool:
    """Whether all channels are equal everywhere."""
    if images.shape[-1] == 1:
        return True
    pieces = images if images.ndim == 4 else images[None]  # one at a time: comparing takes as much memory again
    return all(bool((piece[..., 1:] == piece[..., :1]).all()) for piece in pieces)


def with_channels(image: Pixels, channels: int) -> Pixels:
    """An image with one or three channels, whichever it has: colours as people see their brightness, grey in all three.

    Equal channels give the value that all of them have.
    """
    if image.shape[-1] == channels:
        return image
    if channels == 3:
        return np.broadcast_to(image, (*image.shape[:-1], 3))
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).convert("L"))[..., None]


def stack(images: Sequence[Pixels]) -> UInt8[np.ndarray, "n h w c"]:
    """Images of one size as one array: a single channel if all are grey."""
    return merge_channels([image[None] for image in images])


def merge_channels(chunks: Sequence[UInt8[np.ndarray, "_ h w _"]]) -> UInt8[np.ndarray, "n h w c"]:
    """Joins arrays of images of one size, some grey with one channel: the result has one channel if all are grey."""
    if len(chunks) == 1:
        return chunks[0][..., :1] if is_grey(chunks[0]) else chunks[0]
    if all(is_grey(chunk) for chunk in chunks):
        return np.concatenate([chunk[..., :1] for chunk in chunks])
    return np.concatenate([np.broadcast_to(chunk, (*chunk.shape[:-1], 3)) for chunk in chunks])


def equal_channels(arrays: Sequence[UInt8[np.ndarray, "_ h w _"]]) -> list[UInt8[np.ndarray, "_ h w c"]]:
    """The splits of a set with the same number of channels: one if all are grey, else three."""
    num_channels = 1 if all(map(is_grey, arrays)) else 3
    return [array[..., :1] if num_channels == 1 else np.broadcast_to(array, (*array.shape[:-1], 3)) for array in arrays]

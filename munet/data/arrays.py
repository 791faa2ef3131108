"""Arrays as data sets: the checks that they pass wherever they come from, and their splits.

Images are uint8, `[n, h, w]` or `[n, h, w, channels]` with 1, 3 or 4 channels (the fourth is opacity, composited on
white); labels are class numbers from 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int64, UInt8

from munet.data import images as pixels
from munet.data.labels import class_numbers
from munet.data.splits import MAX_CLASSES, Labelled, Source, SplitName, source_of_arrays
from munet.errors import DataError


def open_arrays(
    uri: str, parts: Mapping[SplitName, Labelled], class_names: Sequence[str], *, seed: int, canvas: int
) -> Source:
    """A source of checked arrays: squashed where they are larger than the canvas, and split.

    Raises:
      DataError: labels out of range, or only one class.
    """
    images = pixels.equal_channels([part[0] for part in parts.values()])
    if max(images[0].shape[1:3]) > canvas:
        images = pixels.equal_channels(
            [pixels.stack([pixels.squash(image, canvas) for image in array]) for array in images]
        )
    sized: dict[SplitName, Labelled] = {
        split: (array, part[1]) for (split, part), array in zip(parts.items(), images, strict=True)
    }
    train = sized.pop("train")
    return source_of_arrays(uri, *train, class_names, seed=seed, given=sized)


def checked(uri: str, images: Any, labels: Any) -> Labelled:
    """Images as `[n, h, w, c]` with 1 or 3 channels, labels as int64 `[n]`.

    Raises:
      DataError: another type or shape, or not as many of both.
    """
    pair = _images(uri, np.asarray(images)), class_numbers(uri, np.asarray(labels))
    if len(pair[0]) != len(pair[1]):
        raise DataError(f"{uri}: {len(pair[0]):,} images but {len(pair[1]):,} labels: expected as many.")
    return pair


def names_of_classes(uri: str, names: np.ndarray | None, labels: Sequence[Int64[np.ndarray, " _"]]) -> tuple[str, ...]:
    """The class names as text; where there are none, the numbers up to the largest label.

    Raises:
      DataError: they are no list of text, or a label is too large.
    """
    num_classes = max(int(part.max(initial=-1)) for part in labels) + 1
    if num_classes > MAX_CLASSES:
        raise DataError(
            f"{uri}: label {num_classes - 1:,} is too large: labels are class numbers 0, 1, ... below {MAX_CLASSES:,}."
        )
    if names is None:
        return tuple(map(str, range(num_classes)))
    if names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(f"{uri}: class_names is {names.dtype} {list(names.shape)}, expected an array of strings.")
    return tuple(map(str, names))


def _images(uri: str, array: np.ndarray) -> UInt8[np.ndarray, "n h w c"]:
    has_shape = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3, 4))
    if array.dtype != np.uint8 or not has_shape or 0 in array.shape[1:]:
        raise DataError(
            f"{uri}: images is {array.dtype} {list(array.shape)}, expected uint8 [n, height, width] or "
            f"[n, height, width, channels] with 1, 3 or 4 channels.{_image_advice(array)}"
        )
    if array.ndim == 3:
        return array[..., None]
    if array.shape[3] == 4:
        array = pixels.on_white(array)
    return pixels.merge_channels([array])


def _image_advice(array: np.ndarray) -> str:
    """What probably helps, as the end of a message."""
    if array.ndim == 4 and array.shape[1] in (1, 3, 4) and array.shape[3] not in (1, 3, 4):
        return " Channels first? images.transpose(0, 2, 3, 1)."
    if array.dtype.kind == "f":
        return " Values in [0, 1]? (255 * images).round().astype(np.uint8)."
    return ""

"""The one way in for images that are to be classified: as a task's own images came to their stored shape.

A path and `bytes` go through `data.photos`, as the files of `folder:` and `hf:` tasks do, and Pillow's images through
the same conversion (orientation, mode, opacity); arrays are pixels already.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from munet.data import images as pixels
from munet.data import photos
from munet.data.conversion import Side
from munet.data.images import Pixels
from munet.data.photos import BadImageError
from munet.data.uris import SCHEMES, parse_uri
from munet.data.value_range import ValueRange
from munet.errors import UserError
from munet.system.view import RunView
from munet.threads import in_threads
from munet.types import TaskInfo, TaskName

_FILES = (str, os.PathLike, bytes, bytearray, memoryview)


@dataclass(frozen=True)
class Inputs:
    """How images become what a task's images are stored as.

    Attributes:
      scheme: of the task's URI: sets of different kinds are squashed at different moments of decoding.
      shape: height, width and channels that every image gets; None for runs that did not note it: then an image keeps
        its own, up to the canvas.
      canvas: pixels on a side that larger images were squashed to in the run.
      value_range: of grey files, where the task says so.
    """

    scheme: str
    shape: tuple[int, int, int] | None
    canvas: int
    value_range: ValueRange | None = None

    @classmethod
    def of(cls, system: RunView, task: TaskName) -> Inputs:
        """Those of a task of a run.

        Raises:
          UserError: no such task.
        """
        return cls.of_task(system.task(task), max(system.experiment.search_space.image_size))

    @classmethod
    def of_task(cls, info: TaskInfo, image_size: int) -> Inputs:
        """Those of a task for models that see at most so many pixels on a side."""
        uri = parse_uri(info.uri)
        given = uri.options.get("range")
        height, width, channels = info.image_shape or (0, 0, 0)
        return cls(
            uri.scheme,
            (height, width, channels) if info.image_shape else None,
            2 * image_size,
            None if given is None else ValueRange.parse(info.uri, given),
        )

    def read(self, image: Any) -> Pixels:
        """One image in the task's stored shape.

        Args:
          image: a path, the bytes of a file, an image of Pillow's in any mode, or uint8 `[h, w]` or `[h, w, c]` with 1,
            3 or 4 channels.

        Raises:
          BadImageError: it is none, or damaged; the message is the reason.
        """
        if isinstance(image, str | os.PathLike):
            image = photos.read_bytes(Path(image))
        if isinstance(image, bytes | bytearray | memoryview):
            return photos.decode_as(bytes(image), self._side, self.value_range, self._stored)
        if isinstance(image, Image.Image):
            return photos.convert(image, self._side, self.value_range, self._stored)
        return self._stored(_array(image))

    def read_all(self, images: Any) -> UInt8[np.ndarray, "n h w c"] | list[Pixels]:
        """Some images, or one, in the task's stored shape; files are decoded by one thread a core.

        Args:
          images: whatever `read` takes, a list of such, or an array `[n, h, w]` or `[n, h, w, c]`.

        Returns:
          One array; a list if the run did not note the shape.

        Raises:
          UserError: what was given are no images; which one and why.
        """
        given = listed(images)
        if isinstance(given, np.ndarray) and given.dtype == np.uint8 and self._is_stored(given.shape[1:]):
            return given
        items = list(given)
        in_files = any(isinstance(item, _FILES) for item in items)
        with photos.quietly():
            work: Iterable[Pixels | BadImageError] = (
                in_threads(self._attempt, items) if in_files else map(self._attempt, items)
            )
            found: list[Pixels] = []
            for number, (item, result) in enumerate(zip(items, work, strict=True)):
                if isinstance(result, BadImageError):
                    name = f" ({os.fspath(item)!s})" if isinstance(item, str | os.PathLike) else ""
                    raise UserError(f"Image {number}{name} cannot be used: {result}.") from result
                found.append(result)
        return found if self.shape is None or not found else np.stack(found)

    def _is_stored(self, shape: tuple[int, ...]) -> bool:
        """Whether images of a shape need nothing done."""
        if self.shape is not None:
            return shape == self.shape
        return 0 < min(shape) <= max(shape[:2]) <= self.canvas and shape[2] in (1, 3)

    def _attempt(self, image: Any) -> Pixels | BadImageError:
        try:
            return self.read(image)
        except BadImageError as error:
            return error

    def _side(self, size: tuple[int, int]) -> Side | None:
        """What an image of some height and width is squashed to while it is decoded; None: it is as it is."""
        is_large = max(size) > self.canvas
        if self.shape is None:
            return self.canvas if is_large else None
        if SCHEMES[self.scheme].is_decoded_whole:
            return None
        if self.scheme == "hf":
            return self.canvas if is_large else None
        return self.shape[:2] if size != self.shape[:2] else None

    def _stored(self, image: Pixels) -> Pixels:
        """What decoding left to do."""
        if self.shape is None:
            return pixels.squash(image, self.canvas) if max(image.shape[:2]) > self.canvas else image
        if image.shape[:2] != self.shape[:2]:
            image = pixels.squash(np.ascontiguousarray(image), self.shape[:2])
        return pixels.with_channels(image, self.shape[2])


def listed(images: Any) -> Sequence[Any] | np.ndarray:
    """One image as a list of it, and grey ones with their channel.

    Raises:
      UserError: something that holds no images.
    """
    if isinstance(images, (*_FILES, Image.Image)):
        return [images]
    if hasattr(images, "__array__") and not isinstance(images, np.ndarray):
        images = np.asarray(images)  # of JAX, PyTorch, ...
    if isinstance(images, np.ndarray):
        is_one = images.ndim == 2 or (images.ndim == 3 and images.shape[-1] in (1, 3, 4))
        array = images[None] if is_one else images
        if array.ndim not in (3, 4):
            raise UserError(
                f"predict() was given an array of shape {images.shape}; expected [n, h, w, c] or [n, h, w], or one "
                "image [h, w, c] or [h, w]."
            )
        return array[..., None] if array.ndim == 3 else array
    if not isinstance(images, Iterable):
        raise UserError(f"predict() was given a {type(images).__name__}; expected paths, images of Pillow's or arrays.")
    return list(images)


def _array(image: Any) -> Pixels:
    """Pixels with 1 or 3 channels; transparency is composited on white.

    Raises:
      BadImageError: another type, shape or number of channels.
    """
    try:
        array = np.asarray(image)
    except (ValueError, TypeError):
        array = np.asarray(None)
    if array.dtype.kind not in "uifb":
        raise BadImageError(f"it is a {type(image).__name__}; expected a path, bytes, an image of Pillow's or an array")
    if array.dtype != np.uint8:
        raise BadImageError(
            f"it is {array.dtype}; expected uint8 pixels from 0 to 255. Values in [0, 1]: "
            "`(255 * images).round().astype(np.uint8)`"
        )
    shape = array.shape
    array = array[..., None] if array.ndim == 2 else array
    if array.ndim != 3 or array.shape[-1] not in (1, 3, 4) or 0 in array.shape:
        raise BadImageError(f"it has shape {shape}; expected [h, w] or [h, w, c] with c = 1, 3 or 4")
    return pixels.on_white(array) if array.shape[-1] == 4 else array

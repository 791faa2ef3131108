"""`munet.Task`: an image-classification task from arrays that are in memory, for notebooks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from munet.data import images as pixels
from munet.data import photos
from munet.data.arrays import checked, names_of_classes
from munet.data.splits import Labelled, SplitName
from munet.errors import DataError

_NAME = re.compile(r"[\w.+-]+(?:[ /]?[\w.+-]+)*")


class ArrayTask:
    """An image-classification task from arrays, for notebooks; `munet.evolve` takes it. Public as `munet.Task`.

    The arrays are checked here and kept as they are, without a copy: change them only before.

    Attributes:
      name: of the task; in the journal it is `memory:NAME`.
      class_names: a name for each class.
      parts: checked images and labels: `train`, and what else was given.
    """

    def __init__(
        self,
        name: str,
        images: Any,
        labels: Any,
        class_names: Sequence[str] | None = None,
        validation: tuple[Any, Any] | None = None,
        test: tuple[Any, Any] | None = None,
    ):
        """Checks the arrays.

        Args:
          name: letters, digits and any of `_ . + - /`; the task is called so everywhere.
          images: uint8 `[n, h, w]` or `[n, h, w, c]` with 1, 3 or 4 channels (the fourth is opacity), or a list of
            Pillow's images in any mode, which are converted as files are. Whatever is not given as `validation` or
            `test` is taken from these: a tenth each, stratified, by content hash.
          labels: `n` class numbers from 0.
          class_names: a name for each class, in label order; None: the numbers.
          validation, test: images and labels of these splits, of the same height and width.

        Raises:
          DataError: an array cannot be used; the message says which, and what is expected.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise DataError(f"A task cannot be called {name!r}: expected letters, digits and _ . + - /, e.g. 'birds'.")
        self.name = name
        given: dict[SplitName, Any] = {"train": (images, labels), "validation": validation, "test": test}
        self.parts: dict[SplitName, Labelled] = {
            split: checked(self.uri if split == "train" else f"{self.uri} ({split})", *_pair(self.uri, split, pair))
            for split, pair in given.items()
            if pair is not None
        }
        shapes = {split: part[0].shape[1:3] for split, part in self.parts.items()}
        if len(set(shapes.values())) > 1:
            sizes = ", ".join(f"{split} {height}x{width}" for split, (height, width) in shapes.items())
            raise DataError(f"{self.uri}: images of its splits differ in size ({sizes}): resize them to one.")
        names = None if class_names is None else _text_array(self.uri, class_names)
        self.class_names = names_of_classes(self.uri, names, [part[1] for part in self.parts.values()])

    @property
    def uri(self) -> str:
        """What the journal calls it."""
        return f"memory:{self.name}"

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) of all that was given but the name."""
        hasher = hashlib.sha256("\0".join(self.class_names).encode())
        for split, (images, labels) in self.parts.items():
            hasher.update(f"{split} {images.shape}".encode())
            hasher.update(np.ascontiguousarray(images).data)
            hasher.update(labels.astype("<i8").tobytes())
        return hasher.hexdigest()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {len(labels):,}" for split, (_, labels) in self.parts.items())
        height, width, channels = self.parts["train"][0].shape[1:]
        shape = f"{height}x{width} {'grey' if channels == 1 else 'colour'}"
        return f"Task({self.name!r}: {sizes} images, {shape}, {len(self.class_names):,} classes)"


def _pair(uri: str, split: str, pair: Any) -> tuple[Any, Any]:
    """Images and labels of a split, as arrays.

    Raises:
      DataError: it is no pair, or images of several sizes.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise DataError(f"{uri}: {split} is a {type(pair).__name__}, expected a pair (images, labels).")
    images = pair[0]
    if isinstance(images, Sequence) and any(isinstance(image, Image.Image) for image in images):
        images = _of_pillow(uri, split, images)
    try:
        return np.asarray(images), np.asarray(pair[1])
    except ValueError:
        raise DataError(
            f"{uri}: the {split} images differ in size, so they make no array: resize them to one size."
        ) from None


def _of_pillow(uri: str, split: str, images: Sequence[Any]) -> Any:
    """The pixels of a list with images of Pillow's: of a palette its colours, not the numbers that stand for them.

    Raises:
      DataError: the pixels of an image cannot be used; which one is said.
    """
    found = []
    for number, image in enumerate(images):
        try:
            found.append(photos.convert(image, lambda _: None) if isinstance(image, Image.Image) else image)
        except photos.BadImageError as error:
            raise DataError(f"{uri}: image {number} of {split} cannot be used: {error}.") from error
    has_one_size = len({np.shape(image)[:2] for image in found}) == 1
    return pixels.stack(found) if has_one_size and all(np.ndim(image) == 3 for image in found) else found


def _text_array(uri: str, names: Sequence[str]) -> np.ndarray:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{uri}: class_names is {names!r:.60}, expected a list of strings.")
    return np.array(names, dtype=np.str_)

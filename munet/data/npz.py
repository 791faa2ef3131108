"""Data sets in one `.npz` file: `images` uint8 and `labels` integers, optionally `class_names`.

Images are `[n, h, w]` or `[n, h, w, channels]` with 1, 3 or 4 channels (the fourth is opacity, composited on white).
Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from munet.data import images as pixels
from munet.data.labels import class_numbers
from munet.data.opening import OpenSettings, TaskUri
from munet.data.splits import MAX_CLASSES, Source, source_of_arrays
from munet.errors import DataError, nearest


def open_npz(source: TaskUri, settings: OpenSettings) -> Source:
    """Reads and checks a file.

    Args:
      source: whose path is the `.npz` file.
      settings: the seed of the 80/10/10 split, and the canvas that larger images are squashed to.

    Raises:
      DataError: missing, foreign or damaged, or arrays that make no classification task.
    """
    uri = source.text
    path = Path(source.path).expanduser()
    arrays = _read(uri, path)
    images, labels = _images(uri, arrays["images"]), class_numbers(uri, arrays["labels"])
    if len(images) != len(labels):
        raise DataError(f"{uri}: {len(images):,} images but {len(labels):,} labels: expected as many.")
    names = arrays.get("class_names")
    num_classes = int(labels.max(initial=-1)) + 1
    if num_classes > MAX_CLASSES:
        raise DataError(
            f"{uri}: label {num_classes - 1:,} is too large: labels are class numbers 0, 1, ... below {MAX_CLASSES:,}."
        )
    if names is None:
        class_names = tuple(map(str, range(num_classes)))
    elif names.ndim != 1 or names.dtype.kind != "U":
        raise DataError(f"{uri}: class_names is {names.dtype} {list(names.shape)}, expected an array of strings.")
    else:
        class_names = tuple(map(str, names))
    if max(images.shape[1:3]) > settings.canvas:
        images = pixels.stack([pixels.squash(image, settings.canvas) for image in images])
    found = source_of_arrays(uri, images, labels, class_names, seed=settings.seed)
    return replace(found, num_bytes=path.stat().st_size)


def _read(uri: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays that matter."""
    if not path.is_file():
        siblings = sorted(file.name for file in path.parent.glob("*.npz")) if path.parent.is_dir() else []
        near = f" {nearest(path.name, siblings)}" if siblings else ""
        raise DataError(f"{uri}: there is no file {path}.{near}")
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{uri}: {path} cannot be read as npz: it is no zip file. Expected numpy.savez(path, "
                    "images=uint8, labels=int)."
                )
        with np.load(path, allow_pickle=False) as archive:
            for name in ("images", "labels"):
                if name not in archive.files:
                    raise DataError(f"{uri}: {path} has no array {name!r}. {nearest(name, archive.files)}")
            return {name: archive[name] for name in ("images", "labels", "class_names") if name in archive.files}
    except DataError:
        raise
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise DataError(
            f"{uri}: {path} cannot be read as npz: {error} Expected numpy.savez(path, images=uint8, labels=int) "
            "without objects (nothing is unpickled)."
        ) from error


def _images(uri: str, array: np.ndarray) -> UInt8[np.ndarray, "n h w c"]:
    has_shape = array.ndim == 3 or (array.ndim == 4 and array.shape[3] in (1, 3, 4))
    if array.dtype != np.uint8 or not has_shape or 0 in array.shape[1:]:
        raise DataError(
            f"{uri}: images is {array.dtype} {list(array.shape)}, expected uint8 [n, height, width] or "
            "[n, height, width, channels] with 1, 3 or 4 channels."
        )
    if array.ndim == 3:
        return array[..., None]
    if array.shape[3] == 4:
        array = pixels.on_white(array)
    return pixels.merge_channels([array])

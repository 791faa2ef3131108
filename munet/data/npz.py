"""Data sets in one `.npz` file: `images` uint8 and `labels` integers, optionally `class_names`.

What the arrays must be like is in `arrays.py`. Nothing is ever unpickled, and nothing is read before all that headers
say has been checked: a small file can claim to be of any size.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from munet import npz_arrays
from munet.data import arrays, places
from munet.data.open_settings import OpenSettings, TaskUri, host_memory
from munet.data.splits import Labelled, Source, SplitName
from munet.errors import DataError, nearest
from munet.npz_headers import BROKEN, ArrayHeader, header_of
from munet.text import byte_size

_ARRAYS = ("images", "labels", "class_names")
_MEMORY_SHARE = 0.25  # that images may take: checking and splitting them takes as much again for a while
_MAX_OTHER_BYTES = 1 << 28  # of labels and of class names


def open_npz(source: TaskUri, settings: OpenSettings) -> Source:
    """Reads and checks a file.

    Args:
      source: whose path is the `.npz` file.
      settings: the seed of the 80/10/10 split, and the canvas that larger images are squashed to.

    Raises:
      DataError: missing, foreign or damaged, or arrays that make no classification task.
    """
    uri = source.text
    path = places.file_of_task(source, settings, "*.npz")
    read = _read(uri, path)
    images, labels = arrays.checked(uri, read["images"], read["labels"])
    class_names = arrays.names_of_classes(uri, read.get("class_names"), [labels])
    parts: dict[SplitName, Labelled] = {"train": (images, labels)}
    found = arrays.open_arrays(uri, parts, class_names, seed=settings.seed, canvas=settings.canvas)
    return replace(found, num_bytes=path.stat().st_size)


def _read(uri: str, path: Path) -> dict[str, np.ndarray]:
    """The arrays that matter."""
    try:
        with path.open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise DataError(
                    f"{uri}: {path} cannot be read as npz: it is no zip file. Expected numpy.savez(path, "
                    "images=uint8, labels=int)."
                )
        with zipfile.ZipFile(path) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            for name in ("images", "labels"):
                if name not in members:
                    raise DataError(f"{uri}: {path} has no array {name!r}. {nearest(name, members, listed='It has')}")
            headers = {name: header_of(archive, members[name]) for name in _ARRAYS if name in members}
            _check(uri, path, headers)
            read = {"labels": npz_arrays.read(archive, headers.pop("labels"))}
            _check_labels(uri, headers["images"], read["labels"])
            return read | {name: npz_arrays.read(archive, header) for name, header in headers.items()}
    except DataError:
        raise
    except (*BROKEN, NotImplementedError) as error:
        raise DataError(
            f"{uri}: {path} cannot be read as npz: {error} Expected numpy.savez(path, images=uint8, labels=int) "
            "without objects (nothing is unpickled)."
        ) from error


def _check(uri: str, path: Path, headers: Mapping[str, ArrayHeader]) -> None:
    """Compares what headers say with each other, the file and the memory.

    Raises:
      DataError: it does not fit.
    """
    for name, header in headers.items():
        npz_arrays.check_stored(name, header)
        memory = host_memory()
        limit = (memory * _MEMORY_SHARE if memory else float("inf")) if name == "images" else _MAX_OTHER_BYTES
        if header.num_bytes > limit:
            what = f"a quarter of this machine's memory ({byte_size(limit)})" if name == "images" else byte_size(limit)
            raise DataError(
                f"{uri}: {name} of {path} is {header.dtype} {list(header.shape)}, {byte_size(header.num_bytes)}, "
                f"and does not fit {what}: store fewer or smaller images, or files in a folder, which are streamed "
                "(folder:/PATH)."
            )
    images = headers["images"]
    if images.dtype != np.uint8 or len(images.shape) not in (3, 4):
        # It says what is wrong; this takes no memory.
        arrays.checked(uri, np.broadcast_to(np.zeros((), images.dtype), images.shape), np.zeros(0, np.int64))


def _check_labels(uri: str, images: ArrayHeader, labels: np.ndarray) -> None:
    """Whether there are as many labels, before images are read; raises `DataError`."""
    if images.shape[:1] != labels.shape:
        arrays.checked(uri, np.broadcast_to(np.uint8(0), (*images.shape[:1], 1, 1)), labels)
